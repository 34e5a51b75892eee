"""Ground truth as YOLO: ``images/PART/``, ``labels/PART/`` and ``data.yaml``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from objectness.datasets.records import Record
from objectness.datasets.splits import ALL
from objectness.datasets.writable import WritableDataset, count_crowds, count_difficult, count_other_areas
from objectness.files.atomic_write import replacing


def write(folder: Path, content: WritableDataset) -> list[str]:
    """Write one label file an image; crowd and ignore regions are left out, as YOLO would take them for objects.

    Boxes lie within their image, as ``writable.valid_boxes`` makes them: YOLO training throws an image away whose boxes
    stick out. ``data.yaml`` has no ``path``: without it, every reader starts from the folder of the file itself.

    Returns:
        Losses, as YOLO cannot hold everything, in sentences.
    """
    import yaml

    total = 0
    for split, records in content.records.items():
        for record in records:
            total += 1
            label = (
                folder
                / image_folder(split).replace("images", "labels", 1)
                / f"{Path(content.file_names[record.path]).stem}.txt"
            )
            with replacing(label) as file:
                file.writelines(_lines(record))
    document = {
        **{"train" if split == ALL else split: image_folder(split) for split in content.records},
        "names": dict(enumerate(content.class_names)),
    }
    with replacing(folder / "data.yaml") as file:
        yaml.safe_dump(document, file, sort_keys=False, allow_unicode=True)
    counts = (
        (int(ALL in content.records), "part, train, holds all images in data.yaml: objectness data split makes more"),
        (count_crowds(content), "crowd and ignore regions were left out, as YOLO would take them for objects"),
        (count_difficult(content), "marks difficult are lost"),
        (count_other_areas(content), "areas of masks are lost"),
        (total if content.has_ids else 0, "image ids are lost: YOLO goes by name"),
    )
    return [f"{count} {what}" for count, what in counts if count]


def image_folder(split: str) -> str:
    """Where a part's images lie."""
    return "images" if split == ALL else f"images/{split}"


def _lines(record: Record) -> Iterator[str]:
    height, width = record.size_hw or (1, 1)
    for index, (x1, y1, x2, y2) in enumerate(record.boxes_xyxy.astype(float).tolist()):
        if record.ignore[index]:
            continue
        numbers = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        yield f"{record.class_ids[index]} {' '.join(f'{number:.10g}' for number in numbers)}\n"
