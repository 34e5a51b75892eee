"""A COCO file read as ground truth and as proposals: one parser, so the same boxes under the same ids."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectness import formats
from objectness.datasets import load_dataset
from objectness.errors import InputError

IMAGE = {"id": 7.0, "coco_url": "http://images.example.org/a.jpg", "width": 640.0, "height": "480"}
BOXES = {
    "box": {"bbox": [1, 2, 30, 40]},
    "box and no polygon": {"bbox": [1, 2, 30, 40], "segmentation": []},
    "outline": {"segmentation": [[1, 2, 31, 2, 31, 42]]},
    "two outlines": {"segmentation": [[1, 2, 11, 2, 11, 12], [20, 30, 31, 42, 20, 42]]},
}


def written(path: Path, annotation: dict[str, Any], image_id: object = 7) -> Path:
    entry = {"id": 1, "image_id": image_id, "category_id": 1, "score": 0.5, **annotation}
    document = {"images": [IMAGE], "annotations": [entry], "categories": [{"id": 1, "name": "fish"}]}
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("image_id", [7, 7.0, "7", "007"])
def test_ground_truth_and_proposals_agree(name: str, image_id: object, tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", BOXES[name], image_id)
    record = load_dataset(path).records[0]
    proposals = formats.read_proposals(path)
    assert record.size_hw == (480, 640)
    assert record.path.name == "a.jpg"
    assert proposals[7].size_hw == (480, 640)
    assert proposals[7].source == "a.jpg"
    np.testing.assert_array_equal(record.boxes_xyxy, [[1, 2, 31, 42]])
    np.testing.assert_array_equal(proposals[7].boxes_xyxy, [[1, 2, 31, 42]])
    assert any("outline" in note for note in proposals.notes) == ("outline" in name)


@pytest.mark.parametrize(
    "annotation", [{}, {"bbox": ["1", 2, 3, 4]}, {"segmentation": [[1, 2, 3]]}, {"segmentation": {"counts": "x"}}]
)
def test_an_annotation_without_a_box_is_a_problem_there_and_an_error_here(
    annotation: dict[str, Any], tmp_path: Path
) -> None:
    path = written(tmp_path / "a.json", annotation)
    (problem,) = load_dataset(path).problems
    assert "annotation 1 (id 1) has no 'bbox' of four numbers" in str(problem)
    with pytest.raises(InputError, match="annotation 1 has no 'bbox' of four numbers"):
        formats.read_proposals(path)
