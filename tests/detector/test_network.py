from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.ops import roi_align, roi_pool

from objectness.detector.checkpoint import is_detector, load_detector, save_detector
from objectness.detector.criterion import detector_criterion
from objectness.detector.pooling import build_pool
from objectness.detector.settings import PoolSettings
from objectness.errors import InputError
from objectness.rpn.checkpoint import load_network, save_network
from objectness.rpn.targets import Target

Make = Callable[..., Any]
BOXES = torch.tensor([[4.0, 8, 60, 70], [40, 20, 90, 60]])


def pixels(count: int = 1) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 96, 128), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


def targets(count: int = 1) -> tuple[list[Target], list[torch.Tensor]]:
    truth = [Target(BOXES, torch.empty(0, 4), (96, 128)) for _ in range(count)]
    return truth, [torch.tensor([0, 1])] * count


def test_pooling_of_one_level() -> None:
    level = torch.randn(1, 2, 6, 8, generator=torch.Generator().manual_seed(0))
    pool = build_pool(PoolSettings(size=3), (16,))
    torch.testing.assert_close(pool({"0": level}, [BOXES], []), roi_pool(level, [BOXES], 3, 1 / 16))


def test_pooling_takes_the_level_that_suits_the_box() -> None:
    """Boxes of 112 px and 224 px, where 224 px belong to stride 16."""
    generator = torch.Generator().manual_seed(0)
    levels = {str(at): torch.randn(1, 2, 256 // s, 256 // s, generator=generator) for at, s in enumerate((8, 16))}
    boxes = torch.tensor([[0.0, 0, 113, 113], [0, 0, 225, 225]])
    pooled = build_pool(PoolSettings(kind="roi-align", size=3), (8, 16))(levels, [boxes], [])
    for at, stride in enumerate((8, 16)):
        torch.testing.assert_close(
            pooled[at : at + 1], roi_align(levels[str(at)], [boxes[at : at + 1]], 3, 1 / stride, 2)
        )


def test_pooling_that_does_not_fit_the_levels() -> None:
    with pytest.raises(InputError, match=r"this network has 2: set detector\.pool\.kind to roi-align"):
        build_pool(PoolSettings(), (8, 16))
    with pytest.raises(InputError, match="here they are 4, 16"):
        build_pool(PoolSettings(kind="roi-align"), (4, 16))


@pytest.mark.parametrize("pyramid", [False, True])
@pytest.mark.parametrize("regression", ["per-class", "agnostic"])
def test_detections_lie_inside_and_never_show_the_background(
    pyramid: bool, regression: str, make_detector: Make
) -> None:
    network = make_detector(
        f"head.box_regression={regression}", "select.score=0", "select.detections=1000", pyramid=pyramid
    )
    (found,) = network.detect(network(pixels()), [(90, 100)])
    assert 0 < len(found.scores) <= 600
    assert set(found.class_ids.tolist()) == {0, 1}
    assert found.boxes_xyxy.min() >= 0
    assert found.boxes_xyxy[:, [0, 2]].max() <= 100
    assert found.boxes_xyxy[:, [1, 3]].max() <= 90
    assert (found.scores.diff() <= 0).all()


def test_boxes_of_known_deltas(make_detector: Make) -> None:
    """All bias: logits (0, 0, log 8) make 0.8 of dog; deltas of weight 10 move the box by 0.1 of its width."""
    network = make_detector()
    predictor = network.roi.box_predictor
    with torch.no_grad():
        for layer in (predictor.cls_score, predictor.bbox_pred):
            layer.weight.zero_()
        predictor.cls_score.bias.copy_(torch.tensor([1.0, 1.0, 8.0]).log())
        predictor.bbox_pred.bias[8] = 1.0
    (found,) = network.detect(network(pixels()), [(96, 128)], [torch.tensor([[10.0, 10, 30, 30]])])
    assert found.class_ids.tolist() == [1, 0]
    torch.testing.assert_close(found.boxes_xyxy, torch.tensor([[12.0, 10, 32, 30], [10, 10, 30, 30]]))
    torch.testing.assert_close(found.scores, torch.tensor([0.8, 0.1]))


def test_no_proposals_no_detections(make_detector: Make) -> None:
    network = make_detector()
    (found,) = network.detect(network(pixels()), [(96, 128)], [torch.empty(0, 4)])
    assert len(found.scores) == len(found.boxes_xyxy) == 0


@pytest.mark.parametrize("pyramid", [False, True])
def test_the_loss_reaches_the_shared_layers_and_is_drawn_by_the_generator(pyramid: bool, make_detector: Make) -> None:
    network = make_detector(pyramid=pyramid).train()
    truth, class_ids = targets(2)

    def loss(seed: int) -> Any:
        outputs = network(pixels(2))
        return detector_criterion(network, outputs, truth, class_ids, torch.Generator().manual_seed(seed))

    before = torch.random.get_rng_state()
    report = loss(0)
    assert torch.equal(torch.random.get_rng_state(), before)  # dropout included
    report.loss.total.backward()
    weights = dict(network.named_parameters())
    touched = [name for name, one in weights.items() if one.grad is not None and one.grad.abs().sum() > 0]
    assert any(name.startswith("rpn.backbone") for name in touched)
    assert any(name.startswith("roi.box_head") for name in touched)
    assert not any(name.startswith("rpn.head") for name in touched)  # no gradient through coordinates
    assert all(len(rois.labels) <= 128 and (rois.labels > 0).any() for rois in report.rois)


def test_an_empty_batch_has_a_finite_loss(make_detector: Make) -> None:
    network = make_detector()
    nothing = [Target(torch.empty(0, 4), torch.empty(0, 4), (96, 128))]
    report = detector_criterion(
        network,
        network(pixels()),
        nothing,
        [torch.empty(0, dtype=torch.int64)],
        torch.Generator().manual_seed(0),
        [torch.empty(0, 4)],
    )
    assert report.loss.total.item() == 0


def test_frozen_batch_norms_stay_in_evaluation_mode(make_detector: Make) -> None:
    network = make_detector()
    network.backbone.requires_grad_(False)
    network.train()
    norms = [module for module in network.backbone.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert network.roi.training


def test_a_checkpoint_knows_its_classes_and_its_rpn_proposes(make_detector: Make, tmp_path: Path) -> None:
    network = make_detector(pyramid=True, classes=("Katze", "dog"))
    save_detector(tmp_path / "a.safetensors", network, {"name": "x"})
    loaded, details = load_detector(tmp_path / "a.safetensors")
    assert loaded.class_names == ("Katze", "dog")
    assert details == {"name": "x"}
    assert loaded.settings == network.settings
    ours, theirs = (one.detect(one(pixels()), [(96, 128)])[0] for one in (network, loaded))
    assert torch.equal(ours.boxes_xyxy, theirs.boxes_xyxy)
    rpn, _ = load_network(tmp_path / "a.safetensors")
    assert torch.equal(rpn(pixels()).logits[0], network(pixels()).logits[0])
    assert is_detector(tmp_path / "a.safetensors")


def test_checkpoints_of_the_other_kind(make_detector: Make, tmp_path: Path) -> None:
    network = make_detector()
    save_network(tmp_path / "rpn.safetensors", network.rpn, {})
    assert not is_detector(tmp_path / "rpn.safetensors")
    with pytest.raises(InputError, match="holds a Region Proposal Network, which names nothing"):
        load_detector(tmp_path / "rpn.safetensors")
    network.foreign_proposals = True
    save_detector(tmp_path / "fast.safetensors", network, {})
    assert load_detector(tmp_path / "fast.safetensors")[0].foreign_proposals
    with pytest.raises(InputError, match="trained on the proposals of a file"):
        load_network(tmp_path / "fast.safetensors")
