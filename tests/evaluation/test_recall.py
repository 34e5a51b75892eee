from __future__ import annotations

import json
import time

import numpy as np
import pytest

from objectness.errors import InputError
from objectness.evaluation import RecallReport, average_recall
from objectness.evaluation.measurement import IOU_THRESHOLDS

FAR = [600, 400, 640, 480]


def test_no_images() -> None:
    report = average_recall({}, [])
    assert (report.images, report.objects) == (0, 0)
    assert report.ks == (1, 10, 100, 300, 1000)
    assert set(report.ar.values()) == {None}


def test_no_objects(make_record, make_proposals) -> None:
    report = average_recall({1: make_proposals([FAR])}, [make_record(1), make_record(2)], ks=(1, 5))
    assert (report.images, report.objects) == (2, 0)
    assert report.ar == {1: None, 5: None}
    assert report.ar_by_size == {size: {1: None, 5: None} for size in ("small", "medium", "large")}
    assert report.recall_at_iou[0.5] == {1: None, 5: None}
    json.dumps(report.to_json(), allow_nan=False)


def test_only_ignore_regions_are_no_objects(make_record, make_proposals) -> None:
    report = average_recall({1: make_proposals([FAR])}, [make_record(1, [FAR], ignore=[True])], ks=(1,))
    assert report.objects == 0
    assert report.ar == {1: None}


def test_no_proposals_at_all(make_record) -> None:
    report = average_recall({}, [make_record(1, [FAR])], ks=(1,))
    assert report.ar == {1: 0.0}
    assert report.recall_at_iou[0.9] == {1: 0.0}


def test_one_object_by_hand(make_record, make_proposals) -> None:
    # IoU 72/100: found at .50 .55 .60 .65 .70, five of ten thresholds. 100 square pixels: small.
    report = average_recall({1: make_proposals([[0, 0, 9, 8]])}, [make_record(1, [[0, 0, 10, 10]])], ks=(1,))
    assert report.ar == {1: 0.5}
    assert report.ar_by_size == {"small": {1: 0.5}, "medium": {1: None}, "large": {1: None}}
    assert {iou: values[1] for iou, values in report.recall_at_iou.items()} == {
        0.5: 1, 0.55: 1, 0.6: 1, 0.65: 1, 0.7: 1, 0.75: 0, 0.8: 0, 0.85: 0, 0.9: 0, 0.95: 0,
    }  # fmt: skip


def test_the_ten_thresholds() -> None:
    assert IOU_THRESHOLDS.round(12).tolist() == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]


def test_images_without_proposals_count(make_record, make_proposals) -> None:
    records = [make_record(1, [FAR]), make_record(2, [FAR]), make_record(3)]
    found = {1: make_proposals([FAR])}
    assert average_recall(found, records, ks=(1,)).ar == {1: 0.5}
    assert average_recall({**found, 2: make_proposals()}, records, ks=(1,)).ar == {1: 0.5}


def test_the_top_is_taken_in_each_image(make_record, make_proposals) -> None:
    # 100 images with 2 objects each: over the whole data set the best 100 proposals would find one half.
    pair = [[0, 0, 20, 20], [100, 100, 150, 150]]
    records = [make_record(image_id, pair) for image_id in range(100)]
    found = {image_id: make_proposals(pair) for image_id in range(100)}
    assert average_recall(found, records, ks=(1, 2, 100)).ar == {1: 0.5, 2: 1.0, 100: 1.0}


FOUR = [[0, 0, 20, 20], [50, 0, 80, 30], [100, 0, 140, 40], [200, 0, 300, 100]]


def test_mmdetection_four_perfect_boxes(make_record, make_proposals) -> None:
    # Areas 400, 900 (small), 1600 (medium), 10000 (large).
    report = average_recall({0: make_proposals(FOUR)}, [make_record(0, FOUR)], ks=(100, 300, 1000))
    ones = {100: 1.0, 300: 1.0, 1000: 1.0}
    assert report.ar == ones
    assert report.ar_by_size == {"small": ones, "medium": ones, "large": ones}
    assert report.objects_by_size == {"small": 2, "medium": 1, "large": 1}


def test_mmdetection_proposal_numbers(make_record, make_proposals) -> None:
    report = average_recall({0: make_proposals(FOUR)}, [make_record(0, FOUR)], ks=(2, 4))
    assert report.ar == {2: 0.5, 4: 1.0}
    assert report.ar_by_size == {
        "small": {2: 1.0, 4: 1.0},
        "medium": {2: 0.0, 4: 1.0},
        "large": {2: 0.0, 4: 1.0},
    }


def test_mmdetection_one_of_four_at_one(make_record, make_proposals) -> None:
    report = average_recall({0: make_proposals(FOUR)}, [make_record(0, FOUR)], ks=(1, 10, 100))
    assert report.ar == {1: 0.25, 10: 1.0, 100: 1.0}


def test_ks_need_no_hundred_and_no_order(make_record, make_proposals) -> None:
    report = average_recall({0: make_proposals(FOUR)}, [make_record(0, FOUR)], ks=[3, 1, 3, 7])
    assert report.ks == (1, 3, 7)
    assert report.ar == {1: 0.25, 3: 0.75, 7: 1.0}


def test_sizes_go_by_the_annotated_area(make_record, make_proposals) -> None:
    # A thin thing in a large box: its mask has 500 square pixels.
    truth = make_record(0, [[0, 0, 100, 100]], areas=[500])
    report = average_recall({0: make_proposals([[0, 0, 100, 100]])}, [truth], ks=(1,))
    assert report.ar_by_size == {"small": {1: 1.0}, "medium": {1: None}, "large": {1: None}}


