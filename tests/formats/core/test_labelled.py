"""Boxes with classes through every format that holds classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from objectness.detection_set import DetectionSet, as_detection_set
from objectness.detections import Detections
from objectness.errors import InputError
from objectness.formats import read_detections, read_proposals, write_detections, write_proposals
from objectness.formats.registry import all_formats, format_named
from objectness.formats.supervision import from_named_detections, to_detections
from objectness.proposals import categories_path

NAMES = ("cat", "traffic light", 'dog "<&', "never found")
IDS = (17, 10, 18, 90)
LABELLED = [entry.name for entry in all_formats() if entry.write_labelled is not None]


def made() -> DetectionSet:
    boxes = np.array([[1, 2, 11.5, 12], [5, 5, 20, 28], [0, 0, 39, 29]], np.float32)
    some = Detections(boxes, np.array([0.9, 0.5, 0.25]), np.array([2, 0, 1]), NAMES, (30, 40), "a.jpg")
    none = Detections(boxes[:0], np.zeros(0), np.zeros(0), NAMES, (30, 40), "b.jpg")
    return DetectionSet({5: some, 9: none}, NAMES, IDS)


@pytest.fixture
def data(tmp_path: Path, making) -> Path:
    """A COCO data set of the two images, whose category ids have gaps and are not in order."""
    for name in ("a.jpg", "b.jpg"):
        making.image(tmp_path / "data" / name)
    document = {
        "images": [
            {"id": 5, "file_name": "a.jpg", "width": 40, "height": 30},
            {"id": 9, "file_name": "b.jpg", "width": 40, "height": 30},
        ],
        "annotations": [{"id": 1, "image_id": 5, "category_id": 18, "bbox": [1, 2, 10, 10], "area": 100, "iscrowd": 0}],
        "categories": [{"id": key, "name": name} for name, key in zip(NAMES, IDS, strict=True)],
    }
    making.write(tmp_path / "data" / "instances_val.json", document)
    return tmp_path / "data"


def place(folder: Path, name: str) -> Path:
    suffixes = format_named(name).suffixes
    return folder / f"found{suffixes[0] if suffixes else ''}"


@pytest.mark.parametrize("name", LABELLED)
def test_there_and_back_for_the_data_set(name: str, tmp_path: Path, data: Path) -> None:
    path = place(tmp_path / "out", name)
    write_detections(path, made(), name)
    found = read_detections(path, name, data=data)
    assert (found.class_names, found.category_ids) == (NAMES, IDS)
    assert found[5].names == ['dog "<&', "cat", "traffic light"]
    np.testing.assert_allclose(found[5].boxes_xyxy, made()[5].boxes_xyxy, atol=1e-4)
    np.testing.assert_allclose(found[5].scores, [0.9, 0.5, 0.25], atol=1e-6)
    assert 9 not in found or len(found[9]) == 0


@pytest.mark.parametrize("name", LABELLED)
def test_the_names_are_in_the_file_itself(name: str, tmp_path: Path, data: Path) -> None:
    path = place(tmp_path / "out", name)
    write_detections(path, made(), name)
    found = read_detections(path, name, images=data)
    assert next(iter(found.values())).names == ['dog "<&', "cat", "traffic light"]


@pytest.mark.parametrize("name", LABELLED)
def test_proposals_are_the_same_boxes(name: str, tmp_path: Path, data: Path) -> None:
    path = place(tmp_path / "out", name)
    write_detections(path, made(), name)
    found = read_proposals(path, name, data=data)
    np.testing.assert_allclose(found[5].boxes_xyxy, made()[5].boxes_xyxy, atol=1e-4)


def test_formats_that_hold_classes() -> None:
    assert LABELLED == [
        "parquet",
        "coco-results",
        "coco",
        "yolo",
        "csv",
        "label-studio",
        "cvat",
        "fiftyone",
        "geojson",
        "huggingface",
    ]


def test_coco_results_as_pycocotools_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    write_detections(path, made(), "coco-results")
    entries = json.loads(path.read_text())
    assert [entry["category_id"] for entry in entries] == [18, 17, 10]
    assert json.loads(categories_path(path).read_text()) == [
        {"id": key, "name": name} for name, key in zip(NAMES, IDS, strict=True)
    ]
    write_proposals(path, made().to_proposals(), "coco-results")
    assert not categories_path(path).exists()


def test_coco_results_without_a_table(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "found.json"
    write_detections(path, made(), "coco-results")
    categories_path(path).unlink()
    assert read_detections(path, data=data)[5].names == ['dog "<&', "cat", "traffic light"]
    alone = read_detections(path)
    assert (alone.class_names, alone.category_ids) == (("class 10", "class 17", "class 18"), (10, 17, 18))
    assert alone[5].names == ["class 18", "class 17", "class 10"]


def test_categories_of_a_data_set_without_ids_count_from_one(tmp_path: Path, making) -> None:
    making.image(tmp_path / "data" / "images" / "a.jpg")
    making.write(tmp_path / "data" / "labels" / "a.txt", "1 0.5 0.5 0.5 0.5\n")
    making.write(tmp_path / "data" / "data.yaml", "train: images\nval: images\nnames: [cat, dog]\n")
    results = [{"image_id": 1, "category_id": 2, "bbox": [1, 1, 5, 5], "score": 0.5, "file_name": "a.jpg"}]
    path = making.write(tmp_path / "found.json", results)
    assert read_detections(path, data=tmp_path / "data")[1].names == ["dog"]
    results[0]["category_id"] = 0
    making.write(path, results)
    with pytest.raises(InputError, match=r"none of the classes of its boxes \(category_id 0\): it has cat \(1\), dog"):
        read_detections(path, data=tmp_path / "data")


def test_classes_that_the_data_set_does_not_have(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "found.csv"
    names = ("kite", "cat", "boat")
    boxes = np.array([[0, 0, 5, 5]] * 3, np.float32)
    write_detections(path, {5: Detections(boxes, np.array([0.9, 0.8, 0.7]), np.arange(3), names, (30, 40), "a.jpg")})
    found = read_detections(path, data=data)
    assert found[5].names == ["cat"]
    assert found.notes == (f"left out boxes of the 2 classes that {data} does not have (kite, boat)",)


def test_boxes_without_a_class(tmp_path: Path, making) -> None:
    path = making.write(tmp_path / "found.csv", "path,x1,y1,x2,y2,score\na.jpg,1,2,3,4,.5\n")
    with pytest.raises(InputError, match=r"row 1 of image a\.jpg has no class: it is a proposal"):
        read_detections(path)
    with pytest.raises(InputError, match=r"read as Hosang.* holds no classes; these formats do: parquet, coco-results"):
        read_detections(making.write(tmp_path / "x.mat", b"MATLAB 5.0"), "hosang")
    with pytest.raises(InputError, match="holds no classes; these formats do"):
        write_detections(tmp_path / "x.pkl", made(), "mmdet2")


def test_csv_of_supervision(tmp_path: Path, making, data: Path) -> None:
    lines = "x_min,y_min,x_max,y_max,class_id,confidence,tracker_id,class_name,path\n1,2,3,4,7,.5,,cat,a.jpg\n"
    path = making.write(tmp_path / "found.csv", lines)
    assert read_detections(path, data=data)[5].names == ["cat"]
    path = making.write(tmp_path / "found.csv", lines.replace("class_name", "other").replace(",7,", ",1,"))
    assert read_detections(path, data=data)[5].names == ["traffic light"]  # by its position


def test_yolo_without_names_goes_by_position(tmp_path: Path, making, data: Path) -> None:
    making.write(tmp_path / "found" / "labels" / "a.txt", "2 0.5 0.5 0.5 0.5 0.75\n")
    assert read_detections(tmp_path / "found", data=data)[5].names == ['dog "<&']
    alone = read_detections(tmp_path / "found", images=data)
    assert alone.class_names == ("class 0", "class 1", "class 2")
    making.write(tmp_path / "found" / "labels" / "a.txt", "2000000000 0.5 0.5 0.5 0.5 0.75\n")
    with pytest.raises(InputError, match="class 2000000000 is no number of a class"):
        read_detections(tmp_path / "found", images=data)


def test_a_yolo_data_set_is_not_overwritten(tmp_path: Path, making) -> None:
    making.write(tmp_path / "found" / "labels" / "a.txt", "0 0.5 0.5 0.5 0.5\n")
    making.write(tmp_path / "found" / "data.yaml", "train: images\nval: images\nnames:\n  0: cat\n")
    with pytest.raises(InputError, match="is a YOLO data set that was not written here"):
        write_detections(tmp_path / "found", made(), "yolo")


@pytest.mark.parametrize("name", ["yolo", "fiftyone"])
def test_a_folder_of_ours_is_written_again(name: str, tmp_path: Path) -> None:
    write_detections(tmp_path / "found", made(), name)
    write_detections(tmp_path / "found", made(), name)


@pytest.mark.parametrize("content", ["{}", '[{"id": 1}]', '[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]'])
def test_a_table_of_categories_that_is_none(content: str, tmp_path: Path, making) -> None:
    write_detections(tmp_path / "found.json", made(), "coco-results")
    making.write(tmp_path / "found.categories.json", content)
    with pytest.raises(InputError, match=r'found\.categories\.json: category \d is not {"id", "name"}'):
        read_detections(tmp_path / "found.json", "coco-results")


def test_supervision_there_and_back() -> None:
    pytest.importorskip("supervision")
    given = to_detections(made()[5])
    assert given.class_id.tolist() == [2, 0, 1]
    assert given.data["class_name"].tolist() == ['dog "<&', "cat", "traffic light"]
    found = from_named_detections(given, NAMES)
    assert (found.names, found.size_hw, found.source) == (made()[5].names, (30, 40), "a.jpg")
    own = from_named_detections(given)
    assert own.class_names == NAMES[:3]


def test_supervision_in_any_order() -> None:
    class Given:
        xyxy = np.array([[0, 0, 1, 1], [0, 0, 2, 2]])
        confidence = np.array([0.1, 0.9])
        class_id = np.array([3, 1])

    found = from_named_detections(Given())
    assert found.names == ["class 1", "class 3"]
    assert found.boxes_xyxy[0].tolist() == [0, 0, 2, 2]
    with pytest.raises(InputError, match="A class_id of these Detections is 3, but there are 2 class names"):
        from_named_detections(Given(), ("a", "b"))
    Given.class_id = None
    with pytest.raises(InputError, match="no class_id"):
        from_named_detections(Given())


def test_a_set() -> None:
    found = made()
    assert repr(found) == "DetectionSet(2 images, 3 detections, 4 classes)"
    assert len(found.above(0.4)[5]) == 2
    assert found.to_proposals().count == 3
    assert as_detection_set(found) is found
    assert as_detection_set({np.int64(5): found[5]}).category_ids == (1, 2, 3, 4)
    assert as_detection_set({}).class_names == ()
    with pytest.raises(ValueError, match="image 5 has"):
        DetectionSet({5: found[5]}, ("cat",))
    with pytest.raises(ValueError, match="category id of its own"):
        DetectionSet({}, ("cat", "dog"), (3, 3))


def test_repair(tmp_path: Path, making, data: Path) -> None:
    rows = "path,x1,y1,x2,y2,score,class\na.jpg,1,2,nan,4,.5,cat\na.jpg,1,2,3,4,.5,cat\n"
    path = making.write(tmp_path / "found.csv", rows)
    with pytest.raises(InputError, match="not made of finite numbers"):
        read_detections(path, data=data)
    assert read_detections(path, data=data, repair=True)[5].names == ["cat"]


@pytest.fixture
def merged(tmp_path: Path, making) -> Callable[[int], Path]:
    """A COCO data set of two parts whose categories stand in another order, with this id for the second's "dog"."""

    def make(dog: int) -> Path:
        for split, categories in (("train", [(1, "cat"), (2, "dog")]), ("val", [(dog, "dog"), (1, "cat")])):
            making.image(tmp_path / "data" / split / f"{split}.jpg")
            document = {
                "images": [{"id": len(split), "file_name": f"{split}.jpg", "width": 40, "height": 30}],
                "annotations": [],
                "categories": [{"id": key, "name": name} for key, name in categories],
            }
            making.write(tmp_path / "data" / f"instances_{split}.json", document)
        return tmp_path / "data"

    return make


def test_category_ids_of_several_parts(merged: Callable[[int], Path]) -> None:
    from objectness.datasets import load_dataset

    assert load_dataset(merged(2)).category_ids == (1, 2)
    assert load_dataset(merged(3)).category_ids == ()
