"""Whatever is written is valid and comes back through our own reader; what could not be kept is counted and said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from objectness.datasets import layouts, load_dataset
from objectness.datasets.checks import inspect
from objectness.datasets.conversion import convert, write_parts
from objectness.datasets.records import Record
from objectness.datasets.safe_names import safe_class_names, safe_name, unique_file_names
from objectness.errors import InputError

LAYOUTS = tuple(layout.name for layout in layouts.LAYOUTS)
Boxes = Sequence[Sequence[float]]


def record(path: Path, boxes: Boxes = (), number: int = 1, size_hw: tuple[int, int] = (30, 40)) -> Record:
    array = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    zeros = np.zeros(len(array), dtype=np.bool_)
    with np.errstate(all="ignore"):
        areas = (array[:, 2] - array[:, 0]) * (array[:, 3] - array[:, 1])
    return Record(number, path, size_hw, array, np.zeros(len(array), dtype=np.int64), zeros, areas)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        ([[5, 5, 5, 9]], "left out 1 boxes whose width or height is 0 or less"),
        ([[9, 5, 5, 9], [1, 1, 9, 9]], "left out 1 boxes whose width or height is 0 or less"),
        ([[math.nan, 0, 5, 5], [0, 0, math.inf, 5]], "left out 2 boxes that are not made of finite numbers"),
    ],
)
def test_boxes_that_are_none_are_left_out_and_counted(
    tmp_path: Path, making: Any, layout: str, boxes: Boxes, said: str
) -> None:
    image = making.image(tmp_path / "a.png")
    written = write_parts({"train": [record(image, boxes)]}, ("cat",), tmp_path / "out", layout)
    assert said in written.changes
    dataset = load_dataset(tmp_path / "out", "train")
    assert dataset.problems == ()
    assert written.boxes == {"train": len(dataset.records[0].boxes_xyxy)} == {"train": len(boxes) - int(said[9])}


@pytest.mark.parametrize("layout", ["voc", "yolo"])
def test_boxes_are_clipped_to_their_image_and_those_outside_left_out(tmp_path: Path, making: Any, layout: str) -> None:
    image = making.image(tmp_path / "a.png")
    boxes = [[-5, 20, 10, 40], [50, 5, 60, 9], [40, 0, 45, 30], [0, 0, 40, 30]]
    written = write_parts({"train": [record(image, boxes)]}, ("cat",), tmp_path / "out", layout)
    assert "left out 2 boxes that lie outside of their image" in written.changes
    assert "1 boxes were clipped to their image" in written.changes
    assert "areas" not in " ".join(written.changes)
    dataset = load_dataset(tmp_path / "out", "train")
    np.testing.assert_allclose(dataset.records[0].boxes_xyxy, [[0, 20, 10, 30], [0, 0, 40, 30]], atol=1e-4)
    assert inspect(dataset).problems == ()


def test_a_box_thinner_than_a_pixel_is_one_pixel_in_voc(tmp_path: Path, making: Any) -> None:
    image = making.image(tmp_path / "a.png")
    boxes = [[11.6, 3, 12.4, 9], [39.6, 29.7, 40, 30], [0, 0.2, 9, 0.4]]
    written = write_parts({"train": [record(image, boxes)]}, ("cat",), tmp_path / "out", "voc")
    assert "3 boxes had no whole pixel between their sides and are one pixel wide or high now" in written.changes
    read = load_dataset(tmp_path / "out").records[0].boxes_xyxy
    assert read.tolist() == [[11, 3, 12, 9], [39, 29, 40, 30], [0, 0, 9, 1]]


@settings(max_examples=25)
@given(st.lists(st.lists(st.floats(-70, 70, width=32), min_size=4, max_size=4), max_size=5))
def test_any_boxes_come_back_valid(tmp_path_factory: pytest.TempPathFactory, making: Any, boxes: Boxes) -> None:
    folder = tmp_path_factory.mktemp("any")
    image = making.image(folder / "a.png")
    for layout in LAYOUTS:
        written = write_parts({"train": [record(image, boxes)]}, ("cat",), folder / layout, layout)
        (read,) = load_dataset(folder / layout, "train").records
        assert written.boxes == {"train": len(read.boxes_xyxy)}
        sides = read.boxes_xyxy[:, 2:] - read.boxes_xyxy[:, :2]
        assert (sides > 0).all()
        if layout != "coco":
            assert (read.boxes_xyxy >= -1e-3).all()
            assert (read.boxes_xyxy <= np.array([40, 30, 40, 30]) + 1e-3).all()
    for line in (folder / "yolo" / "labels" / "train" / "a.txt").read_text().splitlines():
        values = [float(word) for word in line.split()[1:]]
        assert min(values) >= 0
        assert max(values) <= 1
        assert min(values[2:]) > 0


@pytest.mark.parametrize("layout", ["voc", "yolo"])
def test_two_entries_of_one_image_are_merged_and_said(tmp_path: Path, making: Any, layout: str) -> None:
    image = making.image(tmp_path / "a.png")
    entries = [record(image, [[1, 1, 9, 9]], 1), record(image, [[20, 5, 30, 15], [1, 1, 9, 9]], 2)]
    written = write_parts({"train": entries}, ("cat",), tmp_path / "out", layout)
    assert (written.images, written.boxes) == ({"train": 1}, {"train": 2})
    assert written.changes[0].startswith("1 entries are of an image that another entry has too")
    assert written.changes[1] == "1 boxes that such entries have in common were written once"
    (read,) = load_dataset(tmp_path / "out", "train").records
    np.testing.assert_allclose(read.boxes_xyxy, [[1, 1, 9, 9], [20, 5, 30, 15]], atol=1e-4)


def test_coco_keeps_two_entries_of_one_image(tmp_path: Path, making: Any) -> None:
    image = making.image(tmp_path / "a.png")
    entries = [record(image, [[1, 1, 9, 9]], 7), record(image, [[20, 5, 30, 15]], 8)]
    assert write_parts({"all": entries}, ("cat",), tmp_path / "out", "coco").boxes == {"all": 2}
    assert [r.image_id for r in load_dataset(tmp_path / "out").records] == [7, 8]


def test_an_image_in_two_parts_of_voc_has_the_boxes_of_both(tmp_path: Path, making: Any) -> None:
    image = making.image(tmp_path / "a.png")
    parts = {"train": [record(image, [[1, 1, 9, 9]])], "val": [record(image, [[20, 5, 30, 15]])]}
    written = write_parts(parts, ("cat",), tmp_path / "out", "voc")
    assert written.boxes == {"train": 2, "val": 2}
    assert written.changes[0].startswith("1 images are in several parts with different boxes")
    for part in parts:
        assert load_dataset(tmp_path / "out", part).records[0].boxes_xyxy.tolist() == [[1, 1, 9, 9], [20, 5, 30, 15]]


NAMES = [
    "two words.png",
    " edge .png",
    "cat 1.png",
    "photo.jpg.png",
    "a.b.c.png",
    "line\nbreak.png",
    "para\u2029graph.png",
    "\ufeffmark.png",
    "tab\tbed.png",
    "ctrl\x07.png",
    ".hidden.png",
    "x.proposals.png",
    "dög & <b> \"'.png",
    "日本語.PNG",
    "classes.png",
    "%20.png",
    "no-suffix",
    "odd.suffix",
    "-dash.png",
    "#hash.png",
    "A.png",
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_awkward_names_come_back(tmp_path: Path, making: Any, layout: str) -> None:
    source = making.image(tmp_path / "source.png")
    (tmp_path / "in").mkdir()
    records = []
    for number, name in enumerate([*NAMES, "sub/a.png"], start=1):
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(source.read_bytes())
        records.append(record(path, [[number, 1, number + 9, 9]], number))
    written = write_parts({"train": records[:10], "val": records[10:]}, ("cat",), tmp_path / "out", layout)
    assert not any("missing" in sentence for sentence in written.changes)
    read = [r for part in ("train", "val") for r in load_dataset(tmp_path / "out", part).records]
    assert sorted(round(float(r.boxes_xyxy[0, 0])) for r in read) == list(range(1, len(records) + 1))
    assert all(r.path.is_file() for r in read)
    assert load_dataset(tmp_path / "out").problems == ()
    inside = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert inside == {"in", "out", "source.png"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_that_no_file_can_have(tmp_path: Path, layout: str) -> None:
    paths = [Path("zero\0byte.png"), Path("\ud800lone.png"), Path("n" * 5000 + ".png"), Path("..") / "..", Path("/")]
    records = [record(path, [[1, 1, 9, 9]], number) for number, path in enumerate(paths, start=1)]
    written = write_parts({"train": records}, ("cat",), tmp_path / "out", layout)
    assert "5 images are missing and could not be put there" in written.changes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    if layout != "yolo":  # which lists what is there
        assert len(load_dataset(tmp_path / "out", "train")) == 5


@pytest.mark.parametrize("layout", LAYOUTS)
def test_class_names_come_back(tmp_path: Path, making: Any, layout: str) -> None:
    names = ("cat", "cat ", "no", "2024-01-01", "", "a: b # c", "\x07bell", "{x}", "null", "1.0", "<b>&amp;")
    image = making.image(tmp_path / "a.png")
    whole = record(image, [[i, 1, i + 9, 9] for i in range(len(names))])
    whole = Record(**{**vars(whole), "class_ids": np.arange(len(names))})
    write_parts({"train": [whole]}, names, tmp_path / "out", layout)
    dataset = load_dataset(tmp_path / "out", "train")
    found = [dataset.class_names[index] for index in dataset.records[0].class_ids]
    assert found == list(names if layout == "coco" else safe_class_names(names))
    assert safe_class_names(names)[:5] == ("cat", "cat_2", "no", "2024-01-01", "unnamed")


def test_names_are_unlike_even_where_case_does_not_count() -> None:
    assert list(unique_file_names([Path("x/A.jpg"), Path("y/a.png")]).values()) == ["x_A.jpg", "y_a.png"]
    assert safe_name("é" * 300 + ".jpg") == "é" * 100 + ".jpg"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("images", ["copy", "link"])
def test_what_is_no_image_is_never_copied(tmp_path: Path, making: Any, layout: str, images: str) -> None:
    making.write(tmp_path / "secret" / "id_rsa", "BEGIN KEY")
    making.image(tmp_path / "elsewhere" / "b.png", seed=2)
    making.image(tmp_path / "set" / "a.png")
    (tmp_path / "set" / "link.png").symlink_to(tmp_path / "secret" / "id_rsa")
    (tmp_path / "set" / "b.png").symlink_to(tmp_path / "elsewhere" / "b.png")
    entries = [
        {"id": i, "file_name": name, "width": 40, "height": 30}
        for i, name in enumerate(("a.png", "link.png", "b.png"), start=1)
    ]
    making.write(tmp_path / "set" / "instances.json", {"images": entries, "annotations": []})
    said = convert(tmp_path / "set", tmp_path / "out", layout, images=images).changes
    done = "copied" if images == "copy" else "linked"
    assert f"1 files are no images that can be read, and were not {done}" in said
    assert f"1 of the images lie outside of {tmp_path / 'set'}, behind links or by names that were allowed" in said
    texts = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not any(b"BEGIN KEY" in text for text in texts)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_size_of_the_file_counts(tmp_path: Path, making: Any, layout: str) -> None:
    making.image(tmp_path / "set" / "a.png", width=80, height=60)
    entry = {"id": 1, "file_name": "a.png", "width": 40, "height": 30}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 10], "area": 200}
    making.write(tmp_path / "set" / "instances.json", {"images": [entry], "annotations": [box]})
    said = convert(tmp_path / "set", tmp_path / "out", layout).changes
    assert said[0].startswith("1 images have another size than their annotation says: the file's was taken")
    read = load_dataset(tmp_path / "out").records[0]
    assert read.size_hw == (60, 80)
    np.testing.assert_allclose(read.boxes_xyxy, [[10, 10, 30, 20]], atol=1e-4)


def test_data_yaml_has_no_path_that_depends_on_the_working_folder(tmp_path: Path, making: Any) -> None:
    image = making.image(tmp_path / "a.png")
    write_parts({"train": [record(image)], "val": [record(image)]}, ("cat",), tmp_path / "out", "yolo")
    document = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())
    assert document == {"train": "images/train", "val": "images/val", "names": {0: "cat"}}


def test_text_ids_of_coco_are_kept(tmp_path: Path, making: Any) -> None:
    making.image(tmp_path / "set" / "a.png")
    entry = {"id": "A-7", "file_name": "a.png", "width": 40, "height": 30}
    box = {"id": 1, "image_id": "A-7", "category_id": 1, "bbox": [1, 1, 5, 5]}
    making.write(tmp_path / "set" / "instances.json", {"images": [entry], "annotations": [box]})
    assert convert(tmp_path / "set", tmp_path / "out", "coco").changes == ()
    read = load_dataset(tmp_path / "out").records[0]
    assert (read.own_id, len(read.boxes_xyxy)) == ("A-7", 1)


def test_a_target_in_use_is_refused(tmp_path: Path, making: Any) -> None:
    making.write(tmp_path / "out" / "notes.txt", "mine")
    with pytest.raises(InputError, match="not empty"):
        write_parts({"all": []}, (), tmp_path / "out", "coco")
