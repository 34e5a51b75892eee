from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectness.datasets import available_splits, load_dataset
from objectness.datasets.records import ProblemKind
from objectness.datasets.yolo import label_path
from objectness.errors import InputError

YAML = "train: images/train\nval: images/val\nnames: [cat, dog]\n"


def yolo(making: Any, root: Path, lines: str | None, yaml: str = YAML) -> Path:
    """One training image of 40 x 30 with a label file (None: without), one validation image without."""
    making.image(root / "images" / "train" / "a.png")
    making.image(root / "images" / "val" / "b.png", seed=1)
    if lines is not None:
        making.write(root / "labels" / "train" / "a.txt", lines)
    making.write(root / "data.yaml", yaml)
    return root


@pytest.mark.parametrize("lines", [None, "", " \n\n"])
def test_no_lines_are_an_image_without_boxes(making: Any, tmp_path: Path, lines: str | None) -> None:
    dataset = load_dataset(yolo(making, tmp_path, lines), "train")
    assert dataset.records[0].boxes_xyxy.shape == (0, 4)
    assert dataset.records[0].size_hw == (30, 40)
    assert dataset.problems == ()


@pytest.mark.parametrize(
    "line",
    [
        "1 0.5 0.5 0.5 0.2",
        "1.0 0.5 0.5 0.5 0.2",
        "1 0.5 0.5 0.5 0.2 0.93",
        "1 0.25 0.4 0.75 0.4 0.5 0.6",
        "1 0.25 0.4 0.75 0.4 0.75 0.6 0.25 0.6",
        "\ufeff1 0.5 0.5 0.5 0.2\r",
    ],
)
def test_the_same_box_in_every_way_of_writing_it(making: Any, tmp_path: Path, line: str) -> None:
    dataset = load_dataset(yolo(making, tmp_path, line), "train")
    np.testing.assert_allclose(dataset.records[0].boxes_xyxy, [[10, 12, 30, 18]], rtol=1e-6)
    assert dataset.records[0].class_ids.tolist() == [1]
    assert dataset.class_names == ("cat", "dog")
    assert dataset.problems == ()


def test_key_points_are_no_polygon_where_the_yaml_declares_them(making: Any, tmp_path: Path) -> None:
    line = "0 0.5 0.5 0.5 0.2 0.9 0.9 0.1 0.1"
    plain = load_dataset(yolo(making, tmp_path, line), "train").records[0]
    np.testing.assert_allclose(plain.boxes_xyxy, [[4, 3, 36, 27]], rtol=1e-6)
    making.write(tmp_path / "data.yaml", YAML + "kpt_shape: [2, 2]\n")
    posed = load_dataset(tmp_path, "train").records[0]
    np.testing.assert_allclose(posed.boxes_xyxy, [[10, 12, 30, 18]], rtol=1e-6)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0 0.5 0.5 0.5", "4 columns"),
        ("0", "1 columns"),
        ("0 1 2 3 4 5 6 7", "8 columns"),
        ("cat 0.5 0.5 0.5 0.5", "not a number"),
        ("0,0.5,0.5,0.5,0.5", "not a number"),
        ("0.5 0.5 0.5 0.5 0.5", "whole number"),
        ("-1 0.5 0.5 0.5 0.5", "whole number"),
        ("nan 0.5 0.5 0.5 0.5", "whole number"),
    ],
)
def test_a_malformed_line_is_named_and_left_out(making: Any, tmp_path: Path, line: str, says: str) -> None:
    dataset = load_dataset(yolo(making, tmp_path, f"0 0.5 0.5 1 1\n{line}\n"), "train")
    assert dataset.records[0].boxes_xyxy.tolist() == [[0, 0, 40, 30]]
    problem = dataset.problems[0]
    assert (problem.kind, problem.file) == (ProblemKind.MALFORMED, str(tmp_path / "labels" / "train" / "a.txt"))
    assert problem.detail.startswith("line 2 ")
    assert says in problem.detail


def test_a_class_without_a_name_keeps_its_box(making: Any, tmp_path: Path) -> None:
    dataset = load_dataset(yolo(making, tmp_path, "999999999999 0.5 0.5 1 1"), "train")
    assert [problem.kind for problem in dataset.problems] == [ProblemKind.UNKNOWN_CLASS]
    assert dataset.class_names == ("cat", "dog", "class 999999999999")
    assert dataset.records[0].class_ids.tolist() == [2]


def test_binary_rubbish_as_label_file(making: Any, tmp_path: Path) -> None:
    making.write(yolo(making, tmp_path, None) / "labels" / "train" / "a.txt", b"\xff\xfe\x00\x80")
    assert [p.kind for p in load_dataset(tmp_path, "train").problems] == [ProblemKind.UNREADABLE_ANNOTATION]


