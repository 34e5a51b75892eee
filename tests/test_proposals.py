from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from objectness.proposals import Proposals

THREE = Proposals(np.array([[0, 0, 4, 4], [1, 1, 5, 5], [2, 2, 6, 6]]), np.array([0.9, 0.5, 0.1]), (48, 64), "a.jpg")


@pytest.mark.parametrize("nothing", [[], np.empty((0, 4)), np.empty(0)])
def test_empty(nothing: object) -> None:
    found = Proposals(nothing, [], (48, 64))  # type: ignore[arg-type]
    assert len(found) == 0
    assert found.boxes_xyxy.shape == (0, 4)
    assert found.boxes_xyxy.dtype == np.float32
    assert found.scores.dtype == np.float32
    assert len(found.top(5)) == 0
    assert len(found.above(0.5)) == 0


def test_values_become_single_precision() -> None:
    assert THREE.boxes_xyxy.dtype == np.float32
    assert THREE.boxes_xyxy.tolist() == [[0, 0, 4, 4], [1, 1, 5, 5], [2, 2, 6, 6]]
    assert THREE.scores.tolist() == pytest.approx([0.9, 0.5, 0.1])
    assert THREE.size_hw == (48, 64)
    assert THREE.source == "a.jpg"


def test_size_becomes_plain_numbers() -> None:
    size_hw = Proposals([], [], (np.int64(48), np.int32(64))).size_hw  # type: ignore[arg-type]
    assert [type(side) for side in size_hw] == [int, int]


@pytest.mark.parametrize(
    ("boxes", "scores", "message"),
    [
        (np.zeros((2, 4)), np.zeros(3), "2 boxes came with scores of shape"),
        (np.zeros((2, 4)), np.zeros((2, 1)), "2 boxes came with scores of shape"),
        (np.zeros((1, 4)), np.float32(1), "1 boxes came with scores of shape"),
        (np.zeros((2, 5)), np.zeros(2), "not \\(2, 5\\)"),
        (np.zeros((4, 2)), np.zeros(2), "not \\(4, 2\\)"),
        (np.zeros(4), np.zeros(1), "not \\(4,\\)"),
        (np.zeros((1, 2, 4)), np.zeros(2), "not \\(1, 2, 4\\)"),
    ],
)
def test_shapes_that_do_not_belong_together(boxes: np.ndarray, scores: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Proposals(boxes, scores, (48, 64))


@pytest.mark.parametrize(("count", "kept"), [(0, 0), (1, 1), (2, 2), (3, 3), (99, 3)])
def test_top(count: int, kept: int) -> None:
    best = THREE.top(count)
    assert best.boxes_xyxy.tolist() == THREE.boxes_xyxy.tolist()[:kept]
    assert best.scores.tolist() == THREE.scores.tolist()[:kept]
    assert (best.size_hw, best.source) == ((48, 64), "a.jpg")


def test_above_includes_the_score_itself() -> None:
    assert THREE.above(0.5).scores.tolist() == pytest.approx([0.9, 0.5])
    assert THREE.above(0.5).boxes_xyxy.tolist() == [[0, 0, 4, 4], [1, 1, 5, 5]]
    assert len(THREE.above(0)) == 3
    assert len(THREE.above(0.95)) == 0
    assert (THREE.above(0.5).size_hw, THREE.above(0.5).source) == ((48, 64), "a.jpg")


def test_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        THREE.size_hw = (1, 1)  # type: ignore[misc]
