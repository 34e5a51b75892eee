from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectness.engines import (
    EngineSettings,
)
from objectness.engines.openvino_runtime import open_openvino
from objectness.errors import InputError
from objectness.export.export_model import export_model
from objectness.export.settings import ExportSettings
from objectness.inference.loading import load

PHOTO = Path(__file__).parents[2] / "examples" / "photos" / "coffee.jpg"


def _images(size_hw: tuple[int, int], count: int = 1) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *size_hw, 3), dtype=np.uint8)


def test_openvino_gives_the_same_proposals(exported: Any, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    report = export_model(exported.checkpoint, tmp_path / "tiny.xml", ExportSettings(format="openvino"))
    assert [file.name for file in report.files] == ["tiny.bin", "tiny.xml"]
    assert str(tmp_path) not in report.target.read_text()
    propose = load(report.target, threads=1)
    assert propose.description.details["weights_sha256"] == exported.engine.description.details["weights_sha256"]
    for options in ({}, {"nms": 0.3, "top": 20}):
        ours, theirs = load(exported.target, **options)(PHOTO), load(report.target, **options)(PHOTO)
        assert len(ours) == len(theirs)
        assert theirs.scores == pytest.approx(ours.scores, abs=1e-4)
        assert theirs.boxes_xyxy[:10] == pytest.approx(ours.boxes_xyxy[:10], abs=0.2)
    batch = _images((97, 161), count=2)
    engine = open_openvino(report.target, "tiny", EngineSettings(threads=1))
    assert [len(found.scores) for found in engine.batch(batch, nms=0.7, top=30)] == [30, 30]


def test_openvino_runs_the_onnx_file_with_its_own_thresholds(exported: Any, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    ours, theirs = load(exported.target, top=50)(PHOTO), load(exported.target, top=50, engine="openvino")(PHOTO)
    assert theirs.scores == pytest.approx(ours.scores, abs=1e-4)
    with pytest.raises(InputError, match=r"only with nms 0\.7 and up to 300 proposals; export it as an OpenVINO file"):
        load(exported.target, nms=0.5, engine="openvino")
    with pytest.raises(InputError, match=r"only with nms 0\.7 and up to 300 proposals"):
        load(exported.target, top=301, engine="openvino")
    (tmp_path / "bad.xml").write_text("no model")
    with pytest.raises(InputError, match=r"its weights bad\.bin are not beside it"):
        load(tmp_path / "bad.xml")
    (tmp_path / "bad.bin").write_bytes(b"x")
    with pytest.raises(InputError, match=r"bad\.xml: OpenVINO cannot read it") as caught:
        load(tmp_path / "bad.xml")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="'tpu' is not known to OpenVINO here; it has cpu"):
        load(exported.target, engine="openvino", device="tpu")
