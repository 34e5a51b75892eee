from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from objectness.evaluation.best_overlap import NOBODY, closest, exclusive

KS = np.array([1, 2, 5])


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_empty(shape: tuple[int, int]) -> None:
    values, ranks = closest(np.zeros(shape), KS)
    assert values.tolist() == [[0.0] * shape[1]] * 3
    assert ranks.tolist() == [[NOBODY] * shape[1]] * 3
    assert exclusive(np.zeros(shape), KS).tolist() == [[0.0] * shape[1]] * 3


def test_the_closest_may_serve_two() -> None:
    ious = np.array([[0.6, 0.5], [0.7, 0.0]])
    values, ranks = closest(ious, KS)
    assert values.tolist() == [[0.6, 0.5], [0.7, 0.5], [0.7, 0.5]]
    assert ranks.tolist() == [[0, 0], [1, 0], [1, 0]]


def test_of_equally_close_ones_the_best_ranked() -> None:
    assert closest(np.array([[0.5], [0.5]]), KS)[1].tolist() == [[0], [0], [0]]


def test_exclusive_takes_the_largest_pair_first() -> None:
    # At k = 1 the only proposal goes to the first object. At k = 2 the pair .9 comes first, though its proposal
    # scores less; what is left of the other proposal is .5 with the second object.
    ious = np.array([[0.8, 0.5], [0.9, 0.7]])
    assert exclusive(ious, KS).tolist() == [[0.8, 0.0], [0.9, 0.5], [0.9, 0.5]]


def test_exclusive_is_not_cocos_matching() -> None:
    # COCO at .5: the first proposal takes the object at .6; here the object gets its .9.
    assert exclusive(np.array([[0.6], [0.9]]), KS).tolist() == [[0.6], [0.9], [0.9]]


def slowly(ious: np.ndarray, k: int) -> list[float]:
    """One pair after another: the largest of all that are left, of equals the first proposal."""
    left = ious[:k].copy()
    values = [0.0] * ious.shape[1]
    while left.size and left.max() > 0:
        row, column = np.unravel_index(left.argmax(), left.shape)
        values[column] = float(left[row, column])
        left[row] = 0
        left[:, column] = 0
    return values


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(0, 9), st.integers(0, 6)),
        elements=st.sampled_from([0, 0.1, 0.3, 0.5, 0.55, 0.7, 0.8, 0.9, 1]),
    )
)
def test_equals_the_slow_way(ious: np.ndarray) -> None:
    assert exclusive(ious, KS).tolist() == [slowly(ious, k) for k in KS]
    for k, values, ranks in zip(KS, *closest(ious, KS), strict=True):
        for column, (value, rank) in enumerate(zip(values, ranks, strict=True)):
            part = ious[:k, column]
            assert value == max(part, default=0)
            assert rank == (NOBODY if value == 0 else list(part).index(value))
