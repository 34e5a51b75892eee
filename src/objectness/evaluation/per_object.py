"""Contribution of each object to a figure: every figure is a mean of these over objects.

M objects, K counts of proposals, T IoU thresholds. The three things that papers call AR have three names here:

- ``ar``: COCO. The share of the IoU thresholds .50, .55 … .95 at which the object is found, proposals taken by
  score and each used once.
- ``ar_hosang``: Hosang et al., 2 x the integral of recall over IoU .5 to 1, each object with the proposal of its
  own that overlaps it most.
- ``auc``: the integral of the same recall over IoU 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.evaluation.measurement import Measurement


def ar(ranks: NDArray[np.int64], ks: Sequence[int]) -> NDArray[np.float64]:
    """COCO: from ranks ``(T, M)`` to the share of thresholds at which each object is found ``(M, K)``."""
    # Sorting the ranks of an object turns "how many thresholds are below k" into one search for each k.
    shares = np.empty((ranks.shape[1], len(ks)))
    for column, k in enumerate(ks):
        shares[:, column] = (ranks < k).mean(axis=0)
    return shares


def recall(measured: Measurement, iou_threshold: float, ks: Sequence[int] | None = None) -> NDArray[np.float64]:
    """COCO: 1 where the object is found at one of the ten IoU thresholds, else 0: ``(M, K)``."""
    ranks = measured.ranks_at(iou_threshold)
    return (ranks[:, None] < np.array(measured.ks if ks is None else ks)).astype(np.float64)


def ar_hosang(measured: Measurement) -> NDArray[np.float64]:
    """Twice what the object's overlap is above .5: its part of 2 x the integral over .5 to 1. ``(M, K)``."""
    return 2 * np.clip(measured.one_to_one_iou.T - 0.5, 0, None)


def auc(measured: Measurement) -> NDArray[np.float64]:
    """The object's overlap with its own proposal: its part of the integral over 0 to 1. ``(M, K)``."""
    return measured.one_to_one_iou.T


def best_overlap(measured: Measurement) -> NDArray[np.float64]:
    """Overlap of the object with the closest proposal, which other objects may share ``(M, K)``: ABO is its mean."""
    return measured.best_iou.T


def mean(values: NDArray[np.floating[Any]], members: NDArray[np.bool_] | None = None) -> list[float | None]:
    """Means over the members, a figure for each column; None where there is no member."""
    chosen = values if members is None else values[members]
    return [float(value) for value in chosen.mean(axis=0)] if len(chosen) else [None] * values.shape[1]


def mabo(measured: Measurement) -> list[float | None]:
    """Mean over classes of each class's average best overlap, for each k."""
    ids = np.unique(measured.class_ids)
    overlap = best_overlap(measured)
    if not len(ids):
        return [None] * len(measured.ks)
    by_class = [overlap[measured.class_ids == class_id].mean(axis=0) for class_id in ids.tolist()]
    return [float(value) for value in np.mean(by_class, axis=0)]