def test_sizes_are_upright(making: Any, tmp_path: Path) -> None:
    yolo(making, tmp_path, "0 0.5 0.5 1 1", YAML.replace("images/train", "images/turned"))
    making.image(tmp_path / "images" / "turned" / "t.jpg", width=40, height=30, orientation=6)
    making.write(tmp_path / "labels" / "turned" / "t.txt", "0 0.5 0.5 1 1")
    record = load_dataset(tmp_path, "train").records[0]
    assert record.size_hw == (40, 30)
    assert record.boxes_xyxy.tolist() == [[0, 0, 30, 40]]


@pytest.mark.parametrize(
    "yaml",
    [
        "path: .\n" + YAML,
        "path: /nowhere/at/all\n" + YAML,
        "train: ../images/train\nval: ../images/val\n",
        "train: [images/train]\nval: images/val\nnames: {0: cat, 1: dog}\n",
        "train: list.txt\nval: images/val\nnc: 2\n",
        "train: images/train/a.png\nvalid: images/val\n",
        YAML + "test: images/test\n",
    ],
)
def test_images_are_found_however_the_yaml_names_them(making: Any, tmp_path: Path, yaml: str) -> None:
    yolo(making, tmp_path, "1 0.5 0.5 1 1", yaml)
    making.write(tmp_path / "list.txt", "./images/train/a.png\n\n")
    assert available_splits(tmp_path) == ("train", "val")
    assert [record.path.name for record in load_dataset(tmp_path, "train").records] == ["a.png"]
    assert load_dataset(tmp_path, "train").records[0].boxes_xyxy.tolist() == [[0, 0, 40, 30]]
    assert [(r.image_id, r.path.name) for r in load_dataset(tmp_path).records] == [(1, "a.png"), (2, "b.png")]
    assert [r.image_id for r in load_dataset(tmp_path / "data.yaml", "val").records] == [2]


def test_one_folder_for_both_parts_is_read_once(making: Any, tmp_path: Path) -> None:
    yolo(making, tmp_path, None, "train: images/train\nval: images/train\n")
    assert len(load_dataset(tmp_path)) == 1
    assert len(load_dataset(tmp_path, "val")) == 1


@pytest.mark.parametrize(
    ("yaml", "says"),
    [
        ("train: [", "not a YAML file"),
        ("3", "needs at least 'train' or 'val'"),
        ("names: [a]", "needs at least 'train' or 'val'"),
        ("train: gone\nval: lost", "train: gone; val: lost"),
        ("train: images/train\nnames: {cat: 0}", "must map class numbers"),
        ("train: !!python/object/apply:os.system [ls]", "not a YAML file"),
    ],
)
def test_a_bad_yaml_is_refused_in_one_sentence(making: Any, tmp_path: Path, yaml: str, says: str) -> None:
    yolo(making, tmp_path, None, yaml)
    with pytest.raises(InputError, match=says) as error:
        load_dataset(tmp_path / "data.yaml")
    assert "\n" not in str(error.value)


def test_what_the_yaml_names_and_is_not_there(making: Any, tmp_path: Path) -> None:
    yolo(making, tmp_path, None, YAML + "test: images/test\n")
    assert [p.detail for p in load_dataset(tmp_path).problems] == ["names images/test for test, which is not there"]
    assert load_dataset(tmp_path, "train").problems == ()


def test_label_files_without_images_and_images_that_are_none(making: Any, tmp_path: Path) -> None:
    yolo(making, tmp_path, None)
    making.write(tmp_path / "labels" / "train" / "a.txt", "")
    orphan = making.write(tmp_path / "labels" / "train" / "z.txt", "0 0.5 0.5 1 1")
    making.write(tmp_path / "images" / "train" / "broken.jpg", "no photograph")
    dataset = load_dataset(tmp_path, "train")
    assert [(p.kind, p.file) for p in dataset.problems] == [(ProblemKind.MISSING_IMAGE, str(orphan))]
    assert [(r.path.name, r.size_hw) for r in dataset.records] == [("a.png", (30, 40)), ("broken.jpg", None)]


@pytest.mark.parametrize(("images", "labels"), [("images/train", "labels/train"), ("train/images", "train/labels")])
def test_without_a_yaml(making: Any, tmp_path: Path, images: str, labels: str) -> None:
    making.image(tmp_path / images / "a.png")
    making.write(tmp_path / labels / "a.txt", "7 0.5 0.5 1 1")
    assert available_splits(tmp_path) == ("train",)
    dataset = load_dataset(tmp_path)
    assert dataset.class_names == ("class 7",)
    assert dataset.records[0].boxes_xyxy.tolist() == [[0, 0, 40, 30]]
    assert dataset.problems == ()


