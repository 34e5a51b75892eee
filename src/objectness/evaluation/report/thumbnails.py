"""Small pictures of missed objects, with enough room to see the nearest proposal."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objectness.errors import InputError
from objectness.evaluation.measurement import SIZE
from objectness.evaluation.missed import Missed, missed, missed_mask
from objectness.evaluation.results import Results
from objectness.images import open_upright

SIDE_PX = 180
_ROOM = 0.6  # of the object, on every side
_FURTHEST = 3.0  # times the object: how far the picture reaches out for the nearest proposals
_QUALITY = 70


@dataclass(frozen=True)
class Thumbnail:
    """One missed object, ready for the page.

    Attributes:
        document: What the page's script reads: plain values only.
        missing: The photograph could not be read, so the picture is blank.
    """

    document: dict[str, Any]
    missing: bool


def thumbnails(
    results: Results, limit: int, on_image: Callable[[], None] = lambda: None
) -> tuple[list[Thumbnail], int]:
    """Pictures of the objects that at least one method misses, smallest first.

    Args:
        results: With the photographs' paths in its records.
        limit: Of more objects than this an evenly spaced choice over the sizes is shown.
        on_image: Called after each thumbnail (for progress).

    Returns:
        The pictures, and how many objects are missed in all.
    """
    by_method = [
        {lost.at: lost for lost in missed(result.measured, result.proposals, results.at)} for result in results.methods
    ]
    areas = results.methods[0].measured.areas
    places = np.flatnonzero(np.any([missed_mask(result.measured, results.at) for result in results.methods], axis=0))
    places = places[np.argsort(areas[places], kind="stable")]
    chosen = places
    if len(places) > limit:
        chosen = places[np.linspace(0, len(places) - 1, max(0, limit)).round().astype(np.intp)]
    found: dict[int, Thumbnail] = {}
    photo: tuple[int, NDArray[np.uint8] | None] = (-1, None)
    image_of = results.methods[0].measured.image_of
    # Photograph by photograph, so that each is read once, then back in the order of size.
    for at in sorted(chosen.tolist(), key=lambda at: int(image_of[at])):
        position = int(image_of[at])
        if photo[0] != position:
            photo = (position, _read(results, position))
        found[at] = _thumbnail(results, at, [lost.get(at) for lost in by_method], photo[1])
        on_image()
    return [found[at] for at in chosen.tolist()], len(places)


def _read(results: Results, position: int) -> NDArray[np.uint8] | None:
    try:
        return open_upright(results.records[position].path)
    except InputError:
        return None


def _thumbnail(results: Results, at: int, lost: Sequence[Missed | None], photo: NDArray[np.uint8] | None) -> Thumbnail:
    measured = results.methods[0].measured
    record = results.records[int(measured.image_of[at])]
    box_xyxy = measured.boxes_xyxy[at]
    nearest = [one.nearest_xyxy for one in lost if one is not None and one.nearest_xyxy is not None]
    window = _window(box_xyxy, nearest, photo.shape[:2] if photo is not None else record.size_hw)
    scale = SIDE_PX / max(window[2] - window[0], window[3] - window[1])
    size_wh = (
        max(1, round((window[2] - window[0]) * scale)),
        max(1, round((window[3] - window[1]) * scale)),
    )

    def placed(box: NDArray[np.float64] | None) -> list[float] | None:
        if box is None:
            return None
        moved = (box - np.array([window[0], window[1]] * 2)) * scale
        return [round(float(value), 1) for value in np.clip(moved, -1e4, 1e4)]

    class_id = int(measured.class_ids[at])
    sizes = [name for name, mask in results.members[SIZE].items() if mask[at]]
    return Thumbnail(
        {
            "file": record.path.name,
            "image": record.image_id,
            "class": results.class_names[class_id] if class_id < len(results.class_names) else f"class {class_id}",
            "size": sizes[-1] if sizes else "",
            "area": round(float(measured.areas[at]), 1),
            "sides": [round(float(side), 1) for side in (box_xyxy[2:] - box_xyxy[:2])],
            "width": size_wh[0],
            "height": size_wh[1],
            "box": placed(box_xyxy),
            "picture": None if photo is None else _picture(photo, window, size_wh),
            # For each method: null where it finds the object, else the nearest proposal (or null) and its IoU.
            "missed": [
                None if one is None else {"nearest": placed(one.nearest_xyxy), "iou": round(one.iou, 4)} for one in lost
            ],
        },
        missing=photo is None,
    )


def _window(
    box_xyxy: NDArray[np.float64], nearest: Sequence[NDArray[np.float64]], size_hw: tuple[int, ...] | None
) -> tuple[float, float, float, float]:
    """The part of the photograph to show: the object with room around it, and what is near of the proposals."""
    sides = np.maximum(box_xyxy[2:] - box_xyxy[:2], 1)
    room = max(float(sides.max()) * _ROOM, 12.0)
    reach = float(sides.max()) * _FURTHEST
    low, high = box_xyxy[:2] - room, box_xyxy[2:] + room
    for other in nearest:
        finite = np.nan_to_num(other, nan=0.0, posinf=1e6, neginf=-1e6)
        low = np.minimum(low, np.maximum(finite[:2] - 4, box_xyxy[:2] - reach))
        high = np.maximum(high, np.minimum(finite[2:] + 4, box_xyxy[2:] + reach))
    if size_hw is not None:
        edge = np.array([size_hw[1], size_hw[0]], dtype=np.float64)
        low, high = np.clip(low, 0, edge), np.clip(high, 0, edge)
    if (high - low < 1).any():  # the object lies outside its photograph
        low, high = box_xyxy[:2] - room, box_xyxy[2:] + room
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _picture(photo: NDArray[np.uint8], window: tuple[float, float, float, float], size_wh: tuple[int, int]) -> str:
    whole = Image.fromarray(photo)
    part = whole.transform(size_wh, Image.Transform.EXTENT, window, Image.Resampling.BILINEAR)
    if (window[2] - window[0]) > 2 * size_wh[0]:  # one sample a pixel would flicker where much is shrunk
        edges = tuple(round(value) for value in window)
        part = whole.crop(edges).resize(size_wh, Image.Resampling.LANCZOS)  # type: ignore[arg-type]
    buffer = io.BytesIO()
    part.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
