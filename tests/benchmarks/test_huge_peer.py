"""Doubles that seams bring are told from those that are there without."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from objectness.datasets import Record
from objectness.images.windows.protocol import Rectangle

OBJECTS = np.array([[10, 10, 30, 30], [50, 10, 70, 30], [100, 10, 120, 30]], np.float32)


@pytest.mark.parametrize(("at_the_seam", "excess"), [(3, 3.0), (2, 1.0)])  # 3 boxes are 3 pairs, 2 are one
def test_what_seams_bring(benchmarks: None, at_the_seam: int, excess: float) -> None:
    mosaic, peer = import_module("mosaic"), import_module("huge_peer")
    none = np.zeros(3, bool)
    record = Record(1, Path("1.jpg"), (50, 150), OBJECTS, none.astype(np.int64), none, np.full(3, 400, np.float32))
    layout = mosaic.Mosaic((50, 150), (mosaic.Place(record, Rectangle(0, 0, 50, 150), whole=True),))
    own, other = OBJECTS[[0] * at_the_seam + [1, 1, 2, 2]], OBJECTS[[0, 0, 1, 1, 2, 2]]
    found = peer.compared(own, other, layout, ([], [20]))
    assert found["recall"] == 1
    assert found["doubles"] == [at_the_seam * (at_the_seam - 1) / 2, 1.0]
    assert found["excess"] == pytest.approx(excess)


def test_a_border_where_objects_are_full_of_pairs_anyway(benchmarks: None) -> None:
    mosaic, peer = import_module("mosaic"), import_module("huge_peer")
    none = np.zeros(3, bool)
    record = Record(1, Path("1.jpg"), (50, 150), OBJECTS, none.astype(np.int64), none, np.full(3, 400, np.float32))
    layout = mosaic.Mosaic((50, 150), (mosaic.Place(record, Rectangle(0, 0, 50, 150), whole=True),))
    boxes = OBJECTS[[0, 0, 0, 1, 1, 2, 2]]
    assert peer.compared(boxes, boxes, layout, ([], [20]))["excess"] == pytest.approx(1)
