from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from objectness.calibration import Calibration, _pool, fit, reliability
from objectness.drawing.reliability import draw_reliability
from objectness.errors import InputError

HALVES = Calibration((0.0, 0.5, 1.0), (0.0, 0.1, 0.9))


def test_by_hand() -> None:
    assert HALVES(np.zeros(0, np.float32)).shape == (0,)
    scores = np.array([0, 0.25, 0.5, 0.75, 1], np.float32)
    np.testing.assert_allclose(HALVES(scores), [0, 0.05, 0.1, 0.5, 0.9], rtol=1e-6)
    assert Calibration.from_json(HALVES.to_json()) == HALVES


@pytest.mark.parametrize(
    ("scores", "probabilities"),
    [
        ((0.0,), (0.0,)),
        ((0.0, 0.5), (0.0, 1.0)),
        ((0.0, 0.5, 0.5, 1.0), (0.0, 0.1, 0.2, 1.0)),
        ((0.0, 0.5, 1.0), (0.0, 0.3, 0.3)),
        ((0.0, 1.0), (0.0, 1.1)),
        ((0.0, 1.0), (0.0, 0.5, 1.0)),
    ],
)
def test_what_does_not_rise_is_refused(scores: tuple[float, ...], probabilities: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"knots that rise|lie in \[0, 1\]"):
        Calibration(scores, probabilities)


def test_pooling_by_hand() -> None:
    assert _pool([0.1, 0.3, 0.2, 0.4], [1, 1, 1, 1]).tolist() == pytest.approx([0.1, 0.25, 0.25, 0.4])
    assert _pool([0.4, 0.1], [3, 1]).tolist() == pytest.approx([0.325, 0.325])
    assert _pool([0.5, 0.4, 0.3], [1, 1, 2]).tolist() == pytest.approx([0.375] * 3)


def test_a_score_means_what_it_says() -> None:
    rng = np.random.default_rng(0)
    scores = rng.beta(0.6, 2, 60_000).astype(np.float32)
    truth = np.where(scores < 0.6, scores * 0.2, 0.12 + (scores - 0.6) * 1.9)
    hits = rng.random(len(scores)) < truth
    calibration = fit(scores, hits)
    assert len(calibration.scores) <= 12
    fresh = rng.beta(0.6, 2, 60_000).astype(np.float32)
    expected = np.where(fresh < 0.6, fresh * 0.2, 0.12 + (fresh - 0.6) * 1.9)
    assert np.abs(calibration(fresh) - expected).mean() < 0.01
    assert reliability(scores, hits).error > 0.1
    assert reliability(calibration(scores), hits).error < 0.01


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_order_never_changes(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.random(600).astype(np.float32) ** rng.integers(1, 6)
    calibration = fit(scores, rng.random(600) < share)
    near = np.sort(np.concatenate([scores, np.nextafter(scores, np.float32(2)), np.float32([0, 1])]))
    probabilities = calibration(near)
    assert (np.diff(probabilities) >= 0).all()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert (np.diff(calibration(np.linspace(0, 1, 200, dtype=np.float32))) > 0).all()


def test_too_little_to_go_by() -> None:
    many = np.linspace(0, 1, 600, dtype=np.float32)
    for scores, hits in ((many[:10], many[:10] > 0.5), (many, many > 2), (many, many >= 0)):
        with pytest.raises(InputError, match="Calibration needs 500 proposals or more"):
            fit(scores, hits)


def test_scores_of_one_value_are_a_constant_and_rise_all_the_same() -> None:
    calibration = fit(np.full(600, 0.5, np.float32), np.arange(600) % 4 == 0)
    assert calibration(np.float32([0.5]))[0] == pytest.approx(0.25, abs=0.01)


def test_reliability_by_hand() -> None:
    scores = np.float32([0.1, 0.15, 0.9, 1.0])
    found = reliability(scores, np.array([False, True, True, True]), bins=2)
    assert found.counts == (2, 2)
    assert found.scores == pytest.approx((0.125, 0.95))
    assert found.hits == (0.5, 1.0)
    assert found.error == pytest.approx((0.375 + 0.05) / 2)
    assert reliability(scores[:0], np.zeros(0, bool)).error == 0


def test_the_plot_shows_both() -> None:
    found = reliability(np.float32([0.2, 0.8]), np.array([False, True]), bins=5)
    picture = draw_reliability(found, found, "a model")
    assert picture.size == (608, 652)
    empty = draw_reliability(reliability(np.zeros(0, np.float32), np.zeros(0, bool)), found, "a model")
    assert empty.tobytes() != picture.tobytes()
