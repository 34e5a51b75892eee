"""The mistakes that evaluators in use make, each with a case worked by hand where ours must not make it."""

from __future__ import annotations

import numpy as np
import pytest

from objectness.evaluation import average_recall, per_object
from objectness.evaluation.measurement import measure

A, B, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [300, 300, 310, 310]


def test_an_image_without_proposals_still_has_objects(make_record, make_proposals) -> None:
    # Skipping image 2 before its object is counted would say 1.
    report = average_recall({1: make_proposals([A])}, [make_record(1, [A]), make_record(2, [A])], (1,))
    assert (report.ar, report.objects) == ({1: 0.5}, 2)


def test_no_object_anywhere_divides_by_nothing(make_record, make_proposals) -> None:
    with np.errstate(all="raise"):
        assert average_recall({1: make_proposals([A])}, [make_record(1)], (1,)).ar == {1: None}


def test_largest_overlap_first_is_not_cocos_rule(make_record, make_proposals) -> None:
    # a: [0, 0, 10, 10]; p1 = [0, 0, 10, 6] (.6 of a); p2 = [0, 0, 10, 9] (.9 of a, and 6/9 of p1).
    # b: [0, 0, 10, 3.3]: p1 overlaps it by 3.3/6 = .55, p2 by 3.3/9 = .367.
    record = make_record(1, [[0, 0, 10, 10], [0, 0, 10, 3.3]])
    measured = measure({1: make_proposals([[0, 0, 10, 6], [0, 0, 10, 9]])}, [record], (2,))
    # COCO at .50: p1 takes a (.6), p2 is left with b (.367): not found. Largest first: p2 takes a, p1 takes b.
    assert per_object.mean(per_object.recall(measured, 0.5)) == [0.5]
    assert (measured.one_to_one_iou[0] >= 0.5).tolist() == [True, True]


def test_sizes_go_by_the_mask_not_by_the_box(make_record, make_proposals) -> None:
    # A bicycle's mask may fill a tenth of its box: 1000 square pixels in a box of 10,000.
    report = average_recall(
        {1: make_proposals([[0, 0, 100, 100]])}, [make_record(1, [[0, 0, 100, 100]], areas=[1000])], (1,)
    )
    assert (report.objects_by_size["small"], report.ar_by_size["small"]) == (1, {1: 1.0})
    assert (report.objects_by_size["large"], report.ar_by_size["large"]) == (0, {1: None})


def test_the_three_meanings_of_ar_have_three_names(make_record, make_proposals) -> None:
    # One object, overlapped by .6: COCO .3 (at .50, .55, .60), Hosang 2 x .1, area under 0 to 1 .6.
    measured = measure({1: make_proposals([[0, 0, 10, 6]])}, [make_record(1, [A])], (1,))
    assert per_object.mean(per_object.ar(measured.ranks, (1,))) == [pytest.approx(0.3)]
    assert per_object.mean(per_object.ar_hosang(measured)) == [pytest.approx(0.2)]
    assert per_object.mean(per_object.auc(measured)) == [pytest.approx(0.6)]


def test_a_class_is_given_its_own_objects(make_record, make_proposals, make_results) -> None:
    # Only the dog is found, and it is matched first; numbering the matches instead of the objects would
    # credit the cat, which comes first in the record.
    record = make_record(1, [FAR, A], class_ids=[0, 1])
    results = make_results([record], (1,), ("cat", "dog"), one={1: make_proposals([A])})
    (figures,) = results.figures
    assert figures[("AR", "class", "cat")].values.tolist() == [0]
    assert figures[("AR", "class", "dog")].values.tolist() == [1]


def test_classes_never_match(make_record, make_proposals, make_results) -> None:
    # Two objects of two classes in one place share one proposal: it finds one of them, whatever it is called.
    record = make_record(1, [A, A], class_ids=[0, 1])
    results = make_results([record], (1,), one={1: make_proposals([A])})
    (figures,) = results.figures
    assert sorted(figures[("AR", "class", name)].values.tolist()[0] for name in ("cat", "dog")) == [0, 1]


@pytest.mark.slow
def test_a_thousand_objects_are_quick(make_record, make_proposals) -> None:
    # Looking for the largest pair again after each match takes objects² x proposals steps.
    import time

    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 4000, (1000, 2))
    truth = np.concatenate([corner, corner + 30], axis=1)
    found = {1: make_proposals(np.repeat(truth, 3, axis=0) + rng.normal(0, 3, (3000, 4)), rng.random(3000))}
    start = time.perf_counter()
    measured = measure(found, [make_record(1, truth)], (100, 3000))
    assert time.perf_counter() - start < 10
    assert (measured.one_to_one_iou[1] > 0.5).mean() > 0.9


def test_no_k_has_to_be_a_hundred(make_record, make_proposals) -> None:
    report = average_recall({1: make_proposals([A, B])}, [make_record(1, [A, B])], (2, 7))
    assert report.ar == {2: 1.0, 7: 1.0}


def test_images_may_hold_different_numbers_of_everything(make_record, make_proposals) -> None:
    records = [make_record(1, [A]), make_record(2, [A, B, FAR]), make_record(3)]
    found = {1: make_proposals([A, B, FAR, A]), 2: make_proposals([B]), 3: make_proposals([A, A])}
    assert average_recall(found, records, (1, 300)).ar == {1: 0.5, 300: 0.5}


def test_the_top_is_taken_in_each_image_and_not_over_the_data_set(make_record, make_proposals) -> None:
    # Perfect proposals for 100 images of two objects: the best 100 of the whole data set would find half.
    records = [make_record(image_id, [A, B]) for image_id in range(100)]
    found = {image_id: make_proposals([A, B]) for image_id in range(100)}
    assert average_recall(found, records, (100,)).ar == {100: 1.0}
