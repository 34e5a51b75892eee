from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectness.datasets import available_splits, load_dataset, repair
from objectness.datasets.records import ProblemKind


def voc(making: Any, root: Path, names: str = "abc") -> Path:
    for number, name in enumerate(names):
        making.image(root / "JPEGImages" / f"{name}.png", seed=number)
        making.write(root / "Annotations" / f"{name}.xml", making.voc_xml(f"{name}.png", (1, 1, 10 + number, 20)))
    return root


def test_an_annotation_without_objects_is_an_image_without_boxes(making: Any, tmp_path: Path) -> None:
    making.image(tmp_path / "JPEGImages" / "a.png")
    making.write(tmp_path / "Annotations" / "a.xml", making.voc_xml("a.png"))
    dataset = load_dataset(tmp_path)
    assert dataset.records[0].boxes_xyxy.shape == (0, 4)
    assert dataset.class_names == ()
    assert dataset.problems == ()


def test_corners_count_from_one_and_include_the_last_pixel(making: Any, tmp_path: Path) -> None:
    record = load_dataset(voc(making, tmp_path, "a")).records[0]
    assert record.boxes_xyxy.tolist() == [[0, 0, 10, 20]]
    assert record.size_hw == (30, 40)
    assert record.ignore.tolist() == [False], "difficult objects are ordinary boxes"
    assert record.path == tmp_path / "JPEGImages" / "a.png"


def test_a_box_that_fills_the_image_fits_it_exactly(making: Any, tmp_path: Path) -> None:
    voc(making, tmp_path, "a")
    making.write(tmp_path / "Annotations" / "a.xml", making.voc_xml("a.png", (1, 1, 40, 30)))
    assert load_dataset(tmp_path).records[0].boxes_xyxy.tolist() == [[0, 0, 40, 30]]


def test_zero_based_corners_are_kept_when_read_and_clipped_when_repaired(making: Any, tmp_path: Path) -> None:
    voc(making, tmp_path, "a")
    making.write(tmp_path / "Annotations" / "a.xml", making.voc_xml("a.png", (0, 0, 40, 30)))
    dataset = load_dataset(tmp_path)
    assert dataset.records[0].boxes_xyxy.tolist() == [[-1, -1, 40, 30]]
    repaired, said = repair(dataset, strict=True)
    assert repaired.records[0].boxes_xyxy.tolist() == [[0, 0, 40, 30]]
    assert said == ()


def test_splits_and_stable_numbers(making: Any, tmp_path: Path) -> None:
    voc(making, tmp_path)
    sets = tmp_path / "ImageSets" / "Main"
    making.write(sets / "train.txt", "b\n\n")
    making.write(sets / "trainval.txt", "a\nb\n")
    making.write(sets / "test.txt", "c.png 1\r\n")
    making.write(sets / "cell_train.txt", "a -1\n")
    assert available_splits(tmp_path) == ("train", "test")
    assert [(r.image_id, r.path.stem) for r in load_dataset(tmp_path, "train").records] == [(2, "b")]
    assert [(r.image_id, r.path.stem) for r in load_dataset(tmp_path, "test").records] == [(3, "c")]
    assert [r.path.stem for r in load_dataset(tmp_path).records] == ["a", "b", "c"]


def test_trainval_stands_for_train_where_there_is_no_train(making: Any, tmp_path: Path) -> None:
    making.write(voc(making, tmp_path) / "ImageSets" / "Main" / "trainval.txt", "c\na\n")
    assert [r.path.stem for r in load_dataset(tmp_path, "train").records] == ["c", "a"]


@pytest.mark.parametrize(
    ("xml", "says"),
    [
        ("<annotation><object>", "not well-formed"),
        ("", "not well-formed"),
        ("<html/>", "outer element is <html>"),
        ('<!DOCTYPE a [<!ENTITY b "&#65;">]><annotation>&b;</annotation>', "DOCTYPE"),
        ('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a><annotation/>'.encode("utf-16"), "DOCTYPE"),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "not well-formed"),
    ],
)
def test_a_bad_file_is_named_and_its_image_left_out(making: Any, tmp_path: Path, xml: str | bytes, says: str) -> None:
    path = making.write(voc(making, tmp_path, "ab") / "Annotations" / "a.xml", xml)
    dataset = load_dataset(tmp_path)
    assert [r.path.stem for r in dataset.records] == ["b"]
    assert [(p.kind, p.file) for p in dataset.problems] == [(ProblemKind.UNREADABLE_ANNOTATION, str(path))]
    assert says in dataset.problems[0].detail


def test_entities_never_unfold(making: Any, tmp_path: Path) -> None:
    lines = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "ha"}">' for i in range(12))
    bomb = f"<!DOCTYPE b [{lines}]><annotation><filename>&l11;</filename></annotation>"
    making.write(voc(making, tmp_path, "a") / "Annotations" / "b.xml", bomb)
    assert "DOCTYPE" in load_dataset(tmp_path).problems[0].detail


def test_a_listed_annotation_that_is_missing(making: Any, tmp_path: Path) -> None:
    making.write(voc(making, tmp_path, "a") / "ImageSets" / "Main" / "train.txt", "a\nz\n")
    dataset = load_dataset(tmp_path, "train")
    assert len(dataset) == 1
    assert dataset.problems[0].detail == "is listed in ImageSets but missing"


