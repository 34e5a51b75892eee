from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objectness.datasets import available_splits, load_dataset
from objectness.datasets.records import ProblemKind
from objectness.errors import InputError

IMAGE = {"id": 10, "file_name": "a.png", "width": 40, "height": 30}


def test_a_file_without_images_is_an_empty_data_set(coco_json: Callable[..., Path]) -> None:
    dataset = load_dataset(coco_json([]))
    assert len(dataset) == 0
    assert dataset.problems == ()
    assert dataset.class_names == ("cat",)


def test_boxes_become_corners_and_images_without_boxes_stay(coco_json: Callable[..., Path]) -> None:
    dataset = load_dataset(coco_json([[[1, 2, 10, 20], [0.5, 0, 4, 4]], []]))
    first, second = dataset.records
    assert first.boxes_xyxy.tolist() == [[1, 2, 11, 22], [0.5, 0, 4.5, 4]]
    assert first.areas.tolist() == [200, 16]
    assert first.size_hw == (30, 40)
    assert (first.image_id, second.image_id) == (10, 11)
    assert first.path.name == "a.png"
    assert first.path.is_file()
    assert second.boxes_xyxy.shape == (0, 4)
    assert dataset.layout == "coco"
    assert dataset.problems == ()


def test_crowds_are_ignored_and_mask_areas_kept(making: Any, tmp_path: Path) -> None:
    rows = [
        {"iscrowd": 1, "area": 7},
        {"ignore": 1},
        {"iscrowd": 0, "area": 5.5},
    ]
    annotations = [{"image_id": 10, "category_id": 1, "bbox": [0, 0, 10, 10], **row} for row in rows]
    record = load_dataset(making.write(tmp_path / "c.json", {"images": [IMAGE], "annotations": annotations})).records[0]
    assert record.ignore.tolist() == [True, True, False]
    assert record.areas.tolist() == [7, 100, 5.5]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "not valid JSON"),
        ('{"images": [', "line 1, column 13"),
        ("[" * 100_000, "nested too deeply"),
        ('{"images": ' + "9" * 6000 + "}", "thousands of digits"),
        ("[]", "holds a list, as COCO results"),
        ("3", "no list 'images' and no list 'annotations'"),
        ('{"images": []}', "no list 'annotations'"),
        ('{"images": {}, "annotations": []}', "no list 'images'"),
        (b"\xff\xfe\x00{", "not UTF-8"),
    ],
)
def test_rubbish_is_refused_in_one_sentence(making: Any, tmp_path: Path, content: str | bytes, says: str) -> None:
    path = making.write(tmp_path / "bad.json", content)
    with pytest.raises(InputError, match=says) as error:
        load_dataset(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (3, ProblemKind.MALFORMED),
        ({}, ProblemKind.MALFORMED),
        ({"image_id": 10, "bbox": None}, ProblemKind.MALFORMED),
        ({"image_id": 10, "bbox": [1, 2, 3]}, ProblemKind.MALFORMED),
        ({"image_id": 10, "bbox": [1, 2, "3", 4]}, ProblemKind.MALFORMED),
        ({"image_id": 10, "bbox": [1, 2, True, 4]}, ProblemKind.MALFORMED),
        ({"image_id": 99, "bbox": [1, 2, 3, 4]}, ProblemKind.UNKNOWN_IMAGE),
        ({"image_id": [10], "bbox": [1, 2, 3, 4]}, ProblemKind.UNKNOWN_IMAGE),
    ],
)
def test_annotations_that_say_nothing_are_named_and_left_out(
    making: Any, tmp_path: Path, annotation: Any, kind: str
) -> None:
    sound = {"image_id": 10, "category_id": 1, "bbox": [0, 0, 5, 5]}
    path = making.write(tmp_path / "c.json", {"images": [IMAGE], "annotations": [annotation, sound]})
    dataset = load_dataset(path)
    assert [problem.kind for problem in dataset.problems] == [kind]
    assert "annotation 1" in dataset.problems[0].detail
    assert dataset.records[0].boxes_xyxy.tolist() == [[0, 0, 5, 5]]


def test_a_class_that_is_not_listed_keeps_its_box(coco_json: Callable[..., Path]) -> None:
    dataset = load_dataset(coco_json([[[0, 0, 5, 5]]], categories=[{"id": 1, "name": "dog"}]))
    assert [problem.kind for problem in dataset.problems] == [ProblemKind.UNKNOWN_CLASS]
    assert dataset.class_names == ("dog", "class 3")
    assert dataset.records[0].class_ids.tolist() == [1]


