from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from objectness.cli import app
from objectness.detector.checkpoint import save_detector
from objectness.detector.network import FasterRCNN
from objectness.detector.settings import DetectorSettings
from objectness.engines.detection import NamedBoxes
from objectness.engines.onnx_runtime import open_onnx
from objectness.engines.settings import EngineSettings
from objectness.errors import InputError
from objectness.export.export_detector import export_detector, require_equal
from objectness.inference.detector_loading import load_detector
from objectness.rpn.network import build_network
from objectness.settings import override

pytestmark = pytest.mark.usefixtures("tracing")


def saved(path: Path, settings: Any, *changes: str, foreign: bool = False) -> Path:
    """A detector of three classes on two levels, with weights that tell boxes apart."""
    backbone = replace(settings.backbone, strides=(8, 16), pyramid_channels=16)
    rpn = replace(settings, backbone=backbone, anchors=replace(settings.anchors, sizes=(16.0, 32.0)))
    own = override(DetectorSettings(), ["head.layers=16", "pool.size=3", "pool.kind=roi-align", *changes])
    torch.manual_seed(0)
    network = FasterRCNN(build_network(rpn)[0], own, ("cat", "dog", "cow"), foreign_proposals=foreign)
    torch.nn.init.normal_(network.roi.box_predictor.cls_score.weight, std=0.5)
    torch.nn.init.normal_(network.roi.box_predictor.bbox_pred.weight, std=0.3)
    save_detector(path, network, {"name": "pets", "category_ids": [4, 5, 6]})
    return path


@pytest.mark.slow
@pytest.mark.parametrize("regression", ["per-class", "agnostic"])
def test_the_file_names_what_pytorch_names(regression: str, tiny_settings: Any, tmp_path: Path) -> None:
    checkpoint = saved(tmp_path / "best.safetensors", tiny_settings, f"head.box_regression={regression}")
    target = export_detector(checkpoint, tmp_path / "best.onnx")
    theirs, ours = load_detector(checkpoint), load_detector(target)
    assert ours.description.class_names == ("cat", "dog", "cow")
    assert ours.description.details["category_ids"] == [4, 5, 6]
    generator = np.random.default_rng(1)
    for size in ((50, 40), (97, 130)):
        photo = np.asarray(generator.integers(0, 256, (*size, 3)), np.uint8)
        one, other = ours(photo), theirs(photo)
        assert len(other) > 5
        assert len(one) == len(other)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
        np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=1e-2)
        assert one.labels.tolist() == other.labels.tolist()
    with pytest.raises(InputError, match="export"):
        open_onnx(target, "best.onnx", EngineSettings())
    with pytest.raises(InputError, match="takes no others"):
        ours(photo, np.zeros((1, 4), np.float32))


def test_detectors_that_cannot_be_exported(tiny_settings: Any, tmp_path: Path) -> None:
    foreign = saved(tmp_path / "fast.safetensors", tiny_settings, foreign=True)
    with pytest.raises(InputError, match="has no RPN to export"):
        export_detector(foreign, tmp_path / "best.onnx")
    own = override(DetectorSettings(), ["head.layers=16", "pool.size=3"])
    save_detector(tmp_path / "pool.safetensors", FasterRCNN(build_network(tiny_settings)[0], own, ("cat",)), {})
    with pytest.raises(InputError, match="with RoIPool cannot be exported"):
        export_detector(tmp_path / "pool.safetensors", tmp_path / "best.onnx")
    assert not (tmp_path / "best.onnx").exists()


@pytest.mark.slow
def test_the_command(tiny_settings: Any, tmp_path: Path) -> None:
    checkpoint = saved(tmp_path / "best.safetensors", tiny_settings)
    refused = CliRunner().invoke(app, ["export", str(checkpoint), "--detector", "--precision", "fp16"])
    assert refused.exit_code == 2
    assert "--detector writes an .onnx file in fp32" in refused.stderr
    done = CliRunner().invoke(app, ["export", str(checkpoint), "--detector", "--json"])
    assert done.exit_code == 0, done.output
    target = tmp_path / "best.detector.onnx"
    assert json.loads(done.stdout)["file"] == str(target)
    assert load_detector(target).description.name == "pets"


class _Says:
    def __init__(self, shift: float, label: int = 0) -> None:
        self.shift, self.label = shift, label

    def detect(self, pixels: Any, proposals_xyxy: Any = None) -> NamedBoxes:
        boxes = np.array([[1, 2, 30, 40]], np.float32) + np.float32(self.shift)
        return NamedBoxes(boxes, np.array([0.5], np.float32), np.array([self.label]))


@pytest.mark.parametrize("other", [_Says(1.0), _Says(0.0, 1)])
def test_another_answer_is_refused(other: Any, tmp_path: Path) -> None:
    reference: Any = _Says(0.0)
    require_equal(reference, reference, tmp_path / "a.onnx")
    with pytest.raises(InputError, match="gives 0 of the 1 detections that PyTorch gives"):
        require_equal(reference, other, tmp_path / "a.onnx")
