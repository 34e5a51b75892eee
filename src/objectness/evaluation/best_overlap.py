"""Overlap of each object with the best k proposals: the closest one, and the closest one of its own.

N proposals best first, M objects, K counts of proposals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NOBODY = -1


def closest(ious: NDArray[np.floating[Any]], ks: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Largest overlap of each object with a proposal; one proposal may serve several objects.

    This is the overlap that ABO and MABO average (Uijlings et al., Selective Search, section 5.1).

    Args:
        ious: ``(N, M)``, proposals best first, nothing NaN.
        ks: ``(K,)`` ascending, at least 1.

    Returns:
        IoU ``(K, M)`` and the proposal's rank from 0 ``(K, M)``: of equals the best-ranked; ``NOBODY`` where
        no proposal overlaps the object at all.
    """
    count, objects = ious.shape
    values = np.zeros((len(ks), objects))
    ranks = np.full((len(ks), objects), NOBODY, dtype=np.int64)
    start = 0
    best, at = np.zeros(objects), np.full(objects, NOBODY, dtype=np.int64)
    for row, k in enumerate(ks.tolist()):
        part = ious[start:k]
        if len(part):
            top = part.argmax(axis=0)
            value = part[top, np.arange(objects)]
            better = value > best
            best, at = np.where(better, value, best), np.where(better, top + start, at)
            start = min(k, count)
        values[row], ranks[row] = best, at
    return values, ranks


def exclusive(ious: NDArray[np.floating[Any]], ks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Overlap of each object with a proposal of its own: the pair of largest IoU is matched first, then the next.

    This is the matching of Hosang et al. (What makes for effective detection proposals?, section 4), and of
    other evaluators that call it greedy. Scores play no part in it beyond choosing the top k.

    Args:
        ious: ``(N, M)``, proposals best first, nothing NaN.
        ks: ``(K,)`` ascending, at least 1.

    Returns:
        IoU ``(K, M)``; 0 for an object that is left over.
    """
    count, objects = ious.shape
    values = np.zeros((len(ks), objects))
    row_of, column_of = np.nonzero(ious)
    value = ious[row_of, column_of]
    order = np.lexsort((column_of, row_of, -value))
    row_of, column_of, value = row_of[order], column_of[order], value[order]
    for index, k in enumerate(ks.tolist()):
        if index and ks[index - 1] >= count:
            values[index] = values[index - 1]
            continue
        inside = row_of < k
        rows, columns, left = row_of[inside], column_of[inside], value[inside]
        while len(left):
            # A pair that is the first of its row and of its column is what taking turns would take, too.
            first_of_row, first_of_column = _is_first(rows, count), _is_first(columns, objects)
            take = first_of_row & first_of_column
            values[index, columns[take]] = left[take]
            row_free, column_free = np.ones(count, bool), np.ones(objects, bool)
            row_free[rows[take]] = False
            column_free[columns[take]] = False
            keep = row_free[rows] & column_free[columns]
            rows, columns, left = rows[keep], columns[keep], left[keep]
    return values


def _is_first(keys: NDArray[np.intp], count: int) -> NDArray[np.bool_]:
    """Whether each element is the first of its key."""
    first = np.full(count, len(keys))
    places = np.arange(len(keys))
    first[keys[::-1]] = places[::-1]
    is_first: NDArray[np.bool_] = first[keys] == places
    return is_first
