from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from objectness.datasets import load_dataset, repair
from objectness.errors import InputError


def test_an_empty_data_set_needs_nothing(coco_json: Callable[..., Path]) -> None:
    repaired, said = repair(load_dataset(coco_json([])), strict=True)
    assert (len(repaired), said) == (0, ())


def test_a_clean_data_set_is_left_alone(coco_json: Callable[..., Path]) -> None:
    repaired, said = repair(load_dataset(coco_json([[[1, 2, 10, 20]], []])), strict=True)
    assert said == ()
    assert repaired.records[0].boxes_xyxy.tolist() == [[1, 2, 11, 22]]
    assert repaired.records[1].boxes_xyxy.shape == (0, 4)


def test_what_is_done_and_said(tmp_path: Path, coco_json: Callable[..., Path]) -> None:
    nan = float("nan")
    boxes = [[5, 5, 9, 9], [-5, 20, 15, 20], [5, 5, 1, 9], [nan, 0, 5, 5], [70, 70, 9, 9], [-0.5, 0, 10, 10]]
    path = coco_json([boxes, [[0, 0, 5, 5]], [[0, 0, 5, 5]]])
    (tmp_path / "train" / "b.png").unlink()
    (tmp_path / "train" / "c.png").write_text("no photograph")
    repaired, said = repair(load_dataset(path))
    assert len(repaired) == 1
    record = repaired.records[0]
    assert record.boxes_xyxy.tolist() == [[5, 5, 14, 14], [0, 20, 10, 30], [0, 0, 9.5, 10]]
    assert record.areas.tolist() == [81, 100, 95]
    assert record.class_ids.tolist() == [0, 0, 0]
    a, b, c = (tmp_path / "train" / f"{name}.png" for name in "abc")
    assert said == (
        f"left out images that are missing: 1 ({b}).",
        f"left out images that cannot be read: 1 ({c}).",
        f"dropped boxes that are not made of finite numbers: 1 ({a}).",
        f"dropped boxes that are at most 1 px wide or high: 1 ({a}).",
        f"dropped boxes that lie outside their image: 1 ({a}).",
        f"clipped boxes that stuck out of their image by more than 1 px: 1 ({a}).",
    )


def test_only_the_first_names_are_said(tmp_path: Path, coco_json: Callable[..., Path]) -> None:
    dataset = load_dataset(coco_json([[[0, 0, 0, 0]]] * 5 + [[]]))
    said = repair(dataset)[1]
    assert said[0].startswith("dropped boxes that are at most 1 px wide or high: 5 (")
    assert said[0].endswith("c.png and 2 more files).")


def test_strict_refuses_with_the_first_and_the_count(coco_json: Callable[..., Path]) -> None:
    dataset = load_dataset(coco_json([[[0, 0, 5, 5], [0, 0, 0, 0]], [[0, 0, 0, 0]], [[90, 0, 9, 9]]]))
    with pytest.raises(InputError, match=r"is not clean: .*a.png, box 2: .* and 2 more problems; `objectness check"):
        repair(dataset, strict=True)


def test_the_size_of_the_file_counts(coco_json: Callable[..., Path]) -> None:
    dataset = load_dataset(coco_json([[[0, 0, 40, 30]]]))
    wrong = replace(dataset, records=(replace(dataset.records[0], size_hw=(60, 80)),))
    repaired, said = repair(wrong)
    assert repaired.records[0].size_hw == (30, 40)
    assert repaired.records[0].boxes_xyxy.tolist() == [[0, 0, 40, 30]]
    assert len(said) == 1
    assert said[0].startswith("took the file's size where the annotation says another")
    undeclared = replace(dataset, records=(replace(dataset.records[0], size_hw=None),))
    repaired, said = repair(undeclared, strict=True)
    assert (repaired.records[0].size_hw, said) == ((30, 40), ())


def test_nothing_left_is_an_error(tmp_path: Path, coco_json: Callable[..., Path]) -> None:
    path = coco_json([[]])
    (tmp_path / "train" / "a.png").unlink()
    with pytest.raises(InputError, match=r"has no image that can be used: .*a.png: is missing"):
        repair(load_dataset(path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(hnp.arrays(np.float32, (6, 4), elements=st.floats(width=32)))
def test_whatever_the_boxes_were_they_fit(coco_json: Callable[..., Path], boxes: np.ndarray) -> None:
    dataset = load_dataset(coco_json([[[0, 0, 5, 5]] * 6]))
    odd = replace(dataset, records=(replace(dataset.records[0], boxes_xyxy=boxes, areas=boxes[:, 0]),))
    record = repair(odd)[0].records[0]
    fixed = record.boxes_xyxy
    assert np.isfinite(fixed).all()
    assert ((fixed[:, 2:] - fixed[:, :2]) > 1).all()
    assert (fixed >= 0).all()
    assert (fixed <= [40, 30, 40, 30]).all()
    assert (record.areas > 0).all()
    assert np.isfinite(record.areas).all()


def test_the_shared_micrographs_lose_their_two_degenerate_boxes(shared_data: Path) -> None:
    repaired, said = repair(load_dataset(shared_data / "bccd"))
    assert sum(len(record.boxes_xyxy) for record in repaired.records) == 4886
    assert len(said) == 1
    assert "BloodImage_00338.jpg" in said[0]
    assert "BloodImage_00343.jpg" in said[0]
