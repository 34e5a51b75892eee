from __future__ import annotations

import numpy as np

from objectness.evaluation.matching import UNMATCHED
from objectness.evaluation.measurement import measure

A, B = [0, 0, 10, 10], [100, 100, 140, 140]


def test_nothing() -> None:
    measured = measure({}, [])
    assert (measured.images, measured.objects) == (0, 0)
    assert measured.ranks.shape == (10, 0)
    assert measured.best_iou.shape == (5, 0)


def test_images_without_objects_and_without_proposals(make_record, make_proposals) -> None:
    measured = measure({1: make_proposals([A])}, [make_record(1), make_record(2, [A])], (1,))
    assert measured.counts.tolist() == [1, 0]
    assert measured.image_of.tolist() == [1]
    assert (measured.ranks == UNMATCHED).all()
    assert measured.closest_rank.tolist() == [[-1]]


def test_every_image_is_told_once(make_record) -> None:
    seen = []
    measure({}, [make_record(1), make_record(2)], on_image=lambda: seen.append(1))
    assert len(seen) == 2


def test_unsorted_proposals_are_taken_by_score(make_record, make_proposals) -> None:
    nan = float("nan")
    found = make_proposals([A, B, A, B], scores=[0.1, nan, 0.9, 0.5])
    measured = measure({1: found}, [make_record(1, [A, B])], (4,))
    assert measured.ranks_at(0.5).tolist() == [0, 1]
    assert measured.scores[:3].tolist() == [np.float32(0.9), np.float32(0.5), np.float32(0.1)]
    assert np.isnan(measured.scores[3])
    assert measured.scores_at(measured.ranks_at(0.5)).tolist() == [np.float32(0.9), np.float32(0.5)]


def test_scores_of_the_second_image_are_its_own(make_record, make_proposals) -> None:
    found = {1: make_proposals([B, B], [0.9, 0.8]), 2: make_proposals([B, A], [0.7, 0.6])}
    measured = measure(found, [make_record(1, [A]), make_record(2, [A])], (2,))
    got = measured.scores_at(measured.ranks_at(0.5))
    assert np.isnan(got[0])
    assert got[1] == np.float32(0.6)


def test_proposals_in_a_crowd_are_neither_right_nor_wrong(make_record, make_proposals) -> None:
    # Half of the first lies in the crowd, a quarter of the second; the third is in it too, but about an object.
    crowd, thing = [0, 0, 100, 100], [10, 10, 30, 30]
    record = make_record(1, [crowd, thing], ignore=[True, False])
    found = make_proposals([[80, 0, 120, 20], [70, 0, 190, 30], [10, 10, 30, 28]])
    measured = measure({1: found}, [record], (3,))
    assert measured.is_hit.tolist() == [False, False, True]
    assert measured.ignored.tolist() == [True, False, False]


def test_no_more_than_the_largest_k_is_looked_at(make_record, make_proposals) -> None:
    measured = measure({1: make_proposals([B, B, A])}, [make_record(1, [A])], (1, 2))
    assert measured.counts.tolist() == [2]
    assert (measured.ranks == UNMATCHED).all()


def test_relative_sizes_need_the_size_of_the_image(make_record) -> None:
    from dataclasses import replace

    measured = measure({}, [replace(make_record(1, [A]), size_hw=None), make_record(2, [A])], (1,))
    assert [mask.tolist() for mask in measured.sizes()["relative size"].values()] == [
        [False, True],
        [False] * 2,
        [False] * 2,
    ]


def test_the_numbers_of_objects_are_those_of_the_record(make_record) -> None:
    record = make_record(1, [A, B, A], class_ids=[1, 0, 0], ignore=[False, True, False])
    measured = measure({}, [record], (1,))
    assert measured.number.tolist() == [2, 0]
    assert measured.class_ids.tolist() == [0, 1]
