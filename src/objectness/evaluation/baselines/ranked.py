"""Baselines as functions, and proposals of those that give an order and no scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.proposals import Proposals

Baseline = Callable[[NDArray[np.uint8]], Proposals]


def by_rank(boxes_xyxy: NDArray[np.floating[Any]], size_hw: tuple[int, int]) -> Proposals:
    """Proposals from boxes ``(N, 4)``, best first; scores fall in equal steps from 1 to above 0."""
    count = len(boxes_xyxy)
    scores = 1 - np.arange(count) / max(1, count)
    return Proposals(boxes_xyxy.astype(np.float32), scores.astype(np.float32), size_hw)


def none(size_hw: tuple[int, int]) -> Proposals:
    """No proposals."""
    return by_rank(np.zeros((0, 4)), size_hw)
