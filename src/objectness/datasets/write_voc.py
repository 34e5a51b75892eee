"""Ground truth as Pascal VOC: ``Annotations/``, ``JPEGImages/`` and ``ImageSets/Main/PART.txt``.

VOC counts pixels from 1 and the last one in: xmin = x1 + 1, xmax = x2, whole numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from objectness.datasets.records import Record
from objectness.datasets.splits import ALL
from objectness.datasets.writable import WritableDataset, count_crowds, count_other_areas
from objectness.files.atomic_write import replacing

_MOVED_PX = 1e-3
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(folder: Path, content: WritableDataset) -> list[str]:
    """Write one XML file an image; crowd and ignore regions are marked difficult, which VOC leaves out of account.

    Boxes lie within their image, as ``writable.valid_boxes`` makes them.

    Returns:
        Losses, as VOC cannot hold everything, in sentences.
    """
    moved = thin = total = 0
    for split, records in content.records.items():
        stems = []
        for record in records:
            name = content.file_names[record.path]
            stems.append(Path(name).stem)
            total += 1
            moved += int((np.abs(_whole_pixels(record) - record.boxes_xyxy) > _MOVED_PX).any(axis=1).sum())
            thin += int(_are_thin(record.boxes_xyxy).any(axis=1).sum())
            with replacing(folder / "Annotations" / f"{stems[-1]}.xml") as file:
                file.writelines(_lines(record, name, content))
        if split != ALL:
            with replacing(folder / "ImageSets" / "Main" / f"{split}.txt") as file:
                file.writelines(f"{stem}\n" for stem in stems)
    crowds = count_crowds(content)
    counts = (
        (moved, "boxes were rounded to whole pixels, as VOC has no others"),
        (thin, "boxes had no whole pixel between their sides and are one pixel wide or high now"),
        (
            crowds,
            "crowd and ignore regions are marked difficult, as VOC has no mark of its own for them",
        ),
        (count_other_areas(content), "areas of masks are lost"),
        (total if content.has_ids else 0, "image ids are lost: VOC goes by name"),
    )
    return [f"{count} {what}" for count, what in counts if count]


def image_folder(split: str) -> str:
    """Where a part's images lie."""
    return "JPEGImages"


def _are_thin(boxes_xyxy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """``(N, 2)``: no whole pixel would be left of the width, or of the height."""
    thin: NDArray[np.bool_] = np.round(boxes_xyxy[:, 2:]) <= np.round(boxes_xyxy[:, :2])
    return thin


def _whole_pixels(record: Record) -> NDArray[np.int64]:
    """The boxes in whole pixels, at least one wide and high; they lie within their image, and so does this."""
    whole = np.round(record.boxes_xyxy).astype(np.int64)
    height, width = record.size_hw or (1, 1)
    thin = _are_thin(record.boxes_xyxy)
    start = np.minimum(np.floor(record.boxes_xyxy[:, :2]).astype(np.int64), np.array([width, height]) - 1)
    whole[:, :2] = np.where(thin, start, whole[:, :2])
    whole[:, 2:] = np.where(thin, start + 1, whole[:, 2:])
    return whole


def _lines(record: Record, name: str, content: WritableDataset) -> Iterator[str]:
    height, width = record.size_hw or (0, 0)
    yield f"<annotation>\n  <folder>JPEGImages</folder>\n  <filename>{_text(name)}</filename>\n"
    if content.images_left:
        yield f"  <path>{_text(str(record.path.absolute()))}</path>\n"
    yield f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n"
    yield "  <segmented>0</segmented>\n"
    difficult = record.ignore if record.difficult is None else record.ignore | record.difficult
    for index, (x1, y1, x2, y2) in enumerate(_whole_pixels(record).tolist()):
        corners = f"<xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        yield (
            f"  <object>\n    <name>{_text(content.class_names[record.class_ids[index]])}</name>\n"
            "    <pose>Unspecified</pose><truncated>0</truncated>"
            f"<difficult>{int(difficult[index])}</difficult>\n    <bndbox>{corners}</bndbox>\n  </object>\n"
        )
    yield "</annotation>\n"


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text))
