from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectness.datasets import load_dataset, repair
from objectness.datasets.class_filter import filter_classes
from objectness.datasets.records import Dataset, Record
from objectness.errors import InputError


def dataset(*class_ids: list[int]) -> Dataset:
    records = []
    for number, ids in enumerate(class_ids):
        boxes = np.array([[i, 0, i + 5, 5] for i in ids], dtype=np.float32).reshape(-1, 4)
        ignore = np.array([i == 2 for i in ids], dtype=bool)
        areas = np.array([10.0 * i for i in ids], dtype=np.float32)
        records.append(
            Record(number, Path(f"{number}.png"), (9, 9), boxes, np.array(ids, dtype=np.int64), ignore, areas)
        )
    return Dataset(Path("animals"), "coco", "train", ("cat", "dog", "cow"), tuple(records))


def classes(found: Dataset) -> list[list[int]]:
    return [record.class_ids.tolist() for record in found.records]


def test_no_photographs_and_nothing_asked() -> None:
    assert filter_classes(dataset(), ["cat"]).records == ()
    whole = dataset([0, 1])
    assert filter_classes(whole) is whole


def test_only_and_held_out_are_two_sides_of_one_coin() -> None:
    whole = dataset([0, 1, 2, 1], [], [2])
    assert classes(filter_classes(whole, only=["dog", "cow"])) == [[1, 2, 1], [], [2]]
    assert classes(filter_classes(whole, held_out=["cat"])) == [[1, 2, 1], [], [2]]
    assert classes(filter_classes(whole, only=["cat"])) == [[0], [], []]


def test_boxes_keep_what_belongs_to_them() -> None:
    (record,) = filter_classes(dataset([0, 1, 2]), held_out=["dog"]).records
    assert record.boxes_xyxy[:, 0].tolist() == [0, 2]
    assert record.ignore.tolist() == [False, True]
    assert record.areas.tolist() == [0, 20]


def test_an_unknown_class_and_both_lists_are_refused() -> None:
    with pytest.raises(InputError, match=r"animals has no class 'dgo': did you mean 'dog'\?"):
        filter_classes(dataset([0]), only=["dgo"])
    with pytest.raises(InputError, match="give one list"):
        filter_classes(dataset([0]), only=["cat"], held_out=["dog"])


def test_a_freshly_read_set_with_crowds_and_difficult_objects_forgets_their_marks_too(
    tmp_path: Path, making: Any
) -> None:
    marks: list[dict[str, Any]] = [{"iscrowd": 1}, {"difficult": 1}, {"category_id": 2, "ignore": 1}]
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1, "bbox": [i, 0, 5, 5], **mark} for i, mark in enumerate(marks)
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }
    making.image(tmp_path / "a.png")
    read = load_dataset(making.write(tmp_path / "instances.json", document))
    for found, crowd, difficult, ignore in (
        (filter_classes(read, only=["cat"]), [True, False], [False, True], [True, False]),
        (filter_classes(read, held_out=["cat"]), [False], [False], [True]),
        (filter_classes(repair(read)[0], only=["cat"]), [True, False], [False, True], [True, False]),
    ):
        (record,) = found.records
        assert record.crowd is not None
        assert record.difficult is not None
        assert (record.crowd.tolist(), record.difficult.tolist()) == (crowd, difficult)
        assert record.ignore.tolist() == ignore


def test_a_record_keeps_every_array_that_it_has() -> None:
    (record,) = dataset([0, 1, 2]).records
    arrays = [field.name for field in fields(record) if isinstance(getattr(record, field.name), np.ndarray)]
    assert arrays == ["boxes_xyxy", "class_ids", "ignore", "areas"]
    kept = record.keep(np.array([True, False, True]))
    for name in arrays:
        np.testing.assert_array_equal(getattr(kept, name), getattr(record, name)[[0, 2]])
    assert (kept.image_id, kept.path, kept.size_hw, kept.crowd) == (0, Path("0.png"), (9, 9), None)
