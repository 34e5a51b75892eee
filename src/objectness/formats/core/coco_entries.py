"""The text of COCO results: one line a proposal, one row an image, and the name of the table beside them.

A module of its own because ``propose`` writes results while it runs, and needs nothing of what reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from objectness.boxes import xyxy_to_xywh
from objectness.errors import InputError
from objectness.proposals import Proposals


def images_path(path: Path | str) -> Path:
    """The table beside a proposals file: ``proposals.json`` -> ``proposals.images.json``."""
    path = Path(path)
    return path.with_suffix(f".images{path.suffix or '.json'}")


def entry_lines(image_id: int | str, found: Proposals) -> Iterator[str]:
    """The entries of one image, a line each.

    Raises:
        InputError: a box or a score that is not finite.
    """
    written = json.dumps(image_id if isinstance(image_id, str) else int(image_id))
    usable = np.isfinite(found.boxes_xyxy).all(axis=1) & np.isfinite(found.scores)
    if not usable.all():
        raise InputError(
            f"Image {image_id}: proposal {int(np.argmin(usable)) + 1} has a box or a score that is not a "
            "finite number; nothing was written."
        )
    # Corners are rounded before the width is taken, so that the far corner is right to 0.005 too.
    boxes = np.round(xyxy_to_xywh(np.round(found.boxes_xyxy.astype(np.float64), 2)), 2)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 0)
    for box, score in zip(boxes.tolist(), found.scores.tolist(), strict=True):
        yield f'{{"image_id": {written}, "category_id": 1, "bbox": {box}, "score": {score:.6g}}}'


def image_row(image_id: int | str, found: Proposals) -> dict[str, Any]:
    """One image in the table."""
    height, width = found.size_hw
    whole = image_id if isinstance(image_id, str) else int(image_id)
    return {"id": whole, "file_name": found.source, "width": width, "height": height}
