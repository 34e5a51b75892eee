from __future__ import annotations

import numpy as np

from objectness.detections import Detections
from objectness.drawing.named import PALETTE, draw_detections

GREY = np.full((80, 120, 3), 128, np.uint8)


def found(*labels: int, names: int = 9) -> Detections:
    boxes = np.array([[10 + 30 * at, 30, 35 + 30 * at, 70] for at in range(len(labels))], np.float32).reshape(-1, 4)
    scores = np.linspace(0.9, 0.5, len(labels), dtype=np.float32)
    return Detections(boxes, scores, np.array(labels, np.int64), tuple(f"n{i}" for i in range(names)), (80, 120))


def test_nothing_is_drawn_without_detections() -> None:
    assert np.array_equal(np.asarray(draw_detections(GREY, found())), GREY)
    assert np.array_equal(np.asarray(draw_detections(GREY, found(1), limit=0)), GREY)


def test_a_class_has_a_colour_of_its_own() -> None:
    drawn = np.asarray(draw_detections(GREY, found(0, 2, 8)))
    for left, label in ((10, 0), (40, 2), (70, 8)):
        assert tuple(drawn[60, left]) == PALETTE[label % len(PALETTE)]
    assert (GREY == 128).all()


def test_the_palette_is_told_apart() -> None:
    assert len(set(PALETTE)) == len(PALETTE) == 8
