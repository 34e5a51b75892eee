from __future__ import annotations

import numpy as np
import pytest

from objectness.evaluation.measurement import measure
from objectness.evaluation.proposals_needed import Budget, budget

A, B, FAR = [0, 0, 10, 10], [100, 100, 140, 140], [300, 300, 310, 310]


def test_no_objects(make_record) -> None:
    assert budget(measure({}, [make_record(1)]), 0.5) == Budget(0.5, 0.5, None, None, None)


def test_by_hand(make_record, make_proposals) -> None:
    # Image 1 finds its object at the second place (score .4), image 2 its two at the first (.9) and third (.3).
    found = {
        1: make_proposals([FAR, A], [0.8, 0.4]),
        2: make_proposals([A, FAR, B], [0.9, 0.35, 0.3]),
    }
    measured = measure(found, [make_record(1, [A]), make_record(2, [A, B])], (10,))
    third, two_thirds, whole = (budget(measured, recall) for recall in (1 / 3, 2 / 3, 1.0))
    assert (third.per_image, third.score, third.per_image_at_score) == (1, pytest.approx(0.9), 0.5)
    assert (two_thirds.per_image, two_thirds.score, two_thirds.per_image_at_score) == (2, pytest.approx(0.4), 1.5)
    assert (whole.per_image, whole.score, whole.per_image_at_score) == (3, pytest.approx(0.3), 2.5)


def test_between_two_shares_the_next_one_counts(make_record, make_proposals) -> None:
    measured = measure({1: make_proposals([A, B])}, [make_record(1, [A, B])], (10,))
    assert budget(measured, 0.5).per_image == 1
    assert budget(measured, 0.500001).per_image == 2


def test_what_was_not_found_cannot_be_bought(make_record, make_proposals) -> None:
    measured = measure({1: make_proposals([A])}, [make_record(1, [A, B])], (10,))
    assert budget(measured, 0.51) == Budget(0.51, 0.5, None, None, None)


def test_a_higher_overlap_costs_more(make_record, make_proposals) -> None:
    # IoU .8 at the first place, 1 at the second (which COCO gives the object only where .8 is not enough).
    measured = measure({1: make_proposals([[0, 0, 10, 8], A])}, [make_record(1, [A])], (10,))
    assert budget(measured, 1.0, 0.7).per_image == 1
    assert budget(measured, 1.0, 0.9).per_image == 2


def test_objects_found_by_proposals_without_a_score(make_record, make_proposals) -> None:
    found = {1: make_proposals([A, B], [0.5, float("nan")])}
    measured = measure(found, [make_record(1, [A, B])], (10,))
    assert budget(measured, 1.0) == Budget(1.0, 0.5, 2, None, None)


def test_the_threshold_really_gives_the_recall(make_record, make_proposals) -> None:
    rng = np.random.default_rng(0)
    records, found = [], {}
    for image_id in range(20):
        boxes = rng.uniform(0, 400, (6, 2))
        truth = np.concatenate([boxes, boxes + rng.uniform(20, 100, (6, 2))], axis=1)
        near = truth[rng.integers(0, 6, 60)] + rng.normal(0, 6, (60, 4))
        records.append(make_record(image_id, truth))
        found[image_id] = make_proposals(near, scores=rng.random(60))
    cost = budget(measure(found, records, (60,)), 0.6)
    kept = {image_id: one.above(cost.score) for image_id, one in found.items()}
    again = measure(kept, records, (60,))
    assert (again.ranks_at(0.5) < 60).mean() >= 0.6
    assert sum(map(len, kept.values())) / 20 == pytest.approx(cost.per_image_at_score)
    less = {image_id: one.above(np.nextafter(np.float32(cost.score), np.float32(2))) for image_id, one in found.items()}
    assert (measure(less, records, (60,)).ranks_at(0.5) < 60).mean() < 0.6
    fewer = measure(found, records, (cost.per_image - 1, cost.per_image))
    recall = [(fewer.ranks_at(0.5) < k).mean() for k in fewer.ks]
    assert recall[0] < 0.6 <= recall[1]