def test_doubled_ids_and_names(making: Any, tmp_path: Path) -> None:
    images = [IMAGE, {**IMAGE, "file_name": "b.png"}, {**IMAGE, "id": 11}, {"id": 12}, 4]
    dataset = load_dataset(making.write(tmp_path / "c.json", {"images": images, "annotations": []}))
    assert [record.image_id for record in dataset.records] == [10, 11]
    kinds = [problem.kind for problem in dataset.problems]
    assert kinds == [
        ProblemKind.DUPLICATE_ID,
        ProblemKind.DUPLICATE_NAME,
        ProblemKind.MALFORMED,
        ProblemKind.MALFORMED,
    ]


@pytest.mark.parametrize(
    ("annotation", "image", "name"),
    [
        ("instances_train.json", "train/a.png", "a.png"),
        ("annotations/instances_train2017.json", "train2017/a.png", "a.png"),
        ("annotations/instances_train.json", "images/train/a.png", "a.png"),
        ("train/_annotations.coco.json", "train/a.png", "a.png"),
        ("boxes.json", "images/deep/a.png", "deep/a.png"),
        ("boxes.json", "images/deep/a.png", "deep\\a.png"),
        ("boxes.json", "a.png", "a.png"),
        ("labels.json", "data/a.png", "a.png"),
    ],
)
def test_images_are_found_in_the_usual_places(
    making: Any, tmp_path: Path, annotation: str, image: str, name: str
) -> None:
    making.image(tmp_path / image)
    making.write(tmp_path / annotation, {"images": [{"id": 1, "file_name": name}], "annotations": []})
    assert load_dataset(tmp_path).records[0].path == tmp_path / image


def test_splits_of_a_folder_and_everything_together(making: Any, tmp_path: Path) -> None:
    for number, (folder, category) in enumerate([("train", "cat"), ("valid", "dog"), ("test", "cat")]):
        making.image(tmp_path / folder / "a.png", seed=number)
        document = {
            "images": [{"id": 0, "file_name": "a.png"}],
            "annotations": [{"image_id": 0, "category_id": 1, "bbox": [number, 0, 5, 5]}],
            "categories": [{"id": 1, "name": category}],
        }
        making.write(tmp_path / folder / "_annotations.coco.json", document)
    assert available_splits(tmp_path) == ("train", "val", "test")
    assert load_dataset(tmp_path, "val").records[0].path == tmp_path / "valid" / "a.png"
    whole = load_dataset(tmp_path)
    assert whole.split == "all"
    assert whole.class_names == ("cat", "dog")
    assert [record.class_ids.tolist() for record in whole.records] == [[0], [1], [0]]
    assert [record.image_id for record in whole.records] == [1, 2, 3], "ids clash, so they are given anew"


def test_an_image_in_two_files_is_read_once(making: Any, tmp_path: Path) -> None:
    for number, split in enumerate(("train", "val")):
        making.image(tmp_path / "images" / f"{split}.png", seed=number)
        images = [{"id": 1, "file_name": "train.png"}, {"id": 2, "file_name": "val.png"}]
        making.write(tmp_path / f"instances_{split}.json", {"images": images, "annotations": []})
    assert len(load_dataset(tmp_path, "train")) == len(load_dataset(tmp_path, "val")) == 2
    assert [record.image_id for record in load_dataset(tmp_path).records] == [1, 2]


def test_files_of_other_tasks_and_results_are_passed_over(
    making: Any, tmp_path: Path, coco_json: Callable[..., Path]
) -> None:
    coco_json([[]], name="annotations/instances_train2017.json")
    for name in ("captions_train2017", "person_keypoints_train2017"):
        making.write(tmp_path / "annotations" / f"{name}.json", {"images": [], "annotations": []})
    making.write(tmp_path / "proposals.json", [])
    assert available_splits(tmp_path) == ("train",)


