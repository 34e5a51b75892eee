from __future__ import annotations

import numpy as np
import pytest

from objectness.evaluation import per_object
from objectness.evaluation.measurement import measure

SQUARE = [0, 0, 10, 10]


def test_no_objects(make_record) -> None:
    measured = measure({}, [make_record(1)], (1, 2))
    assert per_object.mean(per_object.ar(measured.ranks, measured.ks)) == [None, None]
    assert per_object.mean(per_object.ar_hosang(measured)) == [None, None]
    assert per_object.mabo(measured) == [None, None]


def test_three_meanings_of_one_overlap(make_record, make_proposals) -> None:
    # IoU .72: five of COCO's ten thresholds; Hosang 2 x (.72 - .5); the area under 0 to 1 is .72 itself.
    measured = measure({1: make_proposals([[0, 0, 9, 8]])}, [make_record(1, [SQUARE])], (1,))
    assert per_object.mean(per_object.ar(measured.ranks, (1,))) == [0.5]
    assert per_object.mean(per_object.ar_hosang(measured)) == [pytest.approx(0.44)]
    assert per_object.mean(per_object.auc(measured)) == [pytest.approx(0.72)]
    assert per_object.mean(per_object.best_overlap(measured)) == [pytest.approx(0.72)]


def test_hosang_and_auc_are_the_integrals_of_recall(make_record, make_proposals) -> None:
    rng = np.random.default_rng(0)
    boxes = np.array([[40 * i, 0, 40 * i + 30, 30] for i in range(12)], dtype=float)
    measured = measure({1: make_proposals(boxes + rng.normal(0, 4, boxes.shape))}, [make_record(1, boxes)], (12,))
    levels = (np.arange(20000) + 0.5) / 20000
    recall = (measured.one_to_one_iou[0] >= levels[:, None]).mean(axis=1)
    assert per_object.mean(per_object.auc(measured))[0] == pytest.approx(recall.mean(), abs=1e-4)
    assert per_object.mean(per_object.ar_hosang(measured))[0] == pytest.approx(
        2 * recall[levels > 0.5].sum() / 20000, abs=1e-4
    )


def test_a_shared_proposal_counts_twice_for_abo_and_once_for_the_others(make_record, make_proposals) -> None:
    measured = measure({1: make_proposals([SQUARE])}, [make_record(1, [SQUARE, SQUARE])], (1,))
    assert per_object.mean(per_object.best_overlap(measured)) == [1.0]
    assert per_object.mean(per_object.auc(measured)) == [0.5]
    assert per_object.mean(per_object.ar_hosang(measured)) == [0.5]
    assert per_object.mean(per_object.ar(measured.ranks, (1,))) == [0.5]


def test_mabo_gives_each_class_one_voice(make_record, make_proposals) -> None:
    # Class 0: overlaps 1, 1, 1; class 1: overlap 0. ABO 3/4, MABO 1/2.
    apart = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]]
    record = make_record(1, apart, class_ids=[0, 0, 0, 1])
    measured = measure({1: make_proposals(apart[:3])}, [record], (3,))
    assert per_object.mean(per_object.best_overlap(measured)) == [0.75]
    assert per_object.mabo(measured) == [0.5]


def test_recall_at_a_threshold_that_was_not_measured(make_record) -> None:
    with pytest.raises(ValueError, match=r"not at 0\.33"):
        per_object.recall(measure({}, [make_record(1)]), 0.33)
