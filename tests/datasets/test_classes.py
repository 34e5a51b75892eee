from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from objectness.datasets.classes import label_only
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
    assert label_only(dataset(), ["cat"]).records == ()
    whole = dataset([0, 1])
    assert label_only(whole) is whole


def test_only_and_held_out_are_two_sides_of_one_coin() -> None:
    whole = dataset([0, 1, 2, 1], [], [2])
    assert classes(label_only(whole, only=["dog", "cow"])) == [[1, 2, 1], [], [2]]
    assert classes(label_only(whole, held_out=["cat"])) == [[1, 2, 1], [], [2]]
    assert classes(label_only(whole, only=["cat"])) == [[0], [], []]


def test_boxes_keep_what_belongs_to_them() -> None:
    (record,) = label_only(dataset([0, 1, 2]), held_out=["dog"]).records
    assert record.boxes_xyxy[:, 0].tolist() == [0, 2]
    assert record.ignore.tolist() == [False, True]
    assert record.areas.tolist() == [0, 20]


def test_an_unknown_class_and_both_lists_are_refused() -> None:
    with pytest.raises(InputError, match=r"animals has no class 'dgo': did you mean 'dog'\?"):
        label_only(dataset([0]), only=["dgo"])
    with pytest.raises(InputError, match="give one list"):
        label_only(dataset([0]), only=["cat"], held_out=["dog"])
