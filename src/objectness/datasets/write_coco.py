"""Ground truth as COCO: ``annotations/instances_PART.json`` and ``images/PART/``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from objectness.datasets.records import Record
from objectness.datasets.splits import ALL
from objectness.datasets.writable import WritableDataset
from objectness.files.atomic_write import replacing
from objectness.image_spelling import plain_id


def write(folder: Path, content: WritableDataset) -> list[str]:
    """Write one JSON file a part; ``difficult`` is a further key of an annotation, which other readers pass over.

    Returns:
        Losses, as COCO cannot hold everything, in sentences.
    """
    number = 0
    changes: list[str] = []
    for split, records in content.records.items():
        images, annotations = [], []
        ids = [record.own_id if content.has_ids else record.image_id for record in records]
        if len({plain_id(image_id) for image_id in ids}) < len(ids):
            changes.append(f"{len(ids)} images were numbered anew, as two of them have one id")
            ids = [record.image_id for record in records]
        for image_id, record in zip(ids, records, strict=True):
            height, width = record.size_hw or (0, 0)
            name = str(record.path.absolute()) if content.images_left else content.file_names[record.path]
            images.append({"id": image_id, "file_name": name, "width": width, "height": height})
            for index in range(len(record.boxes_xyxy)):
                number += 1
                annotations.append(_annotation(image_id, record, index, number))
        categories = [{"id": index, "name": name} for index, name in enumerate(content.class_names, start=1)]
        stem = "instances" if split == ALL else f"instances_{split}"
        with replacing(folder / "annotations" / f"{stem}.json") as file:
            json.dump({"images": images, "annotations": annotations, "categories": categories}, file, allow_nan=False)
    return changes


def image_folder(split: str) -> str:
    """Where a part's images lie."""
    return "images" if split == ALL else f"images/{split}"


def _annotation(image_id: int | str, record: Record, index: int, number: int) -> dict[str, Any]:
    x1, y1, x2, y2 = (float(f"{value:.9g}") for value in record.boxes_xyxy[index].tolist())
    area = float(record.areas[index])
    crowd = record.crowd is not None and bool(record.crowd[index])
    entry = {
        "id": number,
        "image_id": image_id,
        "category_id": int(record.class_ids[index]) + 1,
        "bbox": [x1, y1, float(f"{x2 - x1:.12g}"), float(f"{y2 - y1:.12g}")],
        "area": float(f"{area:.9g}") if np.isfinite(area) else 0.0,
        "iscrowd": int(crowd),
    }
    if record.ignore[index] and not crowd:
        entry["ignore"] = 1
    if record.difficult is not None and record.difficult[index]:
        entry["difficult"] = 1
    return entry
