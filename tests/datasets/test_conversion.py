from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectness.datasets import available_splits, load_dataset
from objectness.datasets.conversion import convert
from objectness.datasets.safe_names import unique_file_names
from objectness.errors import InputError


@pytest.fixture
def marked(tmp_path: Path, making: Any) -> Path:
    """COCO: a crowd, an ignore region, a difficult object and a plain one of another class, in two parts."""
    marks: list[dict[str, Any]] = [{"iscrowd": 1}, {"ignore": 1}, {"difficult": 1}, {"category_id": 9}]
    for split, start in (("train", 10), ("val", 20)):
        making.image(tmp_path / "coco" / split / f"{split}.png", seed=start)
        annotations = [
            {"id": i, "image_id": start, "category_id": 4, "bbox": [i, 2, 10, 20], "area": 100 + i, **mark}
            for i, mark in enumerate(marks)
        ]
        document = {
            "images": [{"id": start, "file_name": f"{split}.png", "width": 40, "height": 30}],
            "annotations": annotations,
            "categories": [{"id": 4, "name": "cat"}, {"id": 9, "name": "dög & <b>"}],
        }
        making.write(tmp_path / "coco" / f"instances_{split}.json", document)
    return tmp_path / "coco"


def test_coco_to_coco_keeps_everything(marked: Path, tmp_path: Path) -> None:
    written = convert(marked, tmp_path / "out", "coco")
    assert (dict(written.images), dict(written.boxes), written.changes) == (
        {"train": 1, "val": 1},
        {"train": 4, "val": 4},
        (),
    )
    assert available_splits(tmp_path / "out") == ("train", "val")
    before, after = load_dataset(marked, "val"), load_dataset(tmp_path / "out", "val")
    assert after.problems == ()
    assert after.class_names == before.class_names
    old, new = before.records[0], after.records[0]
    assert (new.image_id, new.size_hw, new.path.name) == (20, (30, 40), "val.png")
    assert new.path.read_bytes() == old.path.read_bytes()
    for name in ("boxes_xyxy", "class_ids", "ignore", "areas", "crowd", "difficult"):
        np.testing.assert_array_equal(getattr(new, name), getattr(old, name))
    assert new.crowd is not None
    assert (new.crowd.tolist(), new.ignore.tolist()) == ([True, False, False, False], [True, True, False, False])


def test_coco_to_voc(marked: Path, tmp_path: Path) -> None:
    written = convert(marked, tmp_path / "out", "voc")
    assert written.changes == (
        "4 crowd and ignore regions are marked difficult, as VOC has no mark of its own for them",
        "8 areas of masks are lost",
        "2 image ids are lost: VOC goes by name",
    )
    root = ElementTree.parse(tmp_path / "out" / "Annotations" / "train.xml").getroot()
    assert [item.findtext("difficult") for item in root.findall("object")] == ["1", "1", "1", "0"]
    assert [root.findtext(f"object/bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")] == [
        "1",
        "3",
        "10",
        "22",
    ]
    after = load_dataset(tmp_path / "out", "train")
    assert after.class_names == ("cat", "dög & <b>")
    assert after.records[0].boxes_xyxy[0].tolist() == [0, 2, 10, 22]
    assert after.records[0].path.is_file()


def test_coco_to_yolo(marked: Path, tmp_path: Path) -> None:
    written = convert(marked, tmp_path / "out", "yolo", images="link")
    assert written.changes == (
        "4 crowd and ignore regions were left out, as YOLO would take them for objects",
        "2 marks difficult are lost",
        "8 areas of masks are lost",
        "2 image ids are lost: YOLO goes by name",
    )
    assert (tmp_path / "out" / "labels" / "val" / "val.txt").read_text().splitlines() == [
        f"0 {7 / 40:.10g} 0.4 0.25 {20 / 30:.10g}",
        f"1 {8 / 40:.10g} 0.4 0.25 {20 / 30:.10g}",
    ]
    after = load_dataset(tmp_path / "out", "val")
    assert after.class_names == ("cat", "dög & <b>")
    np.testing.assert_allclose(after.records[0].boxes_xyxy, [[2, 2, 12, 22], [3, 2, 13, 22]], atol=1e-4)
    assert after.records[0].path.is_symlink()


