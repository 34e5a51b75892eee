from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from objectness.errors import InputError
from objectness.export.export_model import Sources, export_model
from objectness.export.metadata import portable
from objectness.export.settings import ExportSettings
from objectness.inference.loading import load
from objectness.rpn.checkpoint import load_network, read_description
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.settings import BackboneSettings, RPNSettings
from objectness.training.warm_start import fill, read_trained

PHOTO = Path(__file__).parents[2] / "examples" / "photos" / "coffee.jpg"


def _images(size_hw: tuple[int, int], count: int = 1) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *size_hw, 3), dtype=np.uint8)


def test_the_file_says_what_it_is(exported: Any) -> None:
    import objectness

    description = load(exported.target).description
    details = description.details
    assert description.name == "tiny"
    assert (description.short_side, description.nms_iou, description.top) == (160, 0.7, 300)
    assert not description.calibrated
    assert details["calibration"] is None
    assert details["validation"] == {"AR@100": 0.1}
    assert details["settings"]["backbone"]["name"] == "test_resnet"
    assert details["version"] == objectness.__version__
    assert details["licence"] == "not stated"
    assert details["strides"][0] in (8, 16, 32)
    settings = read_description(exported.checkpoint)["settings"]
    assert details["anchors"]["ratios_height_over_width"] == settings["anchors"]["ratios_height_over_width"]
    assert details["thresholds"]["nms_iou"] == 0.7
    assert details["suppression_inside"] is True
    weights = load_file(exported.checkpoint)
    digest = hashlib.sha256()
    for name in sorted(weights):
        values = weights[name].numpy()
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode() + values.tobytes())
    assert details["weights_sha256"] == digest.hexdigest()


@torch.no_grad()
def test_training_can_start_from_the_file(exported: Any, tmp_path: Path) -> None:
    """Every parameter is there under its name, to the last bit, though many norms are equal and could be one."""
    expected = load_file(exported.checkpoint)
    norms = [value for key, value in expected.items() if key.endswith("running_mean")]
    assert len(norms) > 1
    assert all(torch.equal(norms[0][:4], one[:4]) for one in norms)
    found = read_trained(str(exported.target))
    left_out = {key.split(".")[2] for key in expected.keys() - found.weights.keys()}
    assert left_out <= {"layer4"}, "only what lies beyond the last map may be missing"
    for key in found.weights:
        assert torch.equal(found.weights[key], expected[key]), key
    network = RegionProposalNetwork(found.settings)
    assert fill(network, found) == f"The network starts from {exported.target} (tiny)."
    pixels = torch.from_numpy(_images((97, 161))).permute(0, 3, 1, 2)
    ours, theirs = network.eval()(pixels), load_network(exported.checkpoint)[0](pixels)
    assert all(torch.equal(a, b) for a, b in zip(ours.logits, theirs.logits, strict=True))

    half = export_model(exported.checkpoint, tmp_path / "half.onnx", ExportSettings(precision="fp16")).target
    rounded = read_trained(str(half)).weights["head.deltas.weight"]
    assert torch.equal(rounded, expected["head.deltas.weight"].half().float())


def test_the_file_names_nothing_of_the_machine_it_was_made_on(exported: Any) -> None:
    held = exported.target.read_bytes()
    for place in (Path(__file__).parents[2], Path(torch.__file__).parent, exported.target.parent):
        assert str(place).encode() not in held
    settings = RPNSettings(backbone=BackboneSettings(weights="/home/me/start.safetensors"))
    assert portable(settings).backbone.weights == "start.safetensors"
    assert portable(RPNSettings()) == RPNSettings()


def test_sizes_and_thresholds_may_change_without_new_weights(exported: Any, tmp_path: Path) -> None:
    changes = ("images.short_side=96", "rpn.select.nms_iou=0.8")
    report = export_model(exported.checkpoint, tmp_path / "other.onnx", ExportSettings(changes=changes))
    description = load(report.target).description
    assert (description.short_side, description.nms_iou) == (96, 0.8)
    assert description.details["weights_sha256"] == load(exported.target).description.details["weights_sha256"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("head.channels=8", "Export cannot change head.channels: the weights were trained for it"),
        ("select.nms=0.8", "Unknown setting 'select.nms'"),
    ],
)
def test_what_the_weights_were_trained_for_stays(exported: Any, tmp_path: Path, change: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        export_model(exported.checkpoint, tmp_path / "other.onnx", ExportSettings(changes=(change,)))


def test_calibrated_scores_keep_the_order_and_the_boxes(
    exported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: Callable[..., Any]
) -> None:
    from objectness.calibration import Calibration
    from objectness.datasets import Dataset

    monkeypatch.setattr("objectness.calibration.FEWEST", 20)
    raw = load(exported.target, top=1000)(PHOTO)
    chosen = np.concatenate([raw.boxes_xyxy[:3], raw.boxes_xyxy[-3:]])
    records = tuple(make_record(number, chosen, name=str(PHOTO)) for number in (1, 2))
    data = Dataset(Path("somewhere/mine"), "coco", "val", ("thing",), records)
    for nms in (True, False):
        report = export_model(
            exported.checkpoint, tmp_path / "tiny.onnx", ExportSettings(nms=nms), Sources(calibration=data)
        )
        propose = load(report.target, top=1000)
        described = propose.description.details["calibration"]
        assert propose.description.calibrated
        assert (described["data"], described["split"], described["photographs"]) == ("mine", "val", 2)
        assert propose.description.details["measured"]["ar"]["1000"] == report.recall.ar[1000] > 0  # type: ignore[union-attr]
        found = propose(PHOTO)
        # Outside, boxes are ranked by calibrated scores: neighbours may have become equal and changed places.
        order = [np.arange(len(raw))] * 2 if nms else [np.lexsort(boxes.boxes_xyxy.T) for boxes in (found, raw)]
        np.testing.assert_array_equal(found.boxes_xyxy[order[0]], raw.boxes_xyxy[order[1]])
        np.testing.assert_allclose(found.scores, Calibration.from_json(described)(raw.scores), atol=1e-6)
        assert (np.diff(found.scores) <= 0).all()
    with Image.open(tmp_path / "tiny.reliability.png") as plot:
        assert plot.size == (608, 652)
    assert str(PHOTO.parent).encode() not in report.target.read_bytes()
