"""Confusion and the fate of objects, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from objectness.evaluation.detection.matches import match
from objectness.evaluation.detection.mistakes import FATES, mistakes, operating_point

NAMES = ("cat", "dog")


def place(number: int, shift: float = 0) -> list[float]:
    """A box of 50 x 50 at one of some places that are apart."""
    x = 100 * number + shift
    return [x, 0, x + 50, 50]


def fates(found) -> list[str]:
    return [FATES[code] if code >= 0 else "ignored" for code in found.fate.tolist()]


@pytest.fixture(scope="module")
def scene(make_record, make_detections):
    """A cat that is found, a cat named dog, a dog below the score, a dog that nothing overlaps, a dog that only a
    proposal overlaps, a crowd of dogs; and a detection where nothing is."""
    record = make_record(
        1,
        [place(0), place(1), place(2), place(3), place(4), [0, 200, 600, 400]],
        class_ids=[0, 0, 1, 1, 1, 1],
        ignore=[False] * 5 + [True],
    )
    found = make_detections(
        [place(0, 2), place(1), place(2), [300, 100, 350, 150], [0, 200, 50, 250]],
        [0.9, 0.8, 0.2, 0.7, 0.6],
        [0, 1, 1, 0, 1],
    )
    return [record], {1: found}


def test_every_fate(scene) -> None:
    records, found = scene
    matches = match(found, records, NAMES)
    best = np.array([1, 1, 1, 0.4, 0.5, 0])
    got = mistakes(matches, found, records, NAMES, 0.5, best)
    assert fates(got) == ["found", "wrong class", "below the score", "no proposal", "suppressed", "ignored"]
    assert got.has_proposals
    # Without proposals the detections stand for them: nothing overlaps the last one.
    alone = mistakes(matches, found, records, NAMES, 0.5)
    assert fates(alone) == ["found", "wrong class", "below the score", "no proposal", "no proposal", "ignored"]
    assert not alone.has_proposals


def test_confusion(scene) -> None:
    records, found = scene
    got = mistakes(match(found, records, NAMES), found, records, NAMES, 0.5)
    # Rows: cat, dog, nothing. Of two cats one is named dog, three dogs are not found, a cat is where nothing is; the
    # detection in the crowd counts neither way.
    assert got.confusion.tolist() == [[1, 1, 0], [0, 0, 3], [1, 0, 0]]
    lower = mistakes(match(found, records, NAMES), found, records, NAMES, 0.0)
    assert lower.confusion.tolist() == [[1, 1, 0], [0, 1, 2], [1, 0, 0]]


def test_one_box_for_two_objects(make_record, make_detections) -> None:
    records = [make_record(1, [[0, 0, 100, 100], [0, 0, 100, 80]])]
    found = {1: make_detections([[0, 0, 100, 90]])}
    assert fates(mistakes(match(found, records, NAMES), found, records, NAMES)) == ["found", "suppressed"]


def test_the_score_of_the_highest_f1(make_record, make_detections) -> None:
    records = [make_record(1, [place(0), place(1), place(2)])]
    found = {1: make_detections([place(0), place(1), place(4), place(5), place(2)], [0.9, 0.8, 0.7, 0.6, 0.5])}
    point = operating_point(match(found, records, NAMES))
    # F1 at each: 2/4, 4/5, 4/6, 4/7, 6/8.
    assert (point.score, point.precision, point.recall) == (pytest.approx(0.8), 1, pytest.approx(2 / 3))
    assert point.f1 == pytest.approx(0.8)
    lower = operating_point(match(found, records, NAMES), 0.55)
    assert (lower.precision, lower.recall) == (0.5, pytest.approx(2 / 3))


def test_equal_scores_go_together(make_record, make_detections) -> None:
    records = [make_record(1, [place(0), place(1)])]
    found = {1: make_detections([place(0), place(4), place(5)], [0.5, 0.5, 0.5])}
    point = operating_point(match(found, records, NAMES))
    assert (point.score, point.precision) == (0.5, pytest.approx(1 / 3))


def test_nothing(make_record) -> None:
    point = operating_point(match({}, [make_record(1)], NAMES))
    assert (point.score, point.precision, point.recall, point.f1) == (0, None, None, None)
    got = mistakes(match({}, [make_record(1, [place(0)])], NAMES), {}, [make_record(1, [place(0)])], NAMES)
    assert got.confusion.tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert fates(got) == ["no proposal"]
