"""Figures of the benchmark of huge images, on cases worked by hand."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from objectness.datasets import Record
from objectness.evaluation import average_recall
from objectness.images.windows.protocol import Rectangle
from objectness.proposals import Proposals


@pytest.fixture
def measures(benchmarks: None) -> ModuleType:
    return import_module("huge_measures")


def mosaic_of_two() -> object:
    """Two photographs of 50 x 100 beside each other; an object in the first, two in the second."""
    mosaic = import_module("mosaic")

    def record(image_id: int, boxes: list[list[float]]) -> Record:
        count = len(boxes)
        areas = np.full(count, 400, np.float32)
        ids, ignore = np.zeros(count, np.int64), np.zeros(count, bool)
        return Record(image_id, Path(f"{image_id}.jpg"), (50, 100), np.array(boxes, np.float32), ids, ignore, areas)

    records = record(7, [[10, 10, 30, 30]]), record(3, [[0, 0, 20, 20], [50, 20, 70, 40]])
    places = (mosaic.Place(one, Rectangle(0, 100 * number, 50, 100), whole=True) for number, one in enumerate(records))
    return mosaic.Mosaic((50, 200), tuple(places))


BOXES = np.array(
    [
        [150, 20, 170, 40],  # the second object of the second photograph
        [60, 0, 99, 40],  # nothing
        [100, 0, 120, 20],  # its first
        [10, 10, 30, 30],  # the object of the first photograph
    ],
    np.float32,
)


def test_proposals_go_to_the_photograph_of_their_centre(measures: ModuleType) -> None:
    spread = measures.spread(BOXES, mosaic_of_two())
    assert spread.ranks[7].tolist() == [1, 3]
    assert spread.ranks[3].tolist() == [0, 2]
    assert spread.found[3].boxes_xyxy.tolist() == [[50, 20, 70, 40], [0, 0, 20, 20]]
    assert {image_id: len(one) for image_id, one in spread.best(3).items()} == {7: 1, 3: 2}


def test_recall_of_the_mosaic_is_that_of_one_image(measures: ModuleType) -> None:
    mosaic = mosaic_of_two()
    whole = mosaic.record(Path("mosaic.png"))  # type: ignore[attr-defined]
    rng = np.random.default_rng(0)
    near = BOXES[rng.integers(0, 4, 40)] + rng.normal(0, 2, (40, 4)).astype(np.float32)
    scores = np.linspace(1, 0, 40, dtype=np.float32)
    for count in (1, 2, 5, 40):
        shares = measures.shares(measures.as_one_image(measures.spread(near, mosaic), mosaic, count))
        report = average_recall({0: Proposals(near, scores, (50, 200))}, [whole], (count,))
        assert shares.mean() == pytest.approx(report.ar[count])


def test_recall_of_each_photograph_with_its_own_best(measures: ModuleType) -> None:
    mosaic = mosaic_of_two()
    spread = measures.spread(BOXES, mosaic)
    ranks = measures.per_photograph(spread, mosaic, (1, 2)).ranks
    assert ranks[0].tolist() == [1, 1, 0]
    measured = measures.as_one_image(spread, mosaic, 1)
    assert measures.shares(measured).tolist() == [0, 0, 1]
    assert measures.names(measured) == [(7, 0), (3, 0), (3, 1)]
    assert measures.objects_xyxy(measured, mosaic).tolist() == [
        [10, 10, 30, 30],
        [100, 0, 120, 20],
        [150, 20, 170, 40],
    ]


def test_a_border_that_only_touches_does_not_cross(measures: ModuleType) -> None:
    boxes = np.array([[0, 0, 10, 10], [10, 0, 20, 10], [5, 0, 15, 10], [0, 25, 10, 40]], float)
    assert measures.crosses(boxes, [30], [10]).tolist() == [False, False, True, True]
    assert measures.crosses(boxes, [], []).tolist() == [False] * 4


def test_doubles(measures: ModuleType) -> None:
    objects = np.array([[0, 0, 100, 100], [200, 0, 300, 100]], float)
    boxes = np.array(
        [
            [0, 0, 100, 100],
            [2, 0, 100, 100],  # the same again
            [0, 0, 60, 100],  # its cut part: inside both, or nearly (58 of 60)
            [200, 0, 300, 100],
            [230, 0, 330, 100],  # overlaps by .54, and lies in nothing
            [200, 0, 220, 20],  # too small to be about the object
        ],
        float,
    )
    assert measures.doubles(boxes, objects).tolist() == [3, 0]
    assert measures.doubles(boxes, objects, boxes_at_once=1).tolist() == [3, 0]
    assert measures.doubles(boxes[:0], objects).tolist() == [0, 0]
    assert measures.doubles(boxes, objects[:0]).tolist() == []


def test_others_count_as_often_as_the_chosen_of_their_size(measures: ModuleType) -> None:
    sides = np.array([10, 10, 10, 100, 100, 40])
    boxes = np.stack([np.zeros(6), np.zeros(6), sides, sides], axis=1).astype(float)
    values = np.array([1.0, 0.0, 0.5, 1.0, 0.2, 9.0])
    chosen = np.array([True, True, False, True, False, True])  # the last has nobody of its size
    found = measures.matched_by_size(values, chosen, boxes)
    assert found.count == 3
    assert found.chosen == pytest.approx(2 / 3)
    assert found.others == pytest.approx((0.5 + 0.5 + 0.2) / 3)
    assert measures.matched_by_size(values, chosen & False, boxes).count == 0