def test_difficult_survives_voc_and_coco(tmp_path: Path, making: Any) -> None:
    making.image(tmp_path / "voc" / "JPEGImages" / "a.png")
    making.write(tmp_path / "voc" / "Annotations" / "a.xml", making.voc_xml("a.png", (1, 1, 9, 9)))
    convert(tmp_path / "voc", tmp_path / "coco", "coco")
    annotation = json.loads((tmp_path / "coco" / "annotations" / "instances.json").read_text())["annotations"][0]
    assert (annotation["difficult"], annotation["iscrowd"], "ignore" in annotation) == (1, 0, False)
    assert annotation["bbox"] == [0, 0, 9, 9]
    said = convert(tmp_path / "coco", tmp_path / "back", "voc").changes
    assert said == ("1 image ids are lost: VOC goes by name",)
    assert "<difficult>1</difficult>" in (tmp_path / "back" / "Annotations" / "a.xml").read_text()
    assert load_dataset(tmp_path / "back").records[0].boxes_xyxy.tolist() == [[0, 0, 9, 9]]


def test_fractions_of_pixels_and_borders(coco_json: Callable[..., Path], tmp_path: Path) -> None:
    source = coco_json([[[0.4, 0, 10, 10], [35, 0, 10, 10], [1, 1, 5, 5]], []])
    assert "2 boxes were" not in " ".join(convert(source, tmp_path / "voc", "voc").changes)
    assert (
        "1 boxes were rounded to whole pixels, as VOC has no others"
        in convert(source, tmp_path / "voc2", "voc").changes
    )
    assert "1 boxes were clipped to their image" in convert(source, tmp_path / "yolo", "yolo").changes
    assert (tmp_path / "yolo" / "labels" / "b.txt").read_text() == ""
    assert len(load_dataset(tmp_path / "yolo")) == 2


def test_images_left(coco_json: Callable[..., Path], tmp_path: Path) -> None:
    source = coco_json([[[1, 1, 5, 5]]])
    (said,) = convert(source, tmp_path / "out", "coco", images="leave").changes
    assert said.startswith("the images were left: reading the new data set has to allow names that lead outside")
    (record,) = load_dataset(tmp_path / "out", allow_outside=True).records
    assert record.path.samefile(tmp_path / "train" / "a.png")
    with pytest.raises(InputError, match=r"lies outside of the data set's folder"):
        load_dataset(tmp_path / "out")
    assert not (tmp_path / "out" / "images").exists()
    assert (
        convert(source, tmp_path / "yolo", "yolo", images="leave").changes[-1]
        == "the images were left: put or link them into images"
    )


def test_what_cannot_be_kept_is_told(coco_json: Callable[..., Path], tmp_path: Path) -> None:
    source = coco_json([[[1, 1, 5, 5], [0, 0, 1e39, 1]], [[1, 1, 5, 5]]])
    (tmp_path / "train" / "b.png").unlink()
    written = convert(source, tmp_path / "out", "yolo")
    assert written.changes[0] == "left out 1 boxes that are not made of finite numbers"
    assert written.changes[-1] == "1 images are missing and could not be put there"


def test_two_images_of_one_name() -> None:
    paths = [Path("a/1.jpg"), Path("b/1.png"), Path("c/2.jpg"), Path("x/a_1.jpg")]
    assert list(unique_file_names(paths).values()) == ["a_1.jpg", "b_1.png", "2.jpg", "a_1_2.jpg"]


def test_wrong_use(coco_json: Callable[..., Path], tmp_path: Path) -> None:
    source = coco_json([[]])
    with pytest.raises(InputError, match="no layout 'yollo': did you mean 'yolo'"):
        convert(source, tmp_path / "out", "yollo")
    with pytest.raises(InputError, match="no way with the images 'copi': did you mean 'copy'"):
        convert(source, tmp_path / "out", "yolo", images="copi")
    with pytest.raises(InputError, match="is there and not empty: name a new folder"):
        convert(source, tmp_path, "yolo")


@pytest.mark.parametrize("layout", ["coco", "voc", "yolo"])
@pytest.mark.parametrize("name", ["bccd", "aquarium", "coco/instances_val.json"])
def test_real_data(shared_data: Path, tmp_path: Path, name: str, layout: str) -> None:
    source = load_dataset(shared_data / name)
    written = convert(shared_data / name, tmp_path / "out", layout, images="link")
    got = load_dataset(tmp_path / "out")
    assert (got.layout, len(got), got.problems) == (layout, len(source), ())
    parts = available_splits(shared_data / name)
    assert available_splits(tmp_path / "out") == (("train",) if layout == "yolo" and not parts else parts)
    assert sum(written.images.values()) == len(source)
    before = {record.path.name: record for record in source.records}
    for record in got.records:
        old = before[record.path.name]
        keep = ~old.ignore if layout == "yolo" else np.ones(len(old.ignore), dtype=bool)
        limit = {"coco": 1e-4, "voc": 0.5001, "yolo": 8}[layout]  # YOLO's are clipped to the image
        np.testing.assert_allclose(record.boxes_xyxy, old.boxes_xyxy[keep], atol=limit)
        names = [source.class_names[index] for index in old.class_ids[keep]]
        assert [got.class_names[index] for index in record.class_ids] == names
