"""Average precision of outcomes, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from objectness.evaluation.detection.matches import LEFT_OUT, RIGHT, WRONG
from objectness.evaluation.detection.precision import Rule, average_precision, curve

T, F, X = RIGHT, WRONG, LEFT_OUT


def ap(outcomes: list[int], objects: int, rule: Rule) -> float:
    given = np.array(outcomes, dtype=np.int8)
    return float(average_precision(given, np.ones((1, len(given))), np.array([float(objects)]), rule)[0])


# Four objects; right, wrong, right, wrong, wrong, right: recall 1/4 at precision 1, 2/4 at 2/3, 3/4 at 3/6.
SIX = [T, F, T, F, F, T]


@pytest.mark.parametrize(
    ("rule", "want"),
    [
        # Recall 0 to .25 (26 of 101), to .5 (25 more), to .75 (25 more).
        (Rule.COCO, (26 * 1 + 25 * 2 / 3 + 25 * 1 / 2) / 101),
        # Recall 0, .1, .2 at precision 1; .3, .4, .5 at 2/3; .6, .7 at 1/2; .8, .9, 1 are not reached.
        (Rule.VOC_2007, (3 * 1 + 3 * 2 / 3 + 2 * 1 / 2) / 11),
        # A quarter each.
        (Rule.VOC_2010, (1 + 2 / 3 + 1 / 2) / 4),
    ],
)
def test_six_detections_of_four_objects(rule: Rule, want: float) -> None:
    assert ap(SIX, 4, rule) == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("rule", list(Rule))
def test_the_ends(rule: Rule) -> None:
    assert ap([], 3, rule) == 0
    assert ap([F, F], 3, rule) == 0
    assert ap([T, T, T], 3, rule) == pytest.approx(1)
    assert np.isnan(ap([F], 0, rule))


@pytest.mark.parametrize("rule", list(Rule))
def test_precision_is_the_best_at_any_higher_recall(rule: Rule) -> None:
    # Precision 1/2, then 2/3: the better one holds for both objects.
    assert ap([F, T, T], 2, rule) == pytest.approx(2 / 3)


@pytest.mark.parametrize("rule", list(Rule))
def test_what_is_left_out_moves_nothing(rule: Rule) -> None:
    assert ap([X, T, X, F, T, X, F, X, F, T, X], 4, rule) == ap(SIX, 4, rule)


def test_a_recall_that_is_a_tenth_is_reached() -> None:
    # 3 of 10 objects: recall .3 counts, so that four of the eleven recalls are reached.
    assert ap([T, T, T], 10, Rule.VOC_2007) == pytest.approx(4 / 11)


@pytest.mark.parametrize("rule", list(Rule))
def test_an_image_that_is_drawn_twice_is_two_images(rule: Rule) -> None:
    outcomes, image = np.array([T, F, T, F, T], dtype=np.int8), np.array([0, 1, 1, 0, 2])
    objects = np.array([2.0, 1.0, 1.0])
    weights = np.array([[2.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    drawn = average_precision(outcomes, weights[:, image], weights @ objects, rule)
    assert drawn[0] == pytest.approx(ap([T, T, F, T, F, F], 5, rule))
    assert drawn[1] == pytest.approx(ap([T, F, T, F, T], 4, rule))


def test_curve() -> None:
    recall, precision = curve(np.array(SIX, dtype=np.int8), np.ones((1, 6)), np.array([4.0]))
    assert recall[0].tolist() == [0.25, 0.5, 0.75]
    assert precision[0].tolist() == pytest.approx([1, 2 / 3, 1 / 2])
