from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objectness.datasets import available_splits, hold_out, load_dataset, repair
from objectness.datasets.checks import inspect
from objectness.datasets.records import ProblemKind
from objectness.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder in an empty folder: what lies beside it belongs to no other test."""
    (tmp_path / "inner").mkdir()
    return tmp_path / "inner"


def test_an_empty_folder_says_what_was_looked_for(folder: Path) -> None:
    with pytest.raises(InputError, match=r"looked for COCO .* Pascal VOC .* YOLO .*found an empty folder"):
        load_dataset(folder)


def test_what_was_found_is_named(making: Any, folder: Path) -> None:
    for name in "abcdefg":
        making.write(folder / f"{name}.csv", "")
    with pytest.raises(InputError, match=r"found a.csv, b.csv, c.csv, d.csv, e.csv and 2 more"):
        load_dataset(folder)


def test_images_alone_are_no_data_set(making: Any, folder: Path) -> None:
    making.image(folder / "a.png")
    with pytest.raises(InputError, match="holds images but no annotations"):
        available_splits(folder)


def test_a_folder_too_high_or_too_deep(making: Any, tmp_path: Path) -> None:
    making.image(tmp_path / "VOC2007" / "JPEGImages" / "a.png")
    making.write(tmp_path / "VOC2007" / "Annotations" / "a.xml", making.voc_xml("a.png"))
    root = tmp_path / "VOC2007"
    for wrong in (tmp_path, root / "JPEGImages"):
        with pytest.raises(InputError, match="is no data set itself, but ") as error:
            load_dataset(wrong)
        assert f"but {root} is:" in str(error.value)
    assert load_dataset(root / "Annotations").records[0].path == root / "JPEGImages" / "a.png"


def test_two_layouts_in_one_folder(making: Any, tmp_path: Path, coco_json: Callable[..., Path]) -> None:
    json = coco_json([[]])
    making.write(tmp_path / "data.yaml", "train: train\n")
    with pytest.raises(InputError, match=r"2 kinds \(COCO, YOLO\)"):
        load_dataset(tmp_path)
    assert load_dataset(json).layout == "coco"
    assert load_dataset(tmp_path / "data.yaml").layout == "yolo"


@pytest.mark.parametrize(
    ("name", "says"),
    [("photos.zip", "unpack it"), ("a.csv", "give a folder, a COCO JSON file or a YOLO data.yaml")],
)
def test_files_of_other_kinds(making: Any, tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load_dataset(making.write(tmp_path / name, ""))


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    with pytest.raises(InputError, match=r"does not exist: did you mean .*cells\.$"):
        load_dataset(tmp_path / "cels")
    with pytest.raises(InputError, match="cannot be read"):
        load_dataset("n" * 5000)
    with pytest.raises(InputError, match="does not exist: give a folder"):
        load_dataset(tmp_path / "no" / "such")


def test_hold_out_parts_are_disjoint_complete_and_seeded(coco_json: Callable[..., Path]) -> None:
    dataset = load_dataset(coco_json([[] for _ in range(20)]))
    train, val = hold_out(dataset, 0.25, seed=3)
    assert (len(train), len(val), train.split, val.split) == (15, 5, "train", "val")
    ids = [[record.image_id for record in part.records] for part in (train, val)]
    assert sorted(ids[0] + ids[1]) == [record.image_id for record in dataset.records]
    assert ids == [sorted(ids[0]), sorted(ids[1])]
    again = hold_out(dataset, 0.25, seed=3)
    assert [[record.image_id for record in part.records] for part in again] == ids
    assert [record.image_id for record in hold_out(dataset, 0.25, seed=4)[1].records] != ids[1]


@pytest.mark.parametrize(("count", "fraction", "held"), [(2, 0.01, 1), (2, 0.99, 1), (10, 0.1, 1), (3, 0.5, 2)])
def test_hold_out_leaves_no_part_empty(coco_json: Callable[..., Path], count: int, fraction: float, held: int) -> None:
    train, val = hold_out(load_dataset(coco_json([[]] * count)), fraction)
    assert (len(train), len(val)) == (count - held, held)


@pytest.mark.parametrize(("count", "fraction"), [(0, 0.1), (1, 0.1), (5, 0), (5, 1), (5, float("nan"))])
def test_hold_out_that_cannot_be(coco_json: Callable[..., Path], count: int, fraction: float) -> None:
    with pytest.raises(InputError):
        hold_out(load_dataset(coco_json([[]] * count)), fraction)


@pytest.mark.parametrize("name", ["n" * 5000, "zero\0byte.png", "\ud800.png", "../../up.png", "/none.png", "/"])
def test_impossible_names_are_missing_images(making: Any, tmp_path: Path, name: str) -> None:
    coco = making.write(tmp_path / "c.json", {"images": [{"id": 1, "file_name": name}], "annotations": []})
    making.write(tmp_path / "images" / "list.txt", name.encode("utf-8", "replace"))
    making.write(tmp_path / "data.yaml", "train: images/list.txt\n")
    for path in (coco, tmp_path / "data.yaml"):
        dataset = load_dataset(path)
        assert len(dataset) == 1
        with pytest.raises(InputError, match="has no image that can be used"):
            repair(dataset)
        assert [p.kind for p in inspect(dataset).problems] in (
            [ProblemKind.MISSING_IMAGE],
            [ProblemKind.UNREADABLE_IMAGE],
        )


def test_a_list_may_name_folders_that_cannot_be(making: Any, tmp_path: Path) -> None:
    making.image(tmp_path / "images" / "a.png")
    making.write(tmp_path / "list.txt", f"images/a.png\nimages/{'n' * 300}/b.png\nimages/z\0/c.png\n")
    dataset = load_dataset(making.write(tmp_path / "data.yaml", "train: list.txt\n"))
    assert [p.kind for p in inspect(dataset).problems].count(ProblemKind.DUPLICATE_IMAGE) == 0
    assert len(dataset) == 3
