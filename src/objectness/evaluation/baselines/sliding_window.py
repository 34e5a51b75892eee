"""A regular grid of windows, coarse to fine."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from objectness.evaluation.baselines.ranked import by_rank
from objectness.proposals import Proposals

_STEP = 1 / 3  # of the window: neighbours then overlap by IoU .5
_SHRINK = 2**-0.5  # from one scale to the next: half the area, IoU .5 again
_RATIOS = (1.0, 0.5, 2.0)  # height : width
_GOLDEN = (5**0.5 - 1) / 2


def sliding_window(size_hw: tuple[int, int], top: int) -> Proposals:
    """Windows of falling size, a third of a window apart, in three aspect ratios.

    The first is the whole image. Windows of one size come in an order that is spread over the image, so that
    the top k has no blank side whatever k is. The pixels play no part.

    Args:
        size_hw: (height, width) of the image.
        top: Windows, at most (a tiny image has no more than a few that differ).
    """
    return by_rank(_windows(size_hw, top), size_hw)


@lru_cache(maxsize=64)
def _windows(size_hw: tuple[int, int], top: int) -> NDArray[np.float64]:
    height, width = size_hw
    levels = [np.array([[0.0, 0.0, width, height]])]
    side, count = float(np.sqrt(height * width)), 1
    while count < top and side >= 2:
        side *= _SHRINK
        level = np.concatenate([_grid(size_hw, side * r**0.5, side / r**0.5) for r in _RATIOS])
        # Multiples of the golden ratio fall evenly into [0, 1): sorting by them spreads the grid's order.
        levels.append(level[np.argsort(np.arange(len(level)) * _GOLDEN % 1, kind="stable")])
        count += len(level)
    return np.concatenate(levels)[:top]


def _grid(size_hw: tuple[int, int], high: float, wide: float) -> NDArray[np.float64]:
    """Windows ``(N, 4)`` of one size; a window that is larger than the image is cut to it."""
    high, wide = min(high, size_hw[0]), min(wide, size_hw[1])
    tops, lefts = _places(size_hw[0], high), _places(size_hw[1], wide)
    top, left = (axis.ravel() for axis in np.meshgrid(tops, lefts, indexing="ij"))
    return np.stack([left, top, left + wide, top + high], axis=1)


def _places(length: float, window: float) -> NDArray[np.float64]:
    """Where windows begin, evenly from one end to the other and no further than a step apart."""
    room = length - window
    return np.linspace(0, room, int(np.ceil(room / (window * _STEP) - 1e-9)) + 1) if room > 0 else np.zeros(1)
