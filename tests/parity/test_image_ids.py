"""Without file names, results belong to the images that pycocotools takes them for, or they are refused."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest

from objectness import formats
from objectness.datasets import load_dataset
from objectness.errors import InputError
from objectness.evaluation.measurement import measure
from objectness.evaluation.recall import recall_report
from objectness.formats.core.image_lookup import index_records

BOXES = [(0, 0, 10, 10), (20, 20, 12, 10), (40, 30, 10, 14)]


@pytest.mark.parametrize("own", [[3, 1, 2], [70, 8, 2**53 + 1], ["c", "a", "b"], [2**63, 5, 0]])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_ids_lead_where_pycocotools_leads(own: list[int | str], order: tuple[int, ...], tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    images = [
        {"id": key, "file_name": f"{number}.jpg", "width": 100, "height": 80} for number, key in enumerate(own, start=1)
    ]
    annotations = [
        {"id": number, "image_id": key, "category_id": 1, "bbox": box, "area": 100, "iscrowd": 0}
        for number, (key, box) in enumerate(zip(own, BOXES, strict=True), start=1)
    ]
    truth, found = tmp_path / "gt.json", tmp_path / "p.json"
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    truth.write_text(json.dumps(document))
    entries = [
        {"image_id": own[place], "category_id": 1, "bbox": BOXES[number], "score": 0.5}
        for number, place in enumerate(order)
    ]
    found.write_text(json.dumps(entries))
    with contextlib.redirect_stdout(io.StringIO()):
        ground = coco.COCO(str(truth))
        judge = cocoeval.COCOeval(ground, ground.loadRes(str(found)), "bbox")
        judge.params.useCats = 0
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    records = load_dataset(truth).records
    measured = measure(
        formats.read_proposals(found, "coco-results", image_index=index_records(records)), records, (100,)
    )
    assert recall_report(measured).to_json()["ar"]["100"] == pytest.approx(judge.stats[8], abs=1e-6)
    found.write_text(json.dumps([*entries, {**entries[0], "image_id": 99}]))
    with contextlib.redirect_stdout(io.StringIO()), pytest.raises(AssertionError):
        ground.loadRes(str(found))
    with pytest.raises(InputError, match="image 99"):
        formats.read_proposals(found, "coco-results", image_index=index_records(records))