def test_an_object_without_a_box_is_named(making: Any, tmp_path: Path) -> None:
    making.write(
        voc(making, tmp_path, "a") / "Annotations" / "a.xml",
        making.voc_xml("a.png", ("x", 1, 2, 3), (1, 1, 9, 9)),
    )  # type: ignore[arg-type]
    dataset = load_dataset(tmp_path)
    assert dataset.records[0].boxes_xyxy.tolist() == [[0, 0, 9, 9]]
    assert dataset.problems[0].kind == ProblemKind.MALFORMED
    assert dataset.problems[0].detail.startswith("object 1 ")


def test_numbers_that_are_none(making: Any, tmp_path: Path) -> None:
    making.write(
        voc(making, tmp_path, "a") / "Annotations" / "a.xml",
        making.voc_xml("a.png", (float("nan"), 1, 1e300, 3), size=(0, 0)),
    )
    record = load_dataset(tmp_path).records[0]
    assert np.isnan(record.boxes_xyxy[0, 0])
    assert record.boxes_xyxy[0, 2] == np.inf
    assert record.size_hw is None


@pytest.mark.parametrize("written", ["gone.jpg", "C:\\photos\\a.PNG", "/home/pi/a.bmp", ""])
def test_the_image_is_found_by_the_name_of_the_xml(making: Any, tmp_path: Path, written: str) -> None:
    making.write(voc(making, tmp_path, "a") / "Annotations" / "a.xml", making.voc_xml(written))
    assert load_dataset(tmp_path).records[0].path == tmp_path / "JPEGImages" / "a.png"


def test_two_files_for_one_image(making: Any, tmp_path: Path) -> None:
    making.write(voc(making, tmp_path, "a") / "Annotations" / "b.xml", making.voc_xml("a.png"))
    assert [p.kind for p in load_dataset(tmp_path).problems] == [ProblemKind.DUPLICATE_NAME]


@pytest.mark.parametrize("folder", ["", "train"])
def test_annotations_beside_the_images(making: Any, tmp_path: Path, folder: str) -> None:
    making.image(tmp_path / folder / "a.png")
    making.write(tmp_path / folder / "a.xml", making.voc_xml("a.png", (1, 1, 5, 5)))
    dataset = load_dataset(tmp_path)
    assert dataset.layout == "voc"
    assert dataset.records[0].path == tmp_path / folder / "a.png"
    assert available_splits(tmp_path) == (("train",) if folder else ())


def test_the_shared_micrographs(shared_data: Path) -> None:
    bccd = shared_data / "bccd"
    splits = {split: load_dataset(bccd, split) for split in available_splits(bccd)}
    assert {split: len(dataset) for split, dataset in splits.items()} == {"train": 205, "val": 87, "test": 72}
    whole = load_dataset(bccd)
    boxes = np.concatenate([record.boxes_xyxy for record in whole.records])
    assert (len(whole), len(boxes)) == (364, 4888)
    assert whole.class_names == ("Platelets", "RBC", "WBC")
    assert boxes.min() == 0, "the corners really count from 1"
    assert boxes.max(axis=0)[2:].tolist() == [640, 480]
    assert {record.size_hw for record in whole.records} == {(480, 640)}
    same = {record.path: record.image_id for record in whole.records}
    assert all(same[r.path] == r.image_id for dataset in splits.values() for r in dataset.records)


@pytest.mark.parametrize(
    ("written", "means"),
    [("1", True), ("true", True), ("1.0", True), ("0", False), ("", False), ("Unspecified", False)],
)
def test_difficult_in_every_spelling(making: Any, tmp_path: Path, written: str, means: bool) -> None:
    xml = making.voc_xml("a.png", (1, 1, 9, 9)).replace("<difficult>1<", f"<difficult>{written}<")
    making.write(voc(making, tmp_path, "a") / "Annotations" / "a.xml", xml)
    dataset = load_dataset(tmp_path)
    assert dataset.records[0].difficult is not None
    assert dataset.records[0].difficult.tolist() == [means]
    assert dataset.problems == ()


def test_a_difficult_that_is_no_flag_is_named(making: Any, tmp_path: Path) -> None:
    xml = making.voc_xml("a.png", (1, 1, 9, 9)).replace("<difficult>1<", "<difficult>very<")
    making.write(voc(making, tmp_path, "a") / "Annotations" / "a.xml", xml)
    assert load_dataset(tmp_path).problems[0].detail == "object 1 has difficult 'very', taken for 0 as it is no flag"


@pytest.mark.parametrize("side", ["1" + "0" * 400, "inf", "nan", "-40", "wide"])
def test_sizes_that_no_image_has_are_unknown(making: Any, tmp_path: Path, side: str) -> None:
    xml = making.voc_xml("a.png", (1, 1, 9, 9)).replace("<width>40<", f"<width>{side}<")
    making.write(voc(making, tmp_path, "a") / "Annotations" / "a.xml", xml)
    assert load_dataset(tmp_path).records[0].size_hw is None


def test_names_with_spaces_in_lists(making: Any, tmp_path: Path) -> None:
    for name in ("two words", "cat 1", "photo.jpg"):
        making.image(tmp_path / "JPEGImages" / f"{name}.png")
        making.write(tmp_path / "Annotations" / f"{name}.xml", making.voc_xml(f"{name}.png"))
    voc(making, tmp_path, "a")
    lines = "two words\ncat 1\nphoto.jpg\na  -1\n"
    making.write(tmp_path / "ImageSets" / "Main" / "train.txt", lines)
    assert [r.path.stem for r in load_dataset(tmp_path, "train").records] == ["two words", "cat 1", "photo.jpg", "a"]
