from __future__ import annotations

import numpy as np
import pytest

from objectness.errors import InputError
from objectness.evaluation import bootstrap
from objectness.evaluation.bootstrap import Estimate, over_images, sample


def test_no_images() -> None:
    assert sample(np.zeros((0, 2)), np.zeros((0, 2)), draws=5).estimates() == [Estimate(None)] * 2


def test_no_objects() -> None:
    assert sample(np.zeros((3, 1)), np.zeros((3, 1)), draws=5).estimates() == [Estimate(None)]


def test_one_image_has_a_value_and_no_interval() -> None:
    assert sample(np.array([[1.0]]), np.array([[4.0]]), draws=50).estimates() == [Estimate(0.25)]
    # Images without objects do not make it two.
    assert sample(np.array([[1.0], [0.0]]), np.array([[4.0], [0.0]]), draws=50).estimates() == [Estimate(0.25)]


def test_sums_over_images() -> None:
    got = over_images(np.array([[1.0, 2], [3, 4], [5, 6]]), np.array([0, 2, 2]), 3)
    assert got.tolist() == [[1, 2], [0, 0], [8, 10]]


def test_equal_images_leave_no_doubt() -> None:
    (estimate,) = sample(np.full((20, 1), 3.0), np.full((20, 1), 4.0), draws=100).estimates()
    assert (estimate.value, estimate.low, estimate.high) == (0.75, 0.75, 0.75)


def test_the_interval_of_a_share_is_the_binomial_one() -> None:
    # 400 images of one object, 30 % found: the standard error is sqrt(.3 x .7 / 400) = .0229.
    found = (np.arange(400) < 120).astype(float)[:, None]
    (estimate,) = sample(found, np.ones((400, 1)), draws=4000).estimates()
    assert estimate.value == pytest.approx(0.3)
    assert estimate.low == pytest.approx(0.3 - 1.96 * 0.0229, abs=0.006)
    assert estimate.high == pytest.approx(0.3 + 1.96 * 0.0229, abs=0.006)


def test_images_are_drawn_not_objects() -> None:
    # 10 images of 40 objects, all found or none: the spread is that of 10 things, not of 400.
    found = np.array([[40.0], [0.0]] * 5)
    (estimate,) = sample(found, np.full((10, 1), 40.0), draws=2000).estimates()
    assert estimate.high - estimate.low > 0.5


def test_draws_come_again_and_go_with_the_seed() -> None:
    sums, counts = np.random.default_rng(0).random((30, 2)), np.ones((30, 1))
    assert (sample(sums, counts).draws == sample(sums, counts).draws).all()
    assert (sample(sums, counts, seed=1).draws != sample(sums, counts).draws).any()
    # Two methods see the same draws even where one has more figures.
    assert np.allclose(sample(sums[:, :1], counts).draws, sample(sums, counts).draws[:, :1])


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    sums, counts = np.random.default_rng(0).random((30, 2)), np.ones((30, 1))
    whole = sample(sums, counts, draws=25).draws
    monkeypatch.setattr(bootstrap, "_AT_ONCE", 100)
    assert np.allclose(sample(sums, counts, draws=25).draws, whole)


def test_a_paired_difference_is_surer_than_two_intervals() -> None:
    # Images differ much, the methods by .05 on every one: the difference is certain.
    base = np.linspace(0, 0.9, 50)[:, None]
    first, second = sample(base + 0.05, np.ones((50, 1))), sample(base, np.ones((50, 1)))
    (difference,) = first.minus(second)
    assert difference.value == pytest.approx(0.05)
    assert difference.low == pytest.approx(0.05)
    assert difference.high == pytest.approx(0.05)
    assert first.estimates()[0].low < second.estimates()[0].high


def test_the_same_method_twice_differs_by_nothing() -> None:
    sums = np.random.default_rng(1).random((9, 3))
    counts = np.ones((9, 1))
    for difference in sample(sums, counts).minus(sample(sums, counts)):
        assert (difference.value, difference.low, difference.high) == (0, 0, 0)


def test_draws_without_objects_are_left_out() -> None:
    sums, counts = np.array([[1.0], [0.0], [1.0]]), np.array([[1.0], [0.0], [2.0]])
    (estimate,) = sample(sums, counts, draws=500).estimates()
    assert (estimate.low, estimate.high) == (0.5, 1.0)


def test_no_draws() -> None:
    with pytest.raises(InputError, match="at least 1 draw"):
        sample(np.zeros((1, 1)), np.ones((1, 1)), draws=0)