def test_images_labels_and_classes_in_one_folder(making: Any, tmp_path: Path) -> None:
    making.image(tmp_path / "a.png")
    making.write(tmp_path / "a.txt", "0 0.5 0.5 1 1")
    making.write(tmp_path / "classes.txt", "cat\n")
    dataset = load_dataset(tmp_path)
    assert (dataset.layout, dataset.class_names, len(dataset)) == ("yolo", ("cat",), 1)


def test_only_the_last_images_folder_becomes_labels(tmp_path: Path) -> None:
    image = tmp_path / "images" / "set" / "images" / "a.b.png"
    assert label_path(image) == tmp_path / "images" / "set" / "labels" / "a.b.txt"
    assert label_path(tmp_path / "photos" / "a.png") == tmp_path / "photos" / "a.txt"


def test_the_shared_underwater_photographs(shared_data: Path) -> None:
    whole = load_dataset(shared_data / "aquarium")
    assert (len(whole), sum(len(record.boxes_xyxy) for record in whole.records)) == (383, 2928)
    assert available_splits(shared_data / "aquarium") == ("train", "val")
    assert whole.class_names == ("animal",)
    assert whole.problems == ()


def test_a_closed_folder_among_the_images_is_a_problem_and_takes_no_image_with_it(
    making: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "closed/b"):
        making.image(tmp_path / "images" / f"{name}.png")
        making.write(tmp_path / "labels" / f"{name}.txt", "0 .5 .5 .4 .4\n")
    making.write(tmp_path / "data.yaml", "path: .\ntrain: images\nnames: {0: cell}\n")
    really = os.scandir

    def scan(place: Any) -> Any:
        if Path(place) == tmp_path / "images" / "closed":
            raise PermissionError(13, "Permission denied")
        return really(place)

    monkeypatch.setattr(os, "scandir", scan)  # the tests may run as a user whom nothing is closed to
    dataset = load_dataset(tmp_path)
    assert [record.path.name for record in dataset.records] == ["a.png"]
    named = [problem for problem in dataset.problems if problem.file == str(tmp_path / "images" / "closed")]
    assert [problem.detail for problem in named] == [
        "the folder cannot be read (Permission denied); what is in it was passed over"
    ]


@pytest.mark.parametrize("line", ["0 320 240 100 80", "0 100 100 300 100 200 300", "0 .5 .5 2 .5", "0 -3 .5 .1 .1"])
def test_pixels_are_no_fractions_and_become_no_object(making: Any, tmp_path: Path, line: str) -> None:
    dataset = load_dataset(yolo(making, tmp_path, f"0 0.5 0.5 0.5 0.5\n{line}\n"), "train")
    assert dataset.records[0].boxes_xyxy.tolist() == [[10, 7.5, 30, 22.5]]
    assert [problem.kind for problem in dataset.problems] == [ProblemKind.MALFORMED]
    assert "no fractions of the image (are they pixels?)" in dataset.problems[0].detail


def test_key_points_with_visibility_are_known_by_it(making: Any, tmp_path: Path) -> None:
    points = "0.45 0.5 2 0.55 0.5 1 0 0 0 0.5 0.45 2"
    dataset = load_dataset(yolo(making, tmp_path, f"0 0.5 0.5 0.5 0.2 {points}\n1 0.5 0.5 0.5 0.2 {points}\n"), "train")
    np.testing.assert_allclose(dataset.records[0].boxes_xyxy, [[10, 12, 30, 18]] * 2, rtol=1e-6)
    assert dataset.problems == ()
    assert "17 columns were read as a box and 4 key points" in dataset.notes[0]


def test_outlines_are_no_key_points(making: Any, tmp_path: Path) -> None:
    lines = "0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9 0.1 0.5\n0 0.2 0.2 0.4 0.2 0.4 0.4\n"
    dataset = load_dataset(yolo(making, tmp_path, lines), "train")
    np.testing.assert_allclose(dataset.records[0].boxes_xyxy, [[4, 3, 36, 27], [8, 6, 16, 12]], rtol=1e-6)
    assert dataset.notes == ()


def test_what_could_be_either_is_said(making: Any, tmp_path: Path) -> None:
    dataset = load_dataset(yolo(making, tmp_path, "0 0.5 0.5 0.5 0.2 0.45 0.5 0.55 0.5 0.5 0.45\n"), "train")
    assert "11 columns were read as polygons: should they be a box and key points, 'kpt_shape'" in dataset.notes[0]
