"""Faults of boxes and annotations: one definition for check and repair.

N boxes. The rules, in order (a box is named once, by the first that it breaks):

- non-finite: a coordinate is NaN or infinite, or too large for float32;
- degenerate: it is at most ``SMALLEST_SIDE_PX`` wide or high, or its corners are swapped;
- wholly outside: not more than ``SMALLEST_SIDE_PX`` of it, in width or in height, lies in the image;
- partly outside: it sticks out of the image by more than ``TOLERANCE_PX``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objectness import boxes
from objectness.datasets.records import Problem, ProblemKind, Record
from objectness.images.damage import MISSING

# A click without a drag leaves a box of no extent: 1 px where the last pixel counts (Pascal VOC).
SMALLEST_SIDE_PX = 1.0
# Rounding, and tools that write 0-based corners where 1-based ones are due, are worth no alarm.
TOLERANCE_PX = 1.0
# For --strict: above the rounding of annotations to hundredths of a pixel.
STRICT_TOLERANCE_PX = 0.05

BoxMask = NDArray[np.bool_]


def box_faults(
    boxes_xyxy: NDArray[np.float32], size_hw: tuple[int, int] | None, tolerance_px: float = TOLERANCE_PX
) -> dict[ProblemKind, BoxMask]:
    """Sort boxes by the rule they break.

    Args:
        boxes_xyxy: ``(N, 4)``.
        size_hw: (height, width) of the upright image; None skips the rules about its borders.
        tolerance_px: How far a box may stick out of the image without being named.

    Returns:
        For each of the four kinds a mask ``(N,)``; no box is in two of them.
    """
    finite: BoxMask = np.all(np.isfinite(boxes_xyxy), axis=1)
    safe = np.where(finite[:, None], boxes_xyxy, 0)
    flat = finite & _too_small(safe)
    sound = finite & ~flat
    outside = sticks_out = np.zeros_like(finite)
    if size_hw is not None:
        inside = boxes.clip(safe, size_hw)
        outside = sound & _too_small(inside)
        sticks_out = sound & ~outside & np.any(np.abs(safe - inside) > tolerance_px, axis=1)
    return {
        ProblemKind.NON_FINITE: ~finite,
        ProblemKind.DEGENERATE: flat,
        ProblemKind.OUTSIDE: outside,
        ProblemKind.STICKS_OUT: sticks_out,
    }


def box_problems(record: Record, size_hw: tuple[int, int] | None, tolerance_px: float = TOLERANCE_PX) -> list[Problem]:
    """The faults of one record's boxes as sentences, in the order of the boxes."""
    found = [
        Problem(kind, str(record.path), _box_detail(kind, record.boxes_xyxy[index], size_hw), int(index) + 1)
        for kind, mask in box_faults(record.boxes_xyxy, size_hw, tolerance_px).items()
        for index in np.flatnonzero(mask)
    ]
    return sorted(found, key=lambda problem: problem.box or 0)


def image_problem(path: Path, reason: str) -> Problem:
    """The problem of an image that cannot be used, for the reason that ``images.sizes`` gave."""
    return Problem(ProblemKind.MISSING_IMAGE if reason == MISSING else ProblemKind.UNREADABLE_IMAGE, str(path), reason)


def size_problem(record: Record, size_hw: tuple[int, int]) -> Problem | None:
    """The problem of an annotation that declares another size than the file has; None where they agree."""
    if record.size_hw is None or record.size_hw == size_hw:
        return None
    turned = record.size_hw == size_hw[::-1]
    hint = "; the boxes may be drawn on the photograph before its EXIF orientation was applied" if turned else ""
    declared, real = (f"{width} x {height}" for height, width in (record.size_hw, size_hw))
    detail = f"the annotation says {declared} (width x height), the upright image has {real}{hint}"
    return Problem(ProblemKind.SIZE_DIFFERS, str(record.path), detail)


def _too_small(boxes_xyxy: NDArray[np.float32]) -> BoxMask:
    with np.errstate(over="ignore"):
        sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    mask: BoxMask = np.any(sides <= SMALLEST_SIDE_PX, axis=1)
    return mask


def _box_detail(kind: ProblemKind, box: NDArray[np.float32], size_hw: tuple[int, int] | None) -> str:
    corners = ", ".join(f"{value:.6g}" for value in box)
    if kind == ProblemKind.NON_FINITE:
        return f"[{corners}] is not made of finite numbers"
    if kind == ProblemKind.DEGENERATE:
        return f"[{corners}] is {box[2] - box[0]:.4g} px wide and {box[3] - box[1]:.4g} px high"
    height, width = size_hw or (0, 0)
    word = "lies outside" if kind == ProblemKind.OUTSIDE else "sticks out of"
    return f"[{corners}] {word} the image of {width} x {height}"
