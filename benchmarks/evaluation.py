"""How long it takes to measure made-up proposals, beside pycocotools and hotcoco where they are installed.

    python benchmarks/evaluation.py [--images 5000] [--proposals 1000] [--peers]

The peers build a Python object for each proposal: --peers with 5,000 images of 1,000 needs several GB.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from objectness.datasets.records import Record
from objectness.evaluation.curves import charts
from objectness.evaluation.measurement import DEFAULT_KS, measure
from objectness.evaluation.recall import recall_report
from objectness.evaluation.results import MethodResult, Results
from objectness.evaluation.tables import tables
from objectness.proposals import Proposals

SIZE_HW = (480, 640)


def scene(images: int, proposals: int, seed: int = 0) -> tuple[list[Record], dict[int, Proposals]]:
    """COCO's 7.3 objects an image; half of the proposals lie about them, half anywhere."""
    rng = np.random.default_rng(seed)
    records, found = [], {}
    for image_id in range(images):
        count = int(rng.poisson(7.3))
        corner = rng.uniform(0, 400, (count, 2))
        boxes = np.concatenate([corner, corner + np.exp(rng.uniform(2, 5.5, (count, 2)))], axis=1).astype(np.float32)
        near = boxes[rng.integers(0, count, proposals // 2)] if count else np.zeros((0, 4))
        corner = rng.uniform(0, 500, (proposals - len(near), 2))
        far = np.concatenate([corner, corner + rng.uniform(5, 300, corner.shape)], axis=1)
        proposed = np.concatenate([near + rng.normal(0, 8, near.shape), far])
        proposed[:, 2:] = np.maximum(proposed[:, 2:], proposed[:, :2])
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        ids, crowd = rng.integers(0, 80, count), rng.random(count) < 0.01
        records.append(Record(image_id, Path(f"{image_id}.jpg"), SIZE_HW, boxes, ids, crowd, areas))
        scores = np.sort(rng.random(proposals).astype(np.float32))[::-1]
        found[image_id] = Proposals(rng.permutation(proposed).astype(np.float32), scores, SIZE_HW)
    return records, found


def as_coco(records: list[Record], found: dict[int, Proposals]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    annotations: list[dict[str, Any]] = []
    for record in records:
        rows = zip(record.boxes_xyxy.tolist(), record.class_ids, record.ignore, record.areas, strict=True)
        for (x1, y1, x2, y2), class_id, crowd, area in rows:
            place = {"id": len(annotations) + 1, "image_id": record.image_id, "bbox": [x1, y1, x2 - x1, y2 - y1]}
            annotations.append({**place, "category_id": int(class_id), "iscrowd": int(crowd), "area": float(area)})
    truth = {
        "images": [{"id": record.image_id, "width": SIZE_HW[1], "height": SIZE_HW[0]} for record in records],
        "annotations": annotations,
        "categories": [{"id": number, "name": str(number)} for number in range(80)],
    }
    results = [
        {"image_id": image_id, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
        for image_id, one in found.items()
        for (x1, y1, x2, y2), score in zip(one.boxes_xyxy.tolist(), one.scores.tolist(), strict=True)
    ]
    return truth, results


def peer(name: str, truth: dict[str, Any], results: list[dict[str, Any]]) -> float:
    """AR@1000 by a library that takes part in the comparison."""
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
    parameters = evaluation.params
    parameters.useCats, parameters.maxDets = False, list(DEFAULT_KS)
    evaluation.params = parameters
    evaluation.evaluate()
    evaluation.accumulate()
    return float(np.asarray(evaluation.eval["recall"])[:, 0, 0, -1].mean())


@contextlib.contextmanager
def clock(what: str) -> Iterator[None]:
    wall, cpu = perf_counter(), process_time()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what}: {perf_counter() - wall:.1f} s ({process_time() - cpu:.1f} s of processor), peak {peak:.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--proposals", type=int, default=1000)
    parser.add_argument("--peers", action="store_true")
    words = parser.parse_args()
    with clock("made the data"):
        records, found = scene(words.images, words.proposals)
    with clock("objectness, matching"):
        measured = measure(found, records)
    with clock("objectness, all tables and curves with intervals"):
        results = Results("made up", records, tuple(map(str, range(80))), (MethodResult("made up", measured, found),))
        tables(results)
        charts(results)
    print(f"AR@1000 {recall_report(measured).ar[1000]:.9f}")
    for name in ("pycocotools", "hotcoco") if words.peers else ():
        if find_spec(name):
            truth, results = as_coco(records, found)
            with clock(f"{name}, recall alone"), contextlib.redirect_stdout(io.StringIO()) as _:
                figure = peer(name, truth, results)
            print(f"AR@1000 {figure:.9f}")


if __name__ == "__main__":
    main()
