"""Detections matched with objects, worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from objectness.errors import InputError
from objectness.evaluation.detection import average_precision
from objectness.evaluation.detection.matches import LEFT_OUT, RIGHT, WRONG, coco_objects, match

NAMES = ("cat", "dog")
BOX = [0, 0, 100, 100]
FAR = [300, 300, 400, 400]


def at(matches, iou: float = 0.5, size: str = "all") -> list[int]:
    """Outcomes at one threshold in the order of the matches' detections."""
    return matches.coco[size][round((iou - 0.5) / 0.05)].tolist()


def test_nothing_at_all(make_record, make_detections) -> None:
    assert match({}, [], NAMES).coco["all"].shape == (10, 0)
    report = average_precision({}, [], NAMES)
    assert (report.ap, report.voc_2007, report.ap_by_class, report.images) == (None, None, {}, 0)
    report = average_precision({1: make_detections([BOX])}, [make_record(1), make_record(2)], NAMES)
    assert (report.ap, report.ar[100], report.voc_2010, report.images, report.objects) == (None, None, None, 2, 0)


def test_an_image_without_detections_counts(make_record, make_detections) -> None:
    records = [make_record(1, [BOX]), make_record(2, [BOX])]
    report = average_precision({1: make_detections([BOX])}, records, NAMES)
    assert report.ar[100] == 0.5
    assert report.ap == pytest.approx(51 / 101)  # precision 1 at recall 0, .01 ... .5
    assert report.voc_2007 == pytest.approx(6 / 11)
    assert report.voc_2010 == 0.5
    assert report.ap_by_class == {"cat": pytest.approx(51 / 101)}


def test_a_class_finds_only_its_own(make_record, make_detections) -> None:
    record = make_record(1, [BOX, FAR], class_ids=[0, 1])
    report = average_precision({1: make_detections([BOX, FAR], labels=[1, 1])}, [record], NAMES)
    # The dog is found behind a box that is wrong; no cat is found.
    assert report.ap_by_class == {"cat": 0, "dog": 0.5}
    assert report.ap == 0.25


def test_each_object_once(make_record, make_detections) -> None:
    matches = match({1: make_detections([BOX, BOX])}, [make_record(1, [BOX])], NAMES)
    assert at(matches) == [RIGHT, WRONG]
    assert matches.voc.tolist() == [RIGHT, WRONG]
    assert matches.coco_object[0].tolist() == [0, -1]


def test_coco_takes_the_next_object_and_voc_does_not(make_record, make_detections) -> None:
    # The second detection overlaps the first object by 80/100 and the second by 60/120.
    record = make_record(1, [[0, 0, 100, 100], [40, 0, 120, 100]])
    matches = match({1: make_detections([[0, 0, 100, 100], [20, 0, 100, 100]])}, [record], NAMES)
    assert at(matches) == [RIGHT, RIGHT]  # 60/100 of the second object
    assert matches.voc.tolist() == [RIGHT, WRONG]  # the object that it overlaps most is taken


def test_a_crowd_may_be_taken_again_and_by_the_share_of_the_detection(make_record, make_detections) -> None:
    record = make_record(1, [[0, 0, 400, 400], FAR], ignore=[True, False])
    found = make_detections([[0, 0, 40, 40], [50, 50, 90, 90], [380, 0, 460, 40], FAR])
    matches = match({1: found}, [record], NAMES)
    # Wholly inside twice, a quarter inside, and the object itself although it lies in the crowd.
    assert at(matches) == [LEFT_OUT, LEFT_OUT, WRONG, RIGHT]
    assert matches.voc.tolist() == [LEFT_OUT, LEFT_OUT, WRONG, RIGHT]
    assert average_precision({1: found}, [record], NAMES).ap == 0.5


def test_difficult_objects_are_voc_s_alone(make_record, make_detections) -> None:
    record = replace(make_record(1, [BOX, FAR]), difficult=np.array([True, False]))
    found = make_detections([BOX, BOX, FAR])
    matches = match({1: found}, [record], NAMES)
    assert matches.voc.tolist() == [LEFT_OUT, LEFT_OUT, RIGHT]
    assert at(matches) == [RIGHT, WRONG, RIGHT]
    report = average_precision({1: found}, [record], NAMES)
    assert (report.voc_2007, report.voc_2010) == (1, 1)


def test_voc_counts_both_end_pixels(make_record, make_detections) -> None:
    # In VOC's own numbers the object is 1 to 10 and the box 1 to 5, both ends in: 10 and 5 pixels, an overlap of
    # exactly .5 that counts. Without the +1 it would be 4/9.
    matches = match({1: make_detections([[0, 0, 5, 10]])}, [make_record(1, [[0, 0, 10, 10]])], NAMES)
    assert matches.voc.tolist() == [RIGHT]


