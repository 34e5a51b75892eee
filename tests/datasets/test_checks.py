from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objectness.datasets import load_dataset
from objectness.datasets.checks import CheckReport, inspect
from objectness.datasets.records import ProblemKind


def found(report: CheckReport) -> dict[str, list[tuple[str, int | None]]]:
    return {
        kind: [(Path(problem.file).name, problem.box) for problem in problems]
        for kind, problems in report.problems_by_kind.items()
    }


def test_an_empty_data_set(coco_json: Callable[..., Path]) -> None:
    report = inspect(load_dataset(coco_json([])))
    assert (report.images, report.boxes, report.images_without_boxes) == (0, 0, 0)
    assert set(report.sqrt_area.values()) == {None}
    assert found(report) == {ProblemKind.EMPTY: [("instances_train.json", None)]}
    json.dumps(report.to_json(), allow_nan=False)


def test_counts_worked_by_hand(coco_json: Callable[..., Path]) -> None:
    boxes = [[0, 0, 10, 20], [0, 0, 20, 10], [0, 0, 40, 30]]
    report = inspect(load_dataset(coco_json([boxes, [[5, 5, 0, 5]], []])))
    assert (report.images, report.images_without_boxes, report.boxes, report.ignored_boxes) == (3, 1, 4, 0)
    assert report.classes == {"cat": 4}
    assert report.sizes == {"small": 2, "medium": 1, "large": 0}
    assert report.sqrt_area[50] == pytest.approx(200**0.5, abs=1e-3)
    assert (report.aspect_ratio[0], report.aspect_ratio[50], report.aspect_ratio[100]) == (0.5, 0.75, 2)
    assert (report.boxes_per_image[0], report.boxes_per_image[100]) == (0, 3)


def test_sizes_change_at_32_and_96_squared(tmp_path: Path, making: Any) -> None:
    making.image(tmp_path / "a.png", 200, 200)
    areas = [32**2 - 1, 32**2, 96**2 - 1, 96**2]
    rows = [{"image_id": 1, "bbox": [i, 0, 150, 150], "area": area} for i, area in enumerate(areas)]
    rows.append({"image_id": 1, "bbox": [9, 0, 150, 150], "area": 1, "iscrowd": 1})
    document = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": rows}
    report = inspect(load_dataset(making.write(tmp_path / "c.json", document)))
    assert report.sizes == {"small": 1, "medium": 2, "large": 1}
    assert (report.boxes, report.ignored_boxes) == (5, 1)


def test_every_fault_of_boxes(coco_json: Callable[..., Path]) -> None:
    nan = float("nan")
    boxes = [[1, 1, 9, 9], [-9, 0, 20, 9], [99, 0, 9, 9], [1, 1, 0, 9], [nan, 1, 9, 9], [1, 1, 9, 9]]
    report = inspect(load_dataset(coco_json([boxes])))
    assert found(report) == {
        ProblemKind.NON_FINITE: [("a.png", 5)],
        ProblemKind.DEGENERATE: [("a.png", 4)],
        ProblemKind.OUTSIDE: [("a.png", 3)],
        ProblemKind.STICKS_OUT: [("a.png", 2)],
        ProblemKind.DUPLICATE_BOX: [("a.png", 6)],
    }
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document["problem_count"] == 5
    assert document["problems"][ProblemKind.DEGENERATE][0]["box"] == 4


def test_every_fault_of_images(tmp_path: Path, coco_json: Callable[..., Path], making: Any) -> None:
    coco_json([[], [], [], [], []])
    folder = tmp_path / "train"
    (folder / "a.png").unlink()
    whole = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(whole[: len(whole) // 2])
    making.image(folder / "c.png", width=30, height=40)
    (folder / "e.png").write_bytes((folder / "d.png").read_bytes())
    making.image(folder / "extra.png", seed=99)
    assert found(inspect(load_dataset(tmp_path))) == {
        ProblemKind.MISSING_IMAGE: [("a.png", None)],
        ProblemKind.UNREADABLE_IMAGE: [("b.png", None)],
        ProblemKind.DUPLICATE_IMAGE: [("e.png", None)],
        ProblemKind.SIZE_DIFFERS: [("c.png", None)],
        ProblemKind.NO_ANNOTATION: [("extra.png", None)],
    }


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png"])
def test_an_image_cut_short_is_found_though_its_header_is_fine(tmp_path: Path, making: Any, suffix: str) -> None:
    path = making.image(tmp_path / f"a{suffix}", 300, 200)
    document = {"images": [{"id": 1, "file_name": path.name}], "annotations": []}
    annotation = making.write(tmp_path / "c.json", document)
    assert inspect(load_dataset(annotation)).problems == ()
    path.write_bytes(path.read_bytes()[:-2000])
    assert found(inspect(load_dataset(annotation))) == {ProblemKind.UNREADABLE_IMAGE: [(path.name, None)]}


def test_images_shared_between_splits(tmp_path: Path, making: Any) -> None:
    for split in ("train", "valid"):
        making.image(tmp_path / split / f"{split}.png", seed=5)
        making.write(tmp_path / split / f"{split}.xml", making.voc_xml(f"{split}.png"))
    report = inspect(load_dataset(tmp_path))
    assert found(report) == {ProblemKind.LEAK: [("valid.png", None)]}
    assert "(val) has the same bytes as" in report.problems[0].detail
    assert inspect(load_dataset(tmp_path, "train")).problems == ()


def test_one_image_listed_in_two_splits(tmp_path: Path, making: Any) -> None:
    making.image(tmp_path / "images" / "a.png")
    making.write(tmp_path / "data.yaml", "train: images\nval: images\n")
    report = inspect(load_dataset(tmp_path))
    assert [str(problem) for problem in report.problems] == [f"{tmp_path / 'images' / 'a.png'}: is in train and in val"]


def test_progress_counts_each_image(coco_json: Callable[..., Path]) -> None:
    calls: list[None] = []
    inspect(load_dataset(coco_json([[]] * 7)), on_image=lambda: calls.append(None))
    assert len(calls) == 7


def test_the_shared_micrographs(shared_data: Path) -> None:
    report = inspect(load_dataset(shared_data / "bccd"))
    assert (report.images, report.boxes) == (364, 4888)
    assert report.classes == {"RBC": 4155, "WBC": 372, "Platelets": 361}
    assert found(report) == {ProblemKind.DEGENERATE: [("BloodImage_00338.jpg", 13), ("BloodImage_00343.jpg", 4)]}
