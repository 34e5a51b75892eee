from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from objectness.evaluation.matching import UNMATCHED, matched_ranks
from objectness.evaluation.measurement import IOU_THRESHOLDS

X = UNMATCHED


def taking_turns(ious: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The rule as it is said: one proposal after another takes the free object that it overlaps most."""
    ranks = np.full((len(thresholds), ious.shape[1]), UNMATCHED)
    for level, threshold in enumerate(thresholds):
        for rank, row in enumerate(ious):
            free = [column for column in range(len(row)) if ranks[level, column] == X and row[column] >= threshold]
            if free:
                ranks[level, max(free, key=lambda column: (row[column], column))] = rank
    return ranks


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_empty(shape: tuple[int, int]) -> None:
    got = matched_ranks(np.zeros(shape), np.array([0.5, 0.7]))
    assert got.tolist() == [[X] * shape[1]] * 2


def test_nothing_overlaps_enough() -> None:
    assert matched_ranks(np.array([[0.4999, 0.1]]), np.array([0.5])).tolist() == [[X, X]]


def test_an_overlap_equal_to_the_threshold_is_enough() -> None:
    assert matched_ranks(np.array([[0.5], [0.75]]), np.array([0.5, 0.75])).tolist() == [[0], [1]]


def test_the_better_ranked_proposal_wins_even_where_it_overlaps_less() -> None:
    assert matched_ranks(np.array([[0.6], [0.9]]), np.array([0.5])).tolist() == [[0]]


def test_a_second_proposal_takes_its_second_choice() -> None:
    # Both like object 0 most; the second goes to object 1 as long as it overlaps that by the threshold.
    ious = np.array([[0.8, 0.0], [0.9, 0.6]])
    assert matched_ranks(ious, np.array([0.5, 0.7, 0.85])).tolist() == [[0, 1], [0, X], [1, X]]


def test_of_equal_overlaps_the_last_object_is_taken() -> None:
    assert matched_ranks(np.array([[0.7, 0.7]]), np.array([0.5])).tolist() == [[X, 0]]


def test_a_chain_of_displacements() -> None:
    # 0 takes a; 1 wanted a, takes b; 2 wanted b, takes c; 3 wanted c and is left over.
    ious = np.array([[0.9, 0, 0], [0.9, 0.8, 0], [0, 0.9, 0.8], [0, 0, 0.9]])
    assert matched_ranks(ious, np.array([0.5])).tolist() == [[0, 1, 2]]


def test_nan_overlaps_nothing() -> None:
    assert matched_ranks(np.array([[np.nan], [0.6]]), np.array([0.5])).tolist() == [[1]]


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(0, 12), st.integers(0, 7)),
        elements=st.sampled_from([0, 0.3, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 0.95, 1]),
    )
)
def test_equals_taking_turns(ious: np.ndarray) -> None:
    assert (matched_ranks(ious, IOU_THRESHOLDS) == taking_turns(ious, IOU_THRESHOLDS)).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equals_taking_turns_in_a_crowd(seed: int) -> None:
    ious = np.random.default_rng(seed).random((150, 40)).round(2)
    assert (matched_ranks(ious, IOU_THRESHOLDS) == taking_turns(ious, IOU_THRESHOLDS)).all()
