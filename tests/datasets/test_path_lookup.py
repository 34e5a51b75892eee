"""Names in a data set that lead out of its folder: refused unless allowed, and never by accident."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from objectness.datasets import available_splits, load_dataset
from objectness.datasets.path_lookup import other_spellings
from objectness.errors import InputError

REFUSED = "lies outside of the data set's folder"


@pytest.fixture
def secret(tmp_path: Path, making: Any) -> Path:
    """A photograph outside of the data set, which a stranger knows the name of."""
    return Path(making.image(tmp_path / "private" / "secret.png"))


def coco(making: Any, root: Path, *names: str) -> Path:
    images = [{"id": i, "file_name": name, "width": 40, "height": 30} for i, name in enumerate(names, start=1)]
    return Path(making.write(root / "instances.json", {"images": images, "annotations": []}))


@pytest.mark.parametrize("name", ["../private/secret.png", "..\\private\\secret.png", "sub/../../private/secret.png"])
def test_coco_names_that_leave_the_folder(tmp_path: Path, making: Any, secret: Path, name: str) -> None:
    making.image(tmp_path / "set" / "sub" / "a.png")
    path = coco(making, tmp_path / "set", "sub/a.png", name)
    for source in (path, tmp_path / "set"):
        with pytest.raises(InputError, match=REFUSED):
            load_dataset(source)
        allowed = load_dataset(source, allow_outside=True)
        assert allowed.records[1].path.resolve() == secret


def test_coco_absolute_names_and_devices(tmp_path: Path, making: Any, secret: Path) -> None:
    for name in (str(secret), "/dev/zero"):
        with pytest.raises(InputError, match=REFUSED):
            load_dataset(coco(making, tmp_path / "set", name))
    inside = making.image(tmp_path / "set" / "a.png")
    assert load_dataset(coco(making, tmp_path / "set", str(inside))).records[0].path == inside


def test_a_file_in_annotations_may_name_the_folder_beside_it(tmp_path: Path, making: Any) -> None:
    image = making.image(tmp_path / "set" / "images" / "a.png")
    path = coco(making, tmp_path / "set" / "annotations", "../images/a.png")
    for source in (path, path.parent, tmp_path / "set"):
        assert load_dataset(source).records[0].path.resolve() == image


@pytest.mark.parametrize(
    "lines",
    ["train: ../private\n", "path: ../private\ntrain: .\n", "train: list.txt\n", "train: ../private/list.txt\n"],
)
def test_yolo_names_that_leave_the_folder(tmp_path: Path, making: Any, secret: Path, lines: str) -> None:
    making.write(tmp_path / "set" / "list.txt", f"{secret}\n")
    making.write(tmp_path / "private" / "list.txt", "secret.png\n")
    path = making.write(tmp_path / "set" / "data.yaml", lines)
    for source in (path, tmp_path / "set"):
        with pytest.raises(InputError, match=REFUSED):
            load_dataset(source)
        with pytest.raises(InputError, match=REFUSED):
            available_splits(source)
        assert load_dataset(source, allow_outside=True).records[0].path == secret
        assert available_splits(source, allow_outside=True) == ("train",)


def test_roboflow_and_absolute_paths_of_the_folder_itself_stay_inside(tmp_path: Path, making: Any) -> None:
    image = making.image(tmp_path / "set" / "train" / "images" / "a.png")
    making.image(tmp_path / "train" / "images" / "other.png")
    for lines in ("train: ../train/images\n", f"path: {tmp_path / 'set'}\ntrain: train/images\n"):
        dataset = load_dataset(making.write(tmp_path / "set" / "data.yaml", lines))
        assert [record.path for record in dataset.records] == [image]


def test_voc_lists_that_leave_the_folder(tmp_path: Path, making: Any, secret: Path) -> None:
    making.image(tmp_path / "set" / "JPEGImages" / "a.png")
    making.write(tmp_path / "set" / "Annotations" / "a.xml", making.voc_xml(str(secret)))
    making.write(tmp_path / "private" / "b.xml", making.voc_xml("b.png"))
    assert load_dataset(tmp_path / "set").records[0].path.name == "a.png"
    making.write(tmp_path / "set" / "ImageSets" / "Main" / "train.txt", "a\n../../private/b\n")
    with pytest.raises(InputError, match=REFUSED):
        load_dataset(tmp_path / "set", "train")
    assert len(load_dataset(tmp_path / "set", "train", allow_outside=True)) == 2


def test_links_are_followed(tmp_path: Path, making: Any, secret: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "images").symlink_to(secret.parent)
    making.write(tmp_path / "set" / "data.yaml", "train: images\n")
    assert [record.path.name for record in load_dataset(tmp_path / "set").records] == ["secret.png"]
    dataset = load_dataset(coco(making, tmp_path / "other", "images/secret.png"))
    assert not dataset.records[0].path.exists()
    (tmp_path / "other" / "images").symlink_to(secret.parent)
    assert load_dataset(coco(making, tmp_path / "other", "images/secret.png")).records[0].path.exists()


@pytest.mark.parametrize(
    "name",
    [
        "http://images.cocodataset.org/val2017/a%20b.png",
        "https://example.com/x/a b.png?size=large#top",
        "s3://bucket/images/a b.png",
        "/content/drive/set/images/a b.png",
        "C:\\photos\\a b.png",
        "../gone/a b.png",
        "a%20b.png",
    ],
)
def test_addresses_and_places_on_other_machines_are_taken_by_their_name_and_said(
    tmp_path: Path, making: Any, name: str
) -> None:
    image = making.image(tmp_path / "images" / "a b.png")
    dataset = load_dataset(coco(making, tmp_path, name))
    assert dataset.records[0].path == image
    assert dataset.problems == ()
    assert len(dataset.notes) == 1
    assert "names 1 files or folders by addresses or by places on another machine" in dataset.notes[0]


def test_a_plain_name_is_never_looked_for_in_another_folder(tmp_path: Path, making: Any) -> None:
    making.image(tmp_path / "1.png")
    assert load_dataset(coco(making, tmp_path, "sub/1.png")).records[0].path == tmp_path / "sub" / "1.png"
    assert list(other_spellings("sub/1.png")) == []
    assert list(other_spellings("https://h/v/a%20b.png")) == ["v/a%20b.png", "v/a b.png", "a%20b.png", "a b.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_hold_nothing_up(tmp_path: Path, making: Any) -> None:
    making.image(tmp_path / "c" / "a.png")
    os.mkfifo(tmp_path / "c" / "pipe.png")
    os.mkfifo(tmp_path / "c" / "x.json")
    assert len(load_dataset(coco(making, tmp_path / "c", "a.png", "pipe.png"))) == 2
    with pytest.raises(InputError, match="pipe or a device"):
        load_dataset(tmp_path / "c" / "x.json")
    making.image(tmp_path / "y" / "images" / "a.png")
    (tmp_path / "y" / "labels").mkdir()
    os.mkfifo(tmp_path / "y" / "labels" / "a.txt")
    making.write(tmp_path / "y" / "data.yaml", "train: images\n")
    assert "pipe or a device" in load_dataset(tmp_path / "y").problems[0].detail
    os.mkfifo(tmp_path / "y" / "list.txt")
    making.write(tmp_path / "y" / "data.yaml", "train: list.txt\n")
    with pytest.raises(InputError, match="pipe or a device"):
        load_dataset(tmp_path / "y")
    (tmp_path / "y" / "data.yaml").unlink()
    os.mkfifo(tmp_path / "y" / "data.yaml")
    with pytest.raises(InputError, match="pipe or a device"):
        load_dataset(tmp_path / "y")
    making.image(tmp_path / "v" / "JPEGImages" / "a.png")
    making.write(tmp_path / "v" / "Annotations" / "a.xml", making.voc_xml("a.png"))
    os.mkfifo(tmp_path / "v" / "Annotations" / "b.xml")
    assert "pipe or a device" in load_dataset(tmp_path / "v").problems[0].detail


@pytest.mark.parametrize("name", ["0.xml", "a.txt", "data.yaml", "x.json", "classes.txt", "instances_train.json"])
def test_folders_called_like_files_are_folders(tmp_path: Path, making: Any, name: str) -> None:
    making.image(tmp_path / "v" / "a.png")
    making.write(tmp_path / "v" / "a.xml", making.voc_xml("a.png"))
    making.image(tmp_path / "y" / "images" / "a.png")
    making.write(tmp_path / "y" / "labels" / "a.txt", "0 .5 .5 .5 .5\n")
    making.image(tmp_path / "c" / "b.png")
    coco(making, tmp_path / "c", "b.png")
    for place in ("v", "y", "y/labels", "c"):
        if not (tmp_path / place / name).is_file():
            (tmp_path / place / name).mkdir()
    for layout in "vyc":
        dataset = load_dataset(tmp_path / layout)
        assert (dataset.layout[0], len(dataset)) == (layout, 1)
