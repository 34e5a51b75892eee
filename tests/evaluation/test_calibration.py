from __future__ import annotations

import numpy as np
import pytest

from objectness.evaluation.calibration import check_scores
from objectness.evaluation.measurement import measure

A, FAR = [0, 0, 10, 10], [300, 300, 310, 310]


def test_no_proposals(make_record) -> None:
    got = check_scores(measure({}, [make_record(1, [A])]))
    assert (got.bins.counts, got.error, got.left_out) == ((), None, 0)


def test_by_hand(make_record, make_proposals) -> None:
    # Two proposals of score .82 and .88, one of them about an object; one of .05 about none.
    found = make_proposals([A, FAR, FAR], [0.88, 0.82, 0.05])
    got = check_scores(measure({1: found}, [make_record(1, [A])], (5,)))
    assert got.bins.ranges == (pytest.approx((0, 0.1)), pytest.approx((0.8, 0.9)))
    assert (got.bins.counts, got.bins.hits) == ((1, 2), (0, 0.5))
    assert got.bins.scores == pytest.approx((0.05, 0.85))
    assert got.error == pytest.approx((2 * abs(0.85 - 0.5) + 0.05) / 3)


def test_a_score_of_one_is_in_the_last_bin(make_record, make_proposals) -> None:
    got = check_scores(measure({1: make_proposals([A], [1.0])}, [make_record(1, [A])], (5,)))
    assert (got.bins.ranges[0][1], got.bins.counts, got.bins.hits) == (1, (1,), (1,))
    assert got.error == 0


def test_logits_get_bins_of_equal_numbers(make_record, make_proposals) -> None:
    scores = np.linspace(-9, 9, 100)
    found = make_proposals([A if score > 0 else FAR for score in scores], scores)
    got = check_scores(measure({1: found}, [make_record(1, [A])], (100,)))
    assert got.bins.counts == (10,) * 10
    assert got.bins.hits == (0,) * 5 + (1,) * 5
    assert got.error is None


def test_one_and_the_same_logit(make_record, make_proposals) -> None:
    got = check_scores(measure({1: make_proposals([A, FAR], [7, 7])}, [make_record(1, [A])], (5,)))
    assert (got.bins.counts, got.bins.scores, got.bins.hits) == ((2,), (7,), (0.5,))


def test_crowds_and_missing_scores_are_left_out(make_record, make_proposals) -> None:
    record = make_record(1, [A, FAR], ignore=[False, True])
    got = check_scores(measure({1: make_proposals([A, FAR, A], [0.9, 0.8, float("nan")])}, [record], (5,)))
    assert (got.bins.counts, got.bins.hits) == ((1,), (1,))
    assert got.left_out == 2