def test_an_area_on_the_border_is_in_both_sizes(make_record, make_proposals) -> None:
    truth = make_record(0, [[0, 0, 32, 32], [0, 0, 96, 96]])
    report = average_recall({0: make_proposals([[0, 0, 96, 96]])}, [truth], ks=(1,))
    assert report.objects_by_size == {"small": 1, "medium": 2, "large": 1}
    assert report.ar_by_size == {"small": {1: 0.0}, "medium": {1: 0.5}, "large": {1: 1.0}}


def test_each_object_needs_a_proposal_of_its_own(make_record, make_proposals) -> None:
    twins = make_record(0, [FAR, FAR])
    assert average_recall({0: make_proposals([FAR])}, [twins], ks=(1,)).ar == {1: 0.5}
    assert average_recall({0: make_proposals([FAR, FAR])}, [twins], ks=(1, 2)).ar == {1: 0.5, 2: 1.0}


def test_an_object_of_another_size_takes_no_proposal(make_record, make_proposals) -> None:
    # The proposal overlaps the medium object more; where small ones are asked for, it is the small one's.
    truth = make_record(0, [[0, 0, 40, 25], [0, 0, 44, 25]], areas=[1000, 1100])
    report = average_recall({0: make_proposals([[0, 0, 43, 25]])}, [truth], ks=(1,))
    assert report.recall_at_iou[0.9] == {1: 0.5}
    assert report.ar_by_size["medium"] == {1: 1.0}  # IoU 43/44 = .977
    assert report.ar_by_size["small"] == {1: pytest.approx(0.9)}  # IoU 40/43 = .930: all but .95


def test_crowds_neither_count_nor_take_proposals(make_record, make_proposals) -> None:
    truth = make_record(0, [[0, 0, 50, 50], [10, 10, 40, 40]], ignore=[True, False])
    found = make_proposals([[10, 10, 41, 40], [0, 0, 50, 50]])
    report = average_recall({0: found}, [truth], ks=(1,))
    assert report.objects == 1
    assert report.ar == {1: 1.0}  # IoU 30/31 = .968


def test_scores_decide_the_rank(make_record, make_proposals) -> None:
    found = make_proposals([[0, 0, 9, 9], FAR], scores=[0.1, 0.9])
    assert average_recall({0: found}, [make_record(0, [FAR])], ks=(1,)).ar == {1: 1.0}


def test_broken_proposals_find_nothing_and_harm_nobody(make_record, make_proposals) -> None:
    nan, inf = float("nan"), float("inf")
    boxes = [[nan, 400, 640, 480], [inf, 400, inf, 480], [-inf, -inf, inf, inf], [640, 480, 600, 400], FAR]
    found = make_proposals(boxes, scores=[0.9, 0.8, 0.7, 0.6, nan])
    with np.errstate(all="raise"):
        assert average_recall({0: found}, [make_record(0, [FAR])], ks=(4, 5)).ar == {4: 0.0, 5: 1.0}


def test_an_object_without_area_is_missed(make_record, make_proposals) -> None:
    truth = make_record(0, [[5, 5, 5, 9], FAR])
    report = average_recall({0: make_proposals([[5, 5, 5, 9], FAR])}, [truth], ks=(2,))
    assert (report.objects, report.ar) == (2, {2: 0.5})


def test_proposals_of_an_unknown_image(make_record, make_proposals) -> None:
    with pytest.raises(InputError, match="for image 7, which the data set does not have"):
        average_recall({1: make_proposals(), 7: make_proposals()}, [make_record(1)])
    with pytest.raises(InputError, match=r"for image 8 \(and for 2 more\)"):
        average_recall({8: make_proposals(), 7: make_proposals(), 9: make_proposals()}, [make_record(1)])


def test_two_images_with_one_id(make_record) -> None:
    with pytest.raises(InputError, match="2 images with the id 4"):
        average_recall({}, [make_record(4), make_record(5), make_record(4)])


@pytest.mark.parametrize("ks", [(), (0,), (10, -1)])
def test_k_below_one(ks: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="at least one k of 1 or more"):
        average_recall({}, [], ks=ks)


def test_json(make_record, make_proposals) -> None:
    report = average_recall({0: make_proposals([FOUR[0]])}, [make_record(0, FOUR[:2])], ks=(1,))
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document == {
        "images": 1,
        "objects": 2,
        "objects_by_size": {"small": 2, "medium": 0, "large": 0},
        "ks": [1],
        "ar": {"1": 0.5},
        "ar_by_size": {"small": {"1": 0.5}, "medium": {"1": None}, "large": {"1": None}},
        "recall_at_iou": {f"{iou:.2f}": {"1": 0.5} for iou in IOU_THRESHOLDS},
    }


def test_quick_enough_for_every_epoch(make_record, make_proposals) -> None:
    # 50 images of 1000 proposals about objects, as a trained network makes them: 0.2 s when this was written.
    rng = np.random.default_rng(0)
    records, found = [], {}
    for image_id in range(50):
        corner = rng.uniform(0, 400, (15, 2))
        truth = np.concatenate([corner, corner + rng.uniform(10, 200, (15, 2))], axis=1)
        near = truth[rng.integers(0, 15, 1000)] + rng.normal(0, 8, (1000, 4))
        records.append(make_record(image_id, truth))
        found[image_id] = make_proposals(near)
    start = time.perf_counter()
    report = average_recall(found, records)
    assert time.perf_counter() - start < 3
    assert isinstance(report, RecallReport)
    assert report.ar[1000] > report.ar[10] > 0
