"""Average recall against pycocotools, the reference that everybody compares with, and hotcoco, a second one."""

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
from objectness.evaluation import RecallReport, average_recall
from objectness.formats import coco_results, read_proposals
from objectness.proposals import Proposals

coco = pytest.importorskip("pycocotools.coco")
cocoeval = pytest.importorskip("pycocotools.cocoeval")

KS = (1, 10, 100, 300, 1000)


def reference(truth: dict[str, Any], results: list[dict[str, Any]], ks: Sequence[int]) -> np.ndarray:
    """Recall by pycocotools: ``(10 thresholds, 4 sizes, K)``; -1 where there is no object."""
    with contextlib.redirect_stdout(io.StringIO()):
        data = coco.COCO()
        data.dataset = truth
        data.createIndex()
        return _evaluated(cocoeval.COCOeval(data, data.loadRes(results), "bbox"), ks)


def second_reference(truth: dict[str, Any], results: list[dict[str, Any]], ks: Sequence[int]) -> np.ndarray:
    """The same by hotcoco, whose code has nothing in common with pycocotools'."""
    hotcoco = pytest.importorskip("hotcoco")
    data = hotcoco.COCO(truth)
    return _evaluated(hotcoco.COCOeval(data, data.loadRes(results), "bbox"), ks)


def _evaluated(evaluation: Any, ks: Sequence[int]) -> np.ndarray:
    parameters = evaluation.params
    parameters.useCats = False
    parameters.maxDets = list(ks)
    evaluation.params = parameters  # hotcoco gives a copy
    evaluation.evaluate()
    evaluation.accumulate()
    return np.asarray(evaluation.eval["recall"])[:, 0]


def same(report: RecallReport, want: np.ndarray, tolerance: float) -> None:
    """Every figure of the report is the reference's."""

    def close(got: float | None, values: np.ndarray) -> None:
        if (values == -1).all():
            assert got is None
        else:
            assert got == pytest.approx(values.mean(), abs=tolerance)

    for index, k in enumerate(report.ks):
        close(report.ar[k], want[:, 0, index])
        for size, name in enumerate(("small", "medium", "large"), start=1):
            close(report.ar_by_size[name][k], want[:, size, index])
        for level, iou in enumerate(report.recall_at_iou):
            close(report.recall_at_iou[iou][k], want[level, 0, index])


def test_published_values(shared_data: Path) -> None:
    results_file = shared_data / "cocoapi100" / "instances_val2014_fakebbox100_results.json"
    truth_file = shared_data / "cocoapi100" / "instances_val2014_100.json"
    report = average_recall(read_proposals(results_file, "coco-results"), load_dataset(truth_file).records, KS)
    assert (report.images, report.objects) == (100, 830)
    assert report.ar[1] == pytest.approx(0.090482, abs=1e-6)
    assert report.ar[10] == pytest.approx(0.506627, abs=1e-6)
    for k in (100, 300, 1000):
        assert report.ar[k] == pytest.approx(0.678072, abs=1e-6)
        assert report.ar_by_size["small"][k] == pytest.approx(0.665848, abs=1e-6)
        assert report.ar_by_size["medium"][k] == pytest.approx(0.690000, abs=1e-6)
        assert report.ar_by_size["large"][k] == pytest.approx(0.690710, abs=1e-6)
        assert report.recall_at_iou[0.5][k] == pytest.approx(0.881928, abs=1e-6)
        assert report.recall_at_iou[0.75][k] == pytest.approx(0.759036, abs=1e-6)
    for library in (reference, second_reference):
        same(report, library(json.loads(truth_file.read_text()), json.loads(results_file.read_text()), KS), 1e-6)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Record], dict[int, Proposals]]:
    """A few images on a coarse grid: equal boxes and scores, exact IoU thresholds, crowds, nothing at all.

    Coordinates are whole numbers, so that float32 boxes and the reference's doubles are the same numbers.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([1, 7, 40]))
    records, proposals = [], {}
    for image_id in range(1, draw(st.integers(1, 4)) + 1):
        objects, count = draw(st.integers(0, 8)), draw(st.sampled_from([0, 1, 5, 30, 130]))
        boxes = _boxes(rng, objects, scale)
        # A third of the proposals are objects themselves, a third are moved a little, a third lie anywhere.
        near = boxes[rng.integers(0, objects, count)] if objects else _boxes(rng, count, scale)
        moved = near + rng.integers(-1, 2, (count, 4)) * scale
        anywhere = _boxes(rng, count, scale) - 5 * scale
        kind = rng.integers(0, 3, (count, 1))
        found = np.where(kind == 0, near, np.where(kind == 1, moved, anywhere))
        found[:, 2:] = np.maximum(found[:, :2], found[:, 2:])
        tied = rng.random() < 0.5
        scores = np.sort(rng.choice([0, 0.25, 0.5, 0.75, 1], count) if tied else rng.random(count))
        natural = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        areas = np.where(rng.random(objects) < 0.3, rng.choice([1024, 9216, 1023, 9217, 0], objects), natural)
        records.append(
            Record(
                image_id,
                Path(f"{image_id}.jpg"),
                (480, 640),
                boxes.astype(np.float32),
                rng.integers(0, 3, objects),
                rng.random(objects) < 0.25,
                areas.astype(np.float32),
            )
        )
        if count or rng.random() < 0.5:
            proposals[image_id] = Proposals(found.astype(np.float32), scores[::-1].astype(np.float32), (480, 640))
    return records, proposals


def _boxes(rng: np.random.Generator, count: int, scale: int) -> np.ndarray:
    corner = rng.integers(0, 12, (count, 2))
    return np.concatenate([corner, corner + rng.integers(0, 11, (count, 2))], axis=1) * scale


def as_coco(
    records: Sequence[Record], proposals: Mapping[int, Proposals]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The same scene as pycocotools reads it."""

    def xywh(box: np.ndarray) -> list[float]:
        x1, y1, x2, y2 = box.tolist()
        return [x1, y1, x2 - x1, y2 - y1]

    annotations: list[dict[str, Any]] = []
    for record in records:
        for box, class_id, crowd, area in zip(
            record.boxes_xyxy, record.class_ids, record.ignore, record.areas, strict=True
        ):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": record.image_id,
                    "category_id": int(class_id),
                    "bbox": xywh(box),
                    "iscrowd": int(crowd),
                    "area": float(area),
                }
            )
    truth = {
        "images": [{"id": record.image_id} for record in records],
        "annotations": annotations,
        "categories": [{"id": class_id, "name": str(class_id)} for class_id in range(3)],
    }
    results = [
        {"image_id": image_id, "category_id": 1, "bbox": xywh(box), "score": float(score)}
        for image_id, found in proposals.items()
        for box, score in zip(found.boxes_xyxy, found.scores, strict=True)
    ]
    return truth, results


