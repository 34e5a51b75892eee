"""The peer of the ablation is torchvision's own network: the same losses and boxes as its ``forward``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torchvision.models.detection.image_list import ImageList  # noqa: E402

from objectness.rpn.settings import BackboneSettings, RPNSettings, SelectSettings  # noqa: E402
from objectness.rpn.targets import Target  # noqa: E402

SIZES_HW = [(100, 128), (128, 90)]


@pytest.fixture
def peer(benchmarks: None) -> ModuleType:
    return import_module("torchvision_rpn")


@pytest.fixture
def make_peer(peer: ModuleType) -> Callable[[], Any]:
    """With the same random weights each time, louder than its own so that boxes move and scores differ."""

    def make() -> Any:
        torch.manual_seed(0)
        settings = RPNSettings(
            backbone=BackboneSettings(
                name="test_resnet", strides=(8, 16, 32), pyramid_channels=16, pretrained=False, frozen_stages=0
            ),
            select=SelectSettings(pre_nms_top_n=50, post_nms_top_n=40),
        )
        network = peer.TorchvisionRPN(settings, (16, 32, 64, 96))
        for layer in (network.rpn.head.cls_logits, network.rpn.head.bbox_pred):
            torch.nn.init.normal_(layer.weight, std=0.3)
        return network

    return make


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, 128, 128), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def targets(*boxes: list[list[float]]) -> list[Target]:
    sized = zip(boxes, SIZES_HW, strict=True)
    return [Target(torch.tensor(some).reshape(-1, 4), torch.empty(0, 4), size_hw) for some, size_hw in sized]


def its_own(network: Any, pixels: torch.Tensor, truth: list[Target] | None) -> tuple[Any, dict[str, torch.Tensor]]:
    """What torchvision's ``forward`` gives for the same features."""
    images = ImageList(torch.empty(len(pixels), 3, 128, 128), SIZES_HW[: len(pixels)])
    boxes = None if truth is None else [{"boxes": target.boxes_xyxy} for target in truth]
    features = network.features(pixels)
    torch.manual_seed(7)
    found, losses = network.rpn(images, features, boxes)
    return found, losses


@pytest.mark.parametrize("boxes", [([], []), ([[10.0, 10, 60, 70], [80, 5, 120, 40]], [[0.0, 0, 88, 120]])])
def test_losses_are_those_of_its_own_forward_in_training(
    make_peer: Callable[[], Any], pixels: torch.Tensor, boxes: Any
) -> None:
    network = make_peer().train()
    truth = targets(*boxes)
    _, losses = its_own(network, pixels, truth)
    before = torch.get_rng_state()
    report = network.loss(network(pixels), truth, torch.Generator().manual_seed(7))
    # The running statistics of the batch norms do not enter in training mode.
    assert report.loss.objectness.item() == pytest.approx(losses["loss_objectness"].item(), rel=1e-6)
    assert report.loss.box.item() == pytest.approx(losses["loss_rpn_box_reg"].item(), rel=1e-6)
    assert (report.loss.box.item() > 0) == any(len(some) for some in boxes)
    assert torch.equal(before, torch.get_rng_state())


def test_proposals_are_those_of_its_own_forward(make_peer: Callable[[], Any], pixels: torch.Tensor) -> None:
    network = make_peer().eval()
    with torch.no_grad():
        found, _ = its_own(network, pixels, None)
        selections = network.propose(network(pixels), SIZES_HW)
        few = network.propose(network(pixels), SIZES_HW, replace(network.settings.select, post_nms_top_n=5))
    for boxes, selection, short in zip(found, selections, few, strict=True):
        assert 5 < len(boxes) <= 40
        assert torch.equal(boxes, selection.boxes_xyxy)
        assert torch.equal(selection.boxes_xyxy[:5], short.boxes_xyxy)
        assert bool((selection.scores.diff() <= 0).all())


def test_padding_to_whole_cells_leaves_its_strides_right(make_peer: Callable[[], Any]) -> None:
    network = make_peer().eval()
    with torch.no_grad():
        outputs = network(torch.zeros(1, 3, 100, 70))
    assert outputs.maps_hw == [(16, 16), (8, 8), (4, 4), (2, 2)]
    anchors = network._anchors(outputs, [(100, 70)])[0]
    # The last cell of the pooled level starts 64 px from the corner; its square anchor of 96 px comes second of three.
    assert anchors[-2].tolist() == [16, 16, 112, 112]


def test_half_precision_maps_leave_the_anchors_exact(make_peer: Callable[[], Any], pixels: torch.Tensor) -> None:
    network = make_peer().eval()
    with torch.no_grad():
        whole = network(pixels)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = network(pixels)
    assert half.features[0].dtype == torch.bfloat16
    assert torch.equal(network._anchors(half, SIZES_HW)[0], network._anchors(whole, SIZES_HW)[0])
