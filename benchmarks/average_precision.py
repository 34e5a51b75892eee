"""How long it takes to measure mAP of made-up detections, in turns with pycocotools and hotcoco where installed.

    python benchmarks/average_precision.py [--images 5000] [--detections 100] [--rounds 3] [--draws 0]

Ours gives pycocotools' twelve figures, VOC's two and those of every class. The peers get what a parsed file holds.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from timing import machine, paired, seconds

from objectness.datasets.records import Record
from objectness.detections import Detections
from objectness.evaluation.detection import PrecisionReport, average_precision
from objectness.evaluation.detection.figures import figures
from objectness.evaluation.detection.matches import match

SIZE_HW, CLASSES = (480, 640), tuple(f"class {number}" for number in range(80))


def scene(images: int, detections: int, seed: int = 0) -> tuple[list[Record], dict[int, Detections]]:
    """COCO's 7.3 objects an image; detections lie about them, six in ten with the right name."""
    rng = np.random.default_rng(seed)
    records, found = [], {}
    for image_id in range(1, images + 1):
        count = int(rng.poisson(7.3))
        corner = rng.integers(0, 400, (count, 2))
        sides = np.exp(rng.uniform(2, 5.5, (count, 2))).astype(np.int64)
        boxes = np.concatenate([corner, corner + sides], axis=1).astype(np.float32)
        kinds, labels = rng.integers(0, 80, count), rng.integers(0, 80, detections)
        near = np.tile([100, 100, 200, 200], (detections, 1)).astype(np.float32)
        if count:
            whose = rng.integers(0, count, detections)
            near, labels = boxes[whose], np.where(rng.random(detections) < 0.6, kinds[whose], labels)
        moved = near + rng.integers(-12, 13, near.shape)
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        scores = np.sort(rng.random(detections).astype(np.float32))[::-1]
        records.append(
            Record(
                image_id,
                Path(f"{image_id}.jpg"),
                SIZE_HW,
                boxes,
                kinds,
                rng.random(count) < 0.01,
                sides.prod(axis=1).astype(np.float32),
            )
        )
        found[image_id] = Detections(moved, scores, labels, CLASSES, SIZE_HW)
    return records, found


def as_coco(records: list[Record], found: dict[int, Detections]) -> tuple[dict[str, Any], np.ndarray]:
    """Ground truth, and results as the table that the peers load fastest: image, box, score, category."""
    annotations: list[dict[str, Any]] = []
    for record in records:
        rows = zip(record.boxes_xyxy.tolist(), record.class_ids, record.ignore, record.areas, strict=True)
        for (x1, y1, x2, y2), class_id, crowd, area in rows:
            place = {"id": len(annotations) + 1, "image_id": record.image_id, "bbox": [x1, y1, x2 - x1, y2 - y1]}
            annotations.append({**place, "category_id": int(class_id) + 1, "iscrowd": int(crowd), "area": float(area)})
    truth = {
        "images": [{"id": record.image_id, "width": SIZE_HW[1], "height": SIZE_HW[0]} for record in records],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)],
    }
    tables = []
    for image_id, one in found.items():
        boxes = one.boxes_xyxy.astype(np.float64)
        boxes[:, 2:] -= boxes[:, :2]
        ids = np.full(len(one), float(image_id))
        tables.append(np.column_stack([ids, boxes, one.scores.astype(np.float64), one.labels + 1.0]))
    return truth, np.concatenate(tables)


def peer(name: str, truth: dict[str, Any], results: np.ndarray) -> float:
    """AP by a library that takes part in the comparison."""
    with contextlib.redirect_stdout(io.StringIO()):
        if name == "hotcoco":
            import hotcoco

            data = hotcoco.COCO(truth)
            evaluation = hotcoco.COCOeval(data, data.loadRes(results), "bbox")
        else:
            from pycocotools.coco import COCO
            from pycocotools.cocoeval import COCOeval

            data = COCO()
            data.dataset = truth
            data.createIndex()
            evaluation = COCOeval(data, data.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--detections", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--draws", type=int, default=0, help="time this many draws of the bootstrap too")
    words = parser.parse_args()
    print(machine("numpy"))
    records, found = scene(words.images, words.detections)

    def ours() -> PrecisionReport:
        return average_precision(found, records, CLASSES)

    report = ours()
    print(f"ours: AP {report.ap:.9f}, AP50 {report.ap_at_iou[0.5]:.9f}")
    truth, results = as_coco(records, found)
    for name in ("pycocotools", "hotcoco"):
        if find_spec(name):
            theirs = partial(peer, name, truth, results)
            print(f"{name}: AP {theirs():.9f}")
            times = paired(ours, theirs, words.rounds, warm=0)
            print(f"seconds: ours {times.a:.2f}, {name} {times.b:.2f}, {times.ratio:.2f} times as fast")
    if words.draws:
        matches = match(found, records, CLASSES)
        print(f"{words.draws} draws: {seconds(lambda: figures(matches, CLASSES, words.draws, 0)):.1f} s")


if __name__ == "__main__":
    main()
