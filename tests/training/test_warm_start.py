from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from objectness.engines import METADATA_KEY, ModelDescription
from objectness.errors import InputError
from objectness.rpn.checkpoint import save_network
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.settings import (
    AnchorSettings,
    BackboneSettings,
    HeadSettings,
    ImageSettings,
    LossSettings,
    RPNSettings,
    SelectSettings,
)
from objectness.settings import to_dict
from objectness.training.warm_start import TrainedNetwork, adopt_settings, fill, read_trained

Make = Callable[..., RegionProposalNetwork]


def start_of(network: RegionProposalNetwork, name: str = "mine") -> TrainedNetwork:
    return TrainedNetwork(name, network.settings, network.state_dict(), {"name": "tiny on cells"})


def write_graph(
    path: Path, network: RegionProposalNetwork, *, without: str = "-", half: str = "-", described: bool = True
) -> Path:
    """An .onnx file that holds the network's weights and computes nothing."""
    constants = []
    for key, tensor in network.state_dict().items():
        if without in key or key.endswith("num_batches_tracked"):
            continue
        values, name = tensor.numpy(), f"network.{key}"
        if half in key:
            values, name = values.astype(np.float16), f"{name}/half"
        constants.append(numpy_helper.from_array(values, name))
    model = helper.make_model(helper.make_graph([], "weights", [], [], constants))
    if described:
        details = {"settings": to_dict(network.settings), "licence": "CC0"}
        text = ModelDescription("tiny on cells", 96, 160, details=details).to_json()
        helper.set_model_props(model, {METADATA_KEY: text})
    onnx.save(model, path)
    return path


def test_an_exported_file_gives_back_every_weight(make_network: Make, tmp_path: Path) -> None:
    network = make_network()
    found = read_trained(str(write_graph(tmp_path / "model.onnx", network)))
    assert found.settings == network.settings
    assert found.details["licence"] == "CC0"
    other = make_network(seed=1)
    sentence = fill(other, found)
    assert sentence == f"The network starts from {tmp_path / 'model.onnx'} (tiny on cells)."
    for key, tensor in network.state_dict().items():
        assert torch.equal(other.state_dict()[key], tensor), key


def test_a_file_in_half_precision_gives_them_rounded(make_network: Make, tmp_path: Path) -> None:
    network = make_network()
    found = read_trained(str(write_graph(tmp_path / "model.onnx", network, half="head.deltas.weight")))
    weight = found.weights["head.deltas.weight"]
    assert weight.dtype == torch.float32
    assert torch.equal(weight, network.head.deltas.weight.half().float())


def test_a_checkpoint_and_its_run_folder(make_network: Make, tmp_path: Path) -> None:
    network = make_network()
    save_network(tmp_path / "best.safetensors", network, {"name": "tiny"})
    for where in (tmp_path, tmp_path / "best.safetensors"):
        found = read_trained(str(where))
        assert found.details == {"name": "tiny"}
        assert found.settings == network.settings
        assert torch.equal(found.weights["head.deltas.bias"], network.head.deltas.bias)


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda path, network: write_graph(path, network, without="bn1"), "its weights are no longer apart"),
        (lambda path, network: write_graph(path, network, described=False), "not one that `objectness export` wrote"),
        (lambda path, network: path.write_bytes(b"\xff" * 40), "is damaged or no ONNX file"),
        (lambda path, network: None, "there is no such model file or run folder"),
    ],
)
def test_what_cannot_be_started_from(
    write: Callable[[Path, RegionProposalNetwork], object], sentence: str, make_network: Make, tmp_path: Path
) -> None:
    write(tmp_path / "model.onnx", make_network())
    with pytest.raises(InputError, match=sentence) as caught:
        read_trained(str(tmp_path / "model.onnx"))
    assert "\n" not in str(caught.value)
    assert "model.onnx" in str(caught.value)


def test_an_openvino_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_text("<net/>")
    with pytest.raises(InputError, match="cannot start from an OpenVINO file"):
        read_trained(str(tmp_path / "model.xml"))


def test_what_does_not_fit_stays_and_is_named(make_network: Make, tiny_settings: RPNSettings) -> None:
    """Six anchors a cell instead of nine: both last layers have other shapes, the window before them has not."""
    trained = make_network()
    settings = replace(tiny_settings, anchors=AnchorSettings(sizes=(16.0, 32.0)))
    network = make_network(settings, seed=1)
    fresh = network.head.deltas.weight.clone()
    sentence = fill(network, start_of(trained))
    assert sentence == (
        "The network starts from mine (tiny on cells); without a counterpart of its shape there, head.deltas and "
        "head.objectness start from scratch."
    )
    assert torch.equal(network.head.deltas.weight, fresh)
    assert torch.equal(network.head.conv[0].conv.weight, trained.head.conv[0].conv.weight)
    for key, tensor in trained.backbone.state_dict().items():
        assert torch.equal(network.backbone.state_dict()[key], tensor), key


def test_a_part_that_the_network_has_not_is_named_too(make_network: Make, tiny_settings: RPNSettings) -> None:
    pyramid = replace(tiny_settings.backbone, pyramid_channels=32)
    trained = make_network(replace(tiny_settings, backbone=pyramid))
    sentence = fill(make_network(seed=1), start_of(trained))
    assert sentence.endswith("head.conv starts from scratch; pyramid of that one is not used.")


def test_another_backbone_is_refused(make_network: Make, tiny_settings: RPNSettings) -> None:
    start = start_of(make_network())
    other = replace(start.settings, backbone=replace(start.settings.backbone, name="resnet18"))
    with pytest.raises(InputError, match="its backbone is resnet18, but this run's is test_resnet"):
        fill(make_network(), replace(start, settings=other))


def test_the_network_is_the_starts_and_the_image_size_the_runs(make_network: Make) -> None:
    theirs = RPNSettings(
        images=ImageSettings(short_side=448, long_side=748, mean_rgb=(0.5, 0.5, 0.5)),
        backbone=BackboneSettings(
            name="test_resnet", strides=(8,), pretrained=False, weights="first.safetensors", frozen_stages=0
        ),
        head=HeadSettings(channels=24, two_class=False),
        anchors=AnchorSettings(sizes=(20.0,)),
        loss=LossSettings(objective="task-aligned", box="giou"),
        select=SelectSettings(nms_iou=0.75),
    )
    mine = RPNSettings(
        images=ImageSettings(short_side=384, long_side=640), backbone=BackboneSettings(name="resnet18", frozen_stages=1)
    )
    found = adopt_settings(mine, TrainedNetwork("theirs", theirs, {}, {}))
    assert (found.head, found.anchors, found.loss) == (theirs.head, theirs.anchors, theirs.loss)
    assert found.images == ImageSettings(short_side=384, long_side=640, mean_rgb=(0.5, 0.5, 0.5))
    assert found.backbone == BackboneSettings(name="test_resnet", strides=(8,), frozen_stages=1)
    assert found.select == mine.select