@pytest.mark.slow
@pytest.mark.parametrize("library", [reference, second_reference])
@settings(max_examples=100)
@given(scene=scenes(), ks=st.sampled_from([KS, (2, 4), (3,)]))
def test_random_scenes(
    library: Callable[..., np.ndarray], scene: tuple[list[Record], dict[int, Proposals]], ks: tuple[int, ...]
) -> None:
    records, proposals = scene
    truth, results = as_coco(records, proposals)
    if results:  # pycocotools itself cannot load an empty list
        same(average_recall(proposals, records, ks), library(truth, results, ks), 1e-9)


def test_equal_overlaps_go_by_class(make_record, make_proposals) -> None:
    # The first proposal overlaps both by 8/12. The reference goes through the objects class by class and
    # takes the last, which is the object that the second proposal would have found.
    record = make_record(1, [[0, 0, 10, 10], [4, 0, 14, 10]], class_ids=[1, 0])
    proposals = {1: make_proposals([[2, 0, 12, 10], [0, 0, 10, 10]])}
    report = average_recall(proposals, [record], (1, 2))
    assert report.recall_at_iou[0.5] == {1: 0.5, 2: 0.5}
    same(report, reference(*as_coco([record], proposals), (1, 2)), 1e-9)


@pytest.mark.slow
def test_a_full_thousand() -> None:
    rng = np.random.default_rng(3)
    boxes = _boxes(rng, 40, 12) + rng.integers(0, 9, (40, 4))
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2])
    found = boxes[rng.integers(0, 40, 1200)] + rng.integers(-30, 31, (1200, 4))
    scores = np.sort(rng.random(1200))[::-1].astype(np.float32)
    record = Record(
        1,
        Path("1.jpg"),
        None,
        boxes.astype(np.float32),
        np.zeros(40, np.int64),
        np.zeros(40, bool),
        ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).astype(np.float32),
    )
    proposals = {1: Proposals(found.astype(np.float32), scores, (200, 200))}
    report = average_recall(proposals, [record], KS)
    same(report, reference(*as_coco([record], proposals), KS), 1e-9)
    assert report.ar[1] < report.ar[10] < report.ar[100] < report.ar[300] < report.ar[1000]


def test_a_written_file_is_one_that_pycocotools_reads(tmp_path: Path) -> None:
    box = [[10, 20, 40, 60]]
    record = Record(
        7,
        Path("7.jpg"),
        None,
        np.array(box, np.float32),
        np.zeros(1, np.int64),
        np.zeros(1, bool),
        np.array([1200], np.float32),
    )
    proposals = {7: Proposals(np.array(box, np.float32), np.array([0.5], np.float32), (480, 640))}
    coco_results.write(tmp_path / "proposals.json", proposals)
    truth, _ = as_coco([record], proposals)
    want = reference(truth, json.loads((tmp_path / "proposals.json").read_text()), KS)
    assert (want[:, 0] == 1).all()
