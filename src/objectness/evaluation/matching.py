"""COCO's matching of proposals and objects, at many IoU thresholds at once.

N proposals, M objects, T thresholds, P pairs of a proposal and an object that overlap enough.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

UNMATCHED = np.iinfo(np.int64).max
"""The rank of an object that no proposal found: above every k."""


def matched_ranks(ious: NDArray[np.floating[Any]], thresholds: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Ranks at which objects are found by the COCO rule.

    The rule: proposals come best first, and each takes, of the objects that are still free and that it
    overlaps by at least the threshold, the one that it overlaps most (of equals the last). What happens at
    rank k never depends on later ranks, so the number of ranks below k is the number of objects found by the
    top k, for every k.

    Taking turns is slow in Python, so all proposals choose at once: each object keeps the best-ranked
    proposal that asks for it, the others ask for their next choice, until nobody has to. That is the stable
    marriage of Gale and Shapley (1962); as all objects rank the proposals alike it is unique, so it is the
    one that taking turns gives.

    Args:
        ious: ``(N, M)``, proposals best first. NaN overlaps nothing.
        thresholds: ``(T,)`` IoU from which on an object counts as found.

    Returns:
        ``(T, M)`` the rank (from 0) of the proposal that found each object, or ``UNMATCHED``.
    """
    count, objects = ious.shape
    ranks = np.full((len(thresholds), objects), UNMATCHED, dtype=np.int64)
    row, column = np.nonzero(ious >= thresholds.min()) if ious.size else (np.empty(0, np.intp),) * 2
    value = ious[row, column]
    order = np.lexsort((-column, -value, row))
    row, column, value = row[order], column[order], value[order]
    # From here on one element is a pair at one threshold, ordered by threshold, rank and liking.
    level, pair = np.nonzero(value[None, :] >= thresholds[:, None])  # (T, P) -> where a pair counts
    rank = row[pair]
    asking, wanted = level * count + rank, level * objects + column[pair]
    held = ranks.reshape(-1)
    while True:
        first = np.flatnonzero(np.diff(asking, prepend=-1))[::-1]  # first choices, worst rank first
        held[wanted[first]] = rank[first]  # the last one written stays: the best rank
        stays = rank <= held[wanted]
        if stays.all():
            return ranks
        rank, asking, wanted = rank[stays], asking[stays], wanted[stays]
