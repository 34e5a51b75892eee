"""What proposals allow, worked by hand."""

from __future__ import annotations

import pytest

from objectness.errors import InputError
from objectness.evaluation.detection import average_precision
from objectness.evaluation.detection.bound import closest_proposals, upper_bound
from objectness.evaluation.detection.matches import match

NAMES = ("cat", "dog")
BOX, FAR = [0, 0, 100, 100], [300, 0, 400, 100]


def test_overlaps_in_the_order_of_the_objects(make_record, make_proposals) -> None:
    # Images and classes are sorted, and the crowd has no overlap of its own.
    records = [
        make_record(2, [FAR, BOX], class_ids=[1, 0]),
        make_record(1, [BOX, [0, 0, 600, 400], FAR], class_ids=[1, 0, 0], ignore=[False, True, False]),
    ]
    proposals = {2: make_proposals([[0, 0, 100, 60]]), 1: make_proposals([[300, 0, 400, 80], [0, 0, 100, 90]])}
    matches = match({}, records, NAMES)
    assert matches.flat.object_label.tolist() == [0, 0, 1, 0, 1]
    assert closest_proposals(matches, proposals, records).tolist() == pytest.approx([0, 0.8, 0.9, 0.6, 0])


def test_bound(make_record, make_proposals) -> None:
    records = [make_record(1, [BOX, FAR, [0, 200, 100, 300]], class_ids=[0, 0, 1])]
    proposals = {1: make_proposals([[0, 0, 100, 77], [0, 200, 100, 300]])}
    matches = match({}, records, NAMES)
    bound = upper_bound(matches, closest_proposals(matches, proposals, records))
    # Of two cats one is found up to IoU .75, recall .5: 51 of 101 points. The dog is found at all.
    assert bound.ap50 == pytest.approx((51 / 101 + 1) / 2)
    assert bound.ap75 == pytest.approx((51 / 101 + 1) / 2)
    assert bound.ap == pytest.approx((6 * 51 / 101 / 10 + 1) / 2)


def test_the_same_boxes_named_without_a_fault_reach_it(make_record, make_proposals, make_detections) -> None:
    records = [make_record(1, [BOX, FAR], class_ids=[0, 1]), make_record(2, [BOX])]
    boxes = {1: [[0, 0, 100, 90], [300, 0, 400, 62]], 2: [[0, 0, 55, 100]]}
    matches = match({}, records, NAMES)
    bound = upper_bound(
        matches, closest_proposals(matches, {key: make_proposals(some) for key, some in boxes.items()}, records)
    )
    named = {1: make_detections(boxes[1], labels=[0, 1]), 2: make_detections(boxes[2])}
    report = average_precision(named, records, NAMES)
    assert (bound.ap, bound.ap50, bound.ap75) == (
        pytest.approx(report.ap),
        pytest.approx(report.ap_at_iou[0.5]),
        pytest.approx(report.ap_at_iou[0.75]),
    )


def test_nothing_to_find_and_nothing_proposed(make_record, make_proposals) -> None:
    matches = match({}, [make_record(1)], NAMES)
    assert upper_bound(matches, closest_proposals(matches, {}, [make_record(1)])).ap is None
    records = [make_record(1, [BOX])]
    matches = match({}, records, NAMES)
    assert upper_bound(matches, closest_proposals(matches, {}, records)).ap == 0
    with pytest.raises(InputError, match="for image 7"):
        closest_proposals(matches, {7: make_proposals([BOX])}, records)
