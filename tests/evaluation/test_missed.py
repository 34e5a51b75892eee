from __future__ import annotations

import pytest

from objectness.evaluation.measurement import measure
from objectness.evaluation.missed import missed

SMALL, LARGE, FAR = [0, 0, 10, 10], [100, 100, 180, 180], [300, 300, 310, 310]


def test_nothing_is_missed(make_record, make_proposals) -> None:
    found = {1: make_proposals([SMALL])}
    assert missed(measure(found, [make_record(1, [SMALL])], (1,)), found, 1) == []


def test_smallest_first_with_the_nearest_proposal(make_record, make_proposals) -> None:
    # The small one is overlapped by 40/100; the large one by nothing: the proposal whose centre is nearer counts.
    found = {1: make_proposals([[0, 0, 10, 4], FAR])}
    measured = measure(found, [make_record(1, [LARGE, SMALL])], (1, 2))
    small, large = missed(measured, found, 2)
    assert (small.number, small.iou) == (1, pytest.approx(0.4))
    assert small.nearest_xyxy.tolist() == [0, 0, 10, 4]
    assert (large.number, large.iou, large.area) == (0, 0, 6400)
    assert large.nearest_xyxy.tolist() == [0, 0, 10, 4]


def test_beyond_k_does_not_count(make_record, make_proposals) -> None:
    found = {1: make_proposals([FAR, SMALL])}
    measured = measure(found, [make_record(1, [SMALL])], (1, 2))
    assert missed(measured, found, 1)[0].nearest_xyxy.tolist() == FAR
    assert missed(measured, found, 2) == []


def test_a_shared_proposal_covers_both(make_record, make_proposals) -> None:
    found = {1: make_proposals([SMALL])}
    assert missed(measure(found, [make_record(1, [SMALL, SMALL])], (1,)), found, 1) == []


@pytest.mark.parametrize("boxes", [[], [[float("nan")] * 4]])
def test_no_usable_proposal(make_record, make_proposals, boxes) -> None:
    found = {1: make_proposals(boxes)}
    (lost,) = missed(measure(found, [make_record(1, [SMALL])], (1,)), found, 1)
    assert (lost.nearest_xyxy, lost.iou) == (None, 0)
    (lost,) = missed(measure({}, [make_record(1, [SMALL])], (1,)), {}, 1)
    assert lost.nearest_xyxy is None