def test_sizes(make_record, make_detections) -> None:
    small, large = [0, 0, 20, 20], [100, 100, 300, 300]
    record = make_record(1, [small, large])
    found = make_detections([[500, 0, 510, 10], small, large])  # the first is wrong, and small
    matches = match({1: found}, [record], NAMES)
    assert at(matches, size="small") == [WRONG, RIGHT, LEFT_OUT]
    assert at(matches, size="large") == [LEFT_OUT, LEFT_OUT, RIGHT]
    report = average_precision({1: found}, [record], NAMES)
    assert report.ap_by_size == {"small": 0.5, "medium": None, "large": 1}
    assert report.ar_by_size == {"small": 1, "medium": None, "large": 1}


def test_a_hundred_of_a_class_in_an_image(make_record, make_detections) -> None:
    found = make_detections([[500, 400, 510, 410]] * 100 + [BOX])
    matches = match({1: found}, [make_record(1, [BOX])], NAMES)
    assert at(matches) == [WRONG] * 100 + [LEFT_OUT]
    assert matches.voc.tolist() == [WRONG] * 100 + [RIGHT]  # VOC counts all


def test_one_and_ten_detections(make_record, make_detections) -> None:
    boxes = [[index * 40, 0, index * 40 + 30, 30] for index in range(12)]
    report = average_precision({1: make_detections(boxes)}, [make_record(1, boxes)], NAMES)
    assert report.ar == {1: pytest.approx(1 / 12), 10: pytest.approx(10 / 12), 100: 1}


def test_detections_come_in_any_order_and_equal_scores_in_theirs(make_record, make_detections) -> None:
    records = [make_record(2, [BOX]), make_record(1, [BOX])]
    found = {2: make_detections([BOX, FAR], [0.2, 0.9]), 1: make_detections([FAR, BOX], [0.9, 0.9])}
    matches = match(found, records, NAMES)
    assert matches.flat.image_ids.tolist() == [1, 2]
    assert matches.flat.scores[matches.order].tolist() == pytest.approx([0.9, 0.9, 0.9, 0.2])
    assert matches.coco["all"][0, matches.order].tolist() == [WRONG, RIGHT, WRONG, RIGHT]


def test_classes_go_by_name(make_record, make_detections) -> None:
    record = make_record(1, [BOX, FAR], class_ids=[0, 1])
    found = make_detections([FAR, BOX, [500, 0, 600, 90]], labels=[0, 1, 2], class_names=("dog", "cat", "kite"))
    report = average_precision({1: found}, [record], NAMES)
    assert report.ap_by_class == {"cat": 1, "dog": 1}


def test_classes_without_a_name(make_record, make_detections) -> None:
    record = make_record(1, [BOX, FAR], class_ids=[0, 3])
    report = average_precision({1: make_detections([BOX])}, [record], ("cat", "cat"))
    assert report.ap_by_class == {"cat (0)": 1, "class 3": 0}  # of two cats the first is meant


def test_a_box_that_is_not_finite_is_wrong(make_record, make_detections) -> None:
    found = make_detections([[0, 0, np.nan, 100], [0, 0, np.inf, 100], BOX])
    assert at(match({1: found}, [make_record(1, [BOX])], NAMES)) == [WRONG, WRONG, RIGHT]


def test_images_that_the_data_set_does_not_have(make_record, make_detections) -> None:
    with pytest.raises(InputError, match="for image 7, which the data set does not have"):
        match({7: make_detections([BOX])}, [make_record(1, [BOX])], NAMES)


def test_all_classes_as_one(make_record, make_detections) -> None:
    from objectness.evaluation.detection.flat import flatten

    record = make_record(1, [BOX, FAR], class_ids=[0, 1])
    found = {1: make_detections([BOX, BOX, FAR], labels=[1, 0, 1])}
    flat = flatten(found, [record], NAMES, as_one=True)
    assert coco_objects(flat, 0.5).tolist() == [0, -1, 1]


def test_to_json(make_record, make_detections) -> None:
    document = average_precision({1: make_detections([BOX])}, [make_record(1, [BOX])], NAMES).to_json()
    assert document["ap"] == 1
    assert document["ap_at_iou"]["0.50"] == 1
    assert document["ar"] == {"1": 1, "10": 1, "100": 1}
    assert document["ap_by_size"] == {"small": None, "medium": None, "large": 1}