def test_two_files_for_one_split_are_refused(tmp_path: Path, coco_json: Callable[..., Path]) -> None:
    coco_json([[]])
    coco_json([[]], name="instances_train_old.json")
    coco_json([[], []], name="instances_val.json")
    sentence = r"two COCO files for the split 'train'.*instances_train_old.json.*or ask for the split val alone"
    for asked in (None, "train"):
        with pytest.raises(InputError, match=sentence):
            load_dataset(tmp_path, asked)
    assert available_splits(tmp_path) == ("train", "val")
    assert len(load_dataset(tmp_path, "val")) == 2


def test_a_file_of_no_split_beside_those_of_splits_must_be_named(
    tmp_path: Path, coco_json: Callable[..., Path]
) -> None:
    coco_json([[]])
    coco_json([[], []], name="instances_old.json")
    with pytest.raises(InputError, match=r"and another, .*instances_old.json, .*: give one .*, or ask for .*train"):
        load_dataset(tmp_path)
    assert len(load_dataset(tmp_path, "train")) == 1


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("0", False),
        ("1", True),
        (1.0, True),
        (0.0, False),
        (None, False),
        ("false", False),
        ("True", True),
        ("", False),
    ],
)
def test_flags_in_every_spelling(tmp_path: Path, making: Any, written: object, means: bool) -> None:
    annotation = {"image_id": 10, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": written, "difficult": written}
    dataset = load_dataset(making.write(tmp_path / "c.json", {"images": [IMAGE], "annotations": [annotation]}))
    record = dataset.records[0]
    assert record.crowd is not None
    assert record.difficult is not None
    assert (record.ignore.tolist(), record.crowd.tolist(), record.difficult.tolist()) == ([means], [means], [means])
    assert dataset.problems == ()


@pytest.mark.parametrize("written", ["perhaps", [1], {}, float("nan")])
def test_a_flag_that_is_none_is_named_and_not_set(tmp_path: Path, making: Any, written: object) -> None:
    annotation = {"image_id": 10, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": written}
    dataset = load_dataset(making.write(tmp_path / "c.json", {"images": [IMAGE], "annotations": [annotation]}))
    assert dataset.records[0].ignore.tolist() == [False]
    assert [problem.kind for problem in dataset.problems] == [ProblemKind.MALFORMED]
    assert "taken for 0 as it is no flag" in dataset.problems[0].detail


@pytest.mark.parametrize("size", [(30, 40), (30.0, 40.0), ("30", "40"), ("30.0", 40)])
def test_sizes_in_every_spelling(tmp_path: Path, making: Any, size: tuple[object, object]) -> None:
    image = {"id": 1, "file_name": "a.png", "height": size[0], "width": size[1]}
    dataset = load_dataset(making.write(tmp_path / "c.json", {"images": [image], "annotations": []}))
    assert dataset.records[0].size_hw == (30, 40)
    assert dataset.problems == ()


@pytest.mark.parametrize("side", ["1" + "0" * 400, "-3", '"wide"', "[1]", "NaN", "Infinity", "true"])
def test_a_size_that_no_image_has_is_named_and_not_taken(tmp_path: Path, making: Any, side: str) -> None:
    text = f'{{"images": [{{"id": 1, "file_name": "a.png", "height": 3, "width": {side}}}], "annotations": []}}'
    dataset = load_dataset(making.write(tmp_path / "c.json", text))
    assert dataset.records[0].size_hw is None
    assert [problem.kind for problem in dataset.problems] == [ProblemKind.MALFORMED]
    assert "which no image has" in dataset.problems[0].detail


def test_one_file_has_no_splits_but_answers_to_its_own(coco_json: Callable[..., Path]) -> None:
    path = coco_json([[]])
    assert available_splits(path) == ()
    assert load_dataset(path).split == "all"
    assert load_dataset(path, "train").split == "train"
    with pytest.raises(InputError, match="no split 'val'"):
        load_dataset(path, "val")


def test_the_shared_photographs(shared_data: Path) -> None:
    counts = {}
    for split in ("train", "val"):
        dataset = load_dataset(shared_data / "coco", split)
        boxes = sum(len(record.boxes_xyxy) for record in dataset.records)
        crowds = sum(int(record.ignore.sum()) for record in dataset.records)
        counts[split] = (len(dataset), boxes, crowds)
        assert all(record.path.is_file() for record in dataset.records)
    assert counts == {"train": (2339, 21647, 38), "val": (409, 3819, 3)}
    assert available_splits(shared_data / "coco") == ("train", "val")
    assert len(load_dataset(shared_data / "coco")) == 2748
