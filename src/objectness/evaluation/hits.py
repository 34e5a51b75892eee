"""Hits and ignored proposals, for calibration and its tables alike.

N proposals, M objects, R ignore regions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.boxes import iof

COVERED = 0.5
"""A proposal hits an object from this IoU on, and is ignored from this share of itself in an ignore region on."""


def hits_and_ignored(
    ious: NDArray[np.floating[Any]], proposed_xyxy: NDArray[np.floating[Any]], regions_xyxy: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Proposals that overlap an object, and proposals that are neither right nor wrong.

    Args:
        ious: ``(N, M)`` with the objects, without the ignore regions.
        proposed_xyxy: ``(N, 4)``.
        regions_xyxy: ``(R, 4)`` ignore regions: crowds and objects that are difficult.

    Returns:
        ``(N,)`` whether it overlaps an object by IoU .5 or more, and ``(N,)`` whether it is neither right nor wrong:
        half of it or more lies in an ignore region, and it hits no object.
    """
    is_hit = np.any(ious >= COVERED, axis=1)
    with np.errstate(invalid="ignore"):  # a box with a NaN lies nowhere
        shares = np.nan_to_num(
            iof(np.asarray(proposed_xyxy, np.float64), np.asarray(regions_xyxy, np.float64)), nan=0.0
        )
    return is_hit, np.any(shares >= COVERED, axis=1) & ~is_hit
