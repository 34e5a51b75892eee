"""Mean average precision against pycocotools, and hotcoco as a second reference."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objectness.datasets import load_dataset
from objectness.datasets.records import Record
from objectness.detections import Detections
from objectness.evaluation.detection import PrecisionReport, average_precision
from objectness.formats import read_detections

coco = pytest.importorskip("pycocotools.coco")
cocoeval = pytest.importorskip("pycocotools.cocoeval")

Scene = tuple[list[Record], dict[int, Detections], tuple[str, ...]]
SIZES = ("all", "small", "medium", "large")


def reference(truth: dict[str, Any], results: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Precision ``(T, R, K, sizes, M)`` and recall ``(T, K, sizes, M)`` by pycocotools; -1 where there is nothing."""
    with contextlib.redirect_stdout(io.StringIO()):
        data = coco.COCO()
        data.dataset = truth
        data.createIndex()
        evaluation = cocoeval.COCOeval(data, data.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"], evaluation.eval["recall"]


def second_reference(truth: dict[str, Any], results: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """The same by hotcoco, whose code has nothing in common with pycocotools'."""
    hotcoco = pytest.importorskip("hotcoco")
    data = hotcoco.COCO(truth)
    evaluation = hotcoco.COCOeval(data, data.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"]), np.asarray(evaluation.eval["recall"])


def same(report: PrecisionReport, names: Sequence[str], want: tuple[np.ndarray, np.ndarray], tolerance: float) -> None:
    """Every figure of the report is the reference's."""
    precision, recall = want

    def close(got: float | None, values: np.ndarray) -> None:
        values = values[values > -1]
        assert got == (None if not len(values) else pytest.approx(values.mean(), abs=tolerance))

    close(report.ap, precision[:, :, :, 0, -1])
    for level, iou in enumerate(report.ap_at_iou):
        close(report.ap_at_iou[iou], precision[level, :, :, 0, -1])
    for number, size in enumerate(SIZES[1:], start=1):
        close(report.ap_by_size[size], precision[:, :, :, number, -1])
        close(report.ar_by_size[size], recall[:, :, number, -1])
    for number, count in enumerate(report.ar):
        close(report.ar[count], recall[:, :, 0, number])
    for label, name in enumerate(names):
        close(report.ap_by_class.get(name), precision[:, :, label, 0, -1])
        close(report.ap50_by_class.get(name), precision[0, :, label, 0, -1])


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """A few images on a coarse grid: equal boxes and scores, exact IoU thresholds, crowds, empty classes and images.

    Coordinates are whole numbers, so that float32 boxes and the reference's doubles are the same numbers.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale, classes = draw(st.sampled_from([1, 7, 40])), draw(st.sampled_from([1, 2, 9]))
    names = tuple(f"kind {number}" for number in range(classes))
    records, detections = [], {}
    ids = rng.permutation(draw(st.integers(1, 5))) + 1
    for image_id in ids.tolist():
        objects, count = draw(st.integers(0, 8)), draw(st.sampled_from([0, 1, 5, 30, 250]))
        boxes, kinds = _boxes(rng, objects, scale), rng.integers(0, classes, objects)
        # A third of the detections are objects themselves, a third are moved a little, a third lie anywhere.
        whose = rng.integers(0, objects, count) if objects else None
        near = _boxes(rng, count, scale) if whose is None else boxes[whose]
        kind = rng.integers(0, 3, (count, 1))
        moved = near + rng.integers(-1, 2, (count, 4)) * scale
        found = np.where(kind == 0, near, np.where(kind == 1, moved, _boxes(rng, count, scale) - 5 * scale))
        found[:, 2:] = np.maximum(found[:, :2], found[:, 2:])
        labels = rng.integers(0, classes, count)
        if whose is not None:
            labels = np.where(rng.random(count) < 0.7, kinds[whose], labels)
        scores = rng.choice([0, 0.25, 0.5, 0.75, 1], count) if rng.random() < 0.5 else rng.random(count)
        natural = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        areas = np.where(rng.random(objects) < 0.3, rng.choice([1024, 9216, 1023, 9217, 0], objects), natural)
        crowd = rng.random(objects) < 0.25
        records.append(
            Record(
                image_id,
                Path(f"{image_id}.jpg"),
                (480, 640),
                boxes.astype(np.float32),
                kinds,
                crowd,
                areas.astype(np.float32),
            )
        )
        if count or rng.random() < 0.5:
            detections[image_id] = Detections(found, scores.astype(np.float32), labels, names, (480, 640))
    return records, detections, names


def _boxes(rng: np.random.Generator, count: int, scale: int) -> np.ndarray:
    corner = rng.integers(0, 12, (count, 2))
    return np.concatenate([corner, corner + rng.integers(0, 11, (count, 2))], axis=1) * scale


def as_coco(
    records: Sequence[Record], detections: Mapping[int, Detections], names: Sequence[str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The same scene as pycocotools reads it; category ids have gaps."""

    def xywh(box: np.ndarray) -> list[float]:
        x1, y1, x2, y2 = box.tolist()
        return [x1, y1, x2 - x1, y2 - y1]

    annotations: list[dict[str, Any]] = []
    for record in records:
        columns = zip(record.boxes_xyxy, record.class_ids, record.ignore, record.areas, strict=True)
        annotations += [
            {
                "id": len(annotations) + number,
                "image_id": record.image_id,
                "category_id": 3 * int(class_id) + 2,
                "bbox": xywh(box),
                "iscrowd": int(crowd),
                "area": float(area),
            }
            for number, (box, class_id, crowd, area) in enumerate(columns, start=1)
        ]
    truth = {
        "images": [{"id": record.image_id} for record in records],
        "annotations": annotations,
        "categories": [{"id": 3 * label + 2, "name": name} for label, name in enumerate(names)],
    }
    results = [
        {"image_id": image_id, "category_id": 3 * label + 2, "bbox": xywh(box), "score": float(score)}
        for image_id, found in detections.items()
        for box, score, label in zip(found.boxes_xyxy, found.scores, found.labels.tolist(), strict=True)
    ]
    return truth, results


@pytest.mark.slow
@pytest.mark.parametrize("library", [reference, second_reference])
@settings(max_examples=150)
@given(scene=scenes())
def test_random_scenes(library: Callable[..., tuple[np.ndarray, np.ndarray]], scene: Scene) -> None:
    records, detections, names = scene
    truth, results = as_coco(records, detections, names)
    if results:  # pycocotools itself cannot load an empty list
        same(average_precision(detections, records, names), names, library(truth, results), 1e-9)


@pytest.mark.slow
def test_more_than_a_hundred_of_one_class() -> None:
    rng = np.random.default_rng(5)
    boxes = _boxes(rng, 150, 12) + rng.integers(0, 9, (150, 4))
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2])
    found = boxes[rng.integers(0, 150, 700)] + rng.integers(-9, 10, (700, 4))
    found[:, 2:] = np.maximum(found[:, :2], found[:, 2:])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    record = Record(
        1,
        Path("1.jpg"),
        None,
        boxes.astype(np.float32),
        rng.integers(0, 2, 150),
        rng.random(150) < 0.1,
        areas.astype(np.float32),
    )
    names = ("cat", "dog")
    scores = rng.random(700).astype(np.float32)
    detections = {1: Detections(found, scores, rng.integers(0, 2, 700), names, (200, 200))}
    report = average_precision(detections, [record], names)
    same(report, names, reference(*as_coco([record], detections, names)), 1e-9)
    assert report.ar[1] < report.ar[10] < report.ar[100]


def test_published_data(shared_data: Path) -> None:
    results_file = shared_data / "cocoapi100" / "instances_val2014_fakebbox100_results.json"
    truth_file = shared_data / "cocoapi100" / "instances_val2014_100.json"
    data = load_dataset(truth_file)
    found = read_detections(results_file, "coco-results", data=truth_file)
    report = average_precision(found, data.records, data.class_names)
    assert (report.images, report.objects, len(report.ap_by_class)) == (100, 830, 70)
    pinned = {
        report.ap: 0.504581,
        report.ap_at_iou[0.5]: 0.696973,
        report.ap_at_iou[0.75]: 0.572982,
        report.ap_by_size["small"]: 0.585626,
        report.ap_by_size["medium"]: 0.519400,
        report.ap_by_size["large"]: 0.501398,
        report.ar[1]: 0.386813,
        report.ar[10]: 0.593680,
        report.ar[100]: 0.595353,
        report.ar_by_size["small"]: 0.639811,
        report.ar_by_size["medium"]: 0.566421,
        report.ar_by_size["large"]: 0.564291,
    }
    for got, want in pinned.items():
        assert got == pytest.approx(want, abs=1e-6)
    for library in (reference, second_reference):
        want = library(json.loads(truth_file.read_text()), json.loads(results_file.read_text()))
        # The references order categories by their ids.
        order = np.argsort(data.category_ids)
        same(report, [data.class_names[label] for label in order.tolist()], want, 1e-6)
