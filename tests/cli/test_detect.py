from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import Result

from objectness.errors import NotInstalledError
from objectness.formats import read_detections

Run = Callable[..., Result]


@pytest.fixture
def model(tmp_path: Path, tiny_settings: Any) -> Path:
    """A detector of two classes with random weights, whose data set has the category ids 7 and 3."""
    torch = pytest.importorskip("torch", reason="needs torch")
    from objectness.detector.checkpoint import save_detector
    from objectness.detector.network import FasterRCNN
    from objectness.detector.settings import DetectorSettings
    from objectness.rpn.network import build_network
    from objectness.settings import override

    torch.manual_seed(0)
    settings = override(DetectorSettings(), ["head.layers=16", "pool.size=3", "select.score=0"])
    network = FasterRCNN(build_network(tiny_settings)[0], settings, ("cat", "dog"))
    save_detector(tmp_path / "best.safetensors", network, {"name": "cats", "category_ids": [7, 3]})
    return tmp_path / "best.safetensors"


def test_pictures_and_results(run: Run, model: Path, making: Any, tmp_path: Path) -> None:
    making.image(tmp_path / "photos" / "a.png", 160, 120, seed=1)
    making.image(tmp_path / "photos" / "b.jpg", 120, 160, seed=2, orientation=6)
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no photograph")
    done = run("detect", "photos", "--model", model, "--score", "0", "--top", "5", "--json")
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert [one["detections"] for one in document["images"]] == [5, 5]
    assert document["classes"] == [{"category_id": 7, "name": "cat"}, {"category_id": 3, "name": "dog"}]
    assert [Path(one["file"]).name for one in document["failed"]] == ["broken.jpg"]
    for one in document["images"]:
        assert all(0 <= x1 < x2 <= one["width"] and 0 <= y1 < y2 <= one["height"] for x1, y1, x2, y2 in one["boxes"])
        assert Image.open(one["picture"]).size == (one["width"], one["height"])
    entries = json.loads((tmp_path / "detections" / "detections.json").read_text())
    assert len(entries) == 10
    assert {entry["category_id"] for entry in entries} <= {7, 3}
    read = read_detections(tmp_path / "detections" / "detections.json")
    assert set(read.class_names) <= {"cat", "dog"}
    assert read[1].names == document["images"][0]["names"]


def test_a_table_and_no_files(run: Run, model: Path, making: Any, tmp_path: Path) -> None:
    making.image(tmp_path / "a.png", 160, 120)
    done = run("detect", "a.png", "--model", model, "--score", "0", "--no-pictures", "--out", "found")
    assert done.exit_code == 0
    assert "cat" in done.stdout or "dog" in done.stdout
    assert "Wrote found/detections.json (model cats)." in done.stdout
    assert not list((tmp_path / "found").glob("*.png"))
    quiet = run("detect", "a.png", "--model", model, "--score", "1", "--json", "--no-pictures")
    assert json.loads(quiet.stdout)["images"][0]["by_class"] == {}
    assert not (tmp_path / "detections").exists()


@pytest.mark.parametrize(("side", "mode"), [(1, "RGB"), (40, "L"), (40, "P"), (40, "I;16"), (40, "CMYK")])
def test_odd_photographs(side: int, mode: str, run: Run, model: Path, tmp_path: Path) -> None:
    Image.new(mode, (side, side)).save(tmp_path / ("a.jpg" if mode == "CMYK" else "a.png"))
    done = run("detect", "a.jpg" if mode == "CMYK" else "a.png", "--model", model, "--score", "0", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["images"][0]["width"] == side


def test_models_that_name_nothing(run: Run, model: Path, making: Any, tmp_path: Path) -> None:
    from objectness.detector.checkpoint import load_detector, save_detector
    from objectness.rpn.checkpoint import save_network

    making.image(tmp_path / "a.png")
    assert "recipe faster-rcnn" in run("detect", "a.png", "--model", "default").stderr
    network, _ = load_detector(model)
    save_network(tmp_path / "rpn.safetensors", network.rpn, {})
    assert "which names nothing" in run("detect", "a.png", "--model", "rpn.safetensors").stderr
    network.foreign_proposals = True
    save_detector(tmp_path / "fast.safetensors", network, {"name": "fast"})
    done = run("detect", "a.png", "--model", "fast.safetensors")
    assert done.exit_code == 2
    assert "fast was trained on the proposals of a file and makes none of its own" in done.stderr
    assert not (tmp_path / "detections").exists()


def test_without_pytorch(run: Run, making: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(what: str) -> None:
        raise NotInstalledError(f"{what} needs torch.")

    making.image(tmp_path / "a.png")
    (tmp_path / "best.safetensors").write_bytes(b"x")
    monkeypatch.setattr("objectness.inference.detector_loading.require_training", missing)
    done = run("detect", "a.png", "--model", "best.safetensors")
    assert done.exit_code == 2
    assert "A detector's checkpoint needs torch." in done.stderr
