"""Named boxes of one photograph."""

from __future__ import annotations

import numpy as np
import pytest

from objectness.detections import Detections

BOXES = [[0, 0, 10, 10], [5, 5, 20, 30], [1, 2, 3, 4]]


def made() -> Detections:
    return Detections(
        np.array(BOXES, np.float64), np.array([0.9, 0.5, 0.1]), np.array([1, 0, 1]), ("cat", "dog"), (40, 30), "a.jpg"
    )


def test_nothing_found() -> None:
    none = Detections(np.zeros(0), np.zeros(0), np.zeros(0), (), (3, 4))
    assert len(none) == 0
    assert none.boxes_xyxy.shape == (0, 4)
    assert none.names == []
    assert len(none.to_proposals()) == 0


def test_types_and_names() -> None:
    found = made()
    assert (found.boxes_xyxy.dtype, found.scores.dtype, found.labels.dtype) == (np.float32, np.float32, np.int64)
    assert found.names == ["dog", "cat", "dog"]
    assert found.size_hw == (40, 30)


def test_some_of_them() -> None:
    found = made()
    assert found.top(2).names == ["dog", "cat"]
    assert found.above(0.5).scores.tolist() == pytest.approx([0.9, 0.5])
    assert found.keep(np.array([2, 0])).boxes_xyxy.tolist() == [BOXES[2], BOXES[0]]
    assert found.keep(found.labels == 1).source == "a.jpg"


def test_proposals_are_the_boxes_without_names() -> None:
    found = made().to_proposals()
    assert found.boxes_xyxy.tolist() == BOXES
    assert found.scores.tolist() == pytest.approx([0.9, 0.5, 0.1])
    assert (found.size_hw, found.source) == ((40, 30), "a.jpg")


@pytest.mark.parametrize(
    ("boxes", "scores", "labels", "words"),
    [
        (np.zeros((2, 5)), np.zeros(2), np.zeros(2), r"shape \(N, 4\), not \(2, 5\)"),
        (np.zeros((2, 4)), np.zeros(1), np.zeros(2), r"2 boxes came with scores of shape \(1,\)"),
        (np.zeros((2, 4)), np.zeros(2), np.zeros(3), r"2 boxes came with labels of shape \(3,\)"),
        (np.zeros((2, 4)), np.zeros(2), np.array([0, 2]), r"2 class names from 0: there is no 2"),
        (np.zeros((2, 4)), np.zeros(2), np.array([0, -1]), r"there is no -1"),
    ],
)
def test_what_does_not_belong_together(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Detections(boxes, scores, labels, ("cat", "dog"), (3, 4))
