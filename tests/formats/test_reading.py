from __future__ import annotations

from pathlib import Path

import pytest

from objectness.errors import InputError
from objectness.formats import coco_results
from objectness.formats.reading import holds_proposals, read_proposals


def test_what_is_a_file_of_proposals() -> None:
    assert holds_proposals("proposals.json")
    assert holds_proposals("somewhere/P.JSON")
    assert not any(map(holds_proposals, ("model.onnx", "best.safetensors", "default", "runs/train/small", "uniform")))


def test_nothing(tmp_path: Path) -> None:
    coco_results.write(tmp_path / "p.json", {})
    assert read_proposals(tmp_path / "p.json") == {}


def test_coco_results(tmp_path: Path, make_proposals) -> None:
    coco_results.write(tmp_path / "p.json", {3: make_proposals([[1, 2, 3, 4]])})
    assert read_proposals(str(tmp_path / "p.json"))[3].boxes_xyxy.tolist() == [[1, 2, 3, 4]]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"p\.json cannot be read"):
        read_proposals(tmp_path / "p.json")
