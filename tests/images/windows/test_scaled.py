from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from objectness.images import resize
from objectness.images.windows import scaled
from objectness.images.windows.protocol import Rectangle, Window
from objectness.images.windows.scaled import ScaledReader
from objectness.images.windows.whole import WholeReader

RANDOM = np.random.default_rng(0)


class InOrder:
    """A reader that notes the rows that it is asked for, and has a hole."""

    name = "order"
    in_order = True

    def __init__(self, pixels: np.ndarray, hole: Rectangle | None = None) -> None:
        self._whole, self._hole = WholeReader(pixels, "order"), hole
        self.asked: list[Rectangle] = []
        self.is_open = True

    @property
    def size_hw(self) -> tuple[int, int]:
        return self._whole.size_hw

    def window(self, part: Rectangle) -> Window:
        self.asked.append(part)
        hole = self._hole
        has_hole = hole is not None and part.y < hole.y + hole.height and hole.y < part.y + part.height
        return Window(self._whole.window(part).pixels, (hole,) if hole and has_hole else (), "torn" if has_hole else "")

    def close(self) -> None:
        self.is_open = False


def tiles(size_hw: tuple[int, int], side: int, overlap: int) -> Sequence[Rectangle]:
    height, width = size_hw
    found = []
    for y in range(0, height, side):
        for x in range(0, width, side):
            top, left = max(0, y - overlap), max(0, x - overlap)
            bottom, right = min(height, y + side + overlap), min(width, x + side + overlap)
            found.append(Rectangle(top, left, bottom - top, right - left))
    return found


@pytest.mark.parametrize(
    ("source_hw", "size_hw"),
    [
        ((200, 300), (100, 150)),
        ((200, 300), (77, 131)),
        ((211, 307), (13, 17)),
        ((50, 70), (123, 200)),
        ((50, 70), (50, 33)),
        ((50, 70), (33, 70)),
        ((50, 70), (50, 70)),
        ((50, 70), (1, 1)),
        ((1, 1), (5, 9)),
        ((400, 3), (39, 7)),
        ((300, 100), (120, 40)),
        ((140, 20), (60, 90)),
    ],
)
def test_windows_are_those_of_the_whole_image_resized_by_pillow(
    source_hw: tuple[int, int], size_hw: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaled, "_READ_BYTES", 3 * source_hw[1] * 7)
    pixels = RANDOM.integers(0, 256, (*source_hw, 3), dtype=np.uint8)
    whole = resize(pixels, size_hw)
    source = InOrder(pixels)
    reader = ScaledReader(source, size_hw)
    assert reader.size_hw == size_hw
    for part in tiles(size_hw, 24, 5):
        expected = whole[part.y : part.y + part.height, part.x : part.x + part.width]
        np.testing.assert_array_equal(reader.window(part).pixels, expected)
    if source_hw != size_hw:
        rows = [row for part in source.asked for row in range(part.y, part.y + part.height)]
        assert rows == list(range(len(rows)))  # each once, from top to bottom
    reader.close()
    assert not source.is_open


@given(st.data())
def test_any_size_and_any_order(data: st.DataObject) -> None:
    sides = st.integers(1, 40)
    source_hw, size_hw = data.draw(st.tuples(sides, sides)), data.draw(st.tuples(sides, sides))
    pixels = np.random.default_rng(1).integers(0, 256, (*source_hw, 3), dtype=np.uint8)
    whole = resize(pixels, size_hw)
    reader = ScaledReader(WholeReader(pixels, "a"), size_hw)
    for _ in range(4):
        y, x = data.draw(st.integers(0, size_hw[0] - 1)), data.draw(st.integers(0, size_hw[1] - 1))
        height, width = data.draw(st.integers(1, size_hw[0] - y)), data.draw(st.integers(1, size_hw[1] - x))
        window = reader.window(Rectangle(y, x, height, width))
        np.testing.assert_array_equal(window.pixels, whole[y : y + height, x : x + width])


@pytest.mark.parametrize("size_hw", [(40, 60), (23, 31), (200, 301)])
def test_missing_parts_hold_every_pixel_that_they_touch(size_hw: tuple[int, int]) -> None:
    pixels = RANDOM.integers(0, 200, (80, 120, 3), dtype=np.uint8)
    hole = Rectangle(30, 50, 11, 17)
    reader = ScaledReader(InOrder(pixels, hole), size_hw)
    windows = [reader.window(part) for part in tiles(size_hw, 16, 3)]
    missing = {box for window in windows for box in window.missing}
    assert len(missing) == 1
    assert all(window.reason == ("torn" if window.missing else "") for window in windows)
    torn = pixels.copy()
    torn[30:41, 50:67] = 255
    changed = (resize(pixels, size_hw) != resize(torn, size_hw)).any(axis=2)
    (box,) = missing
    inside = np.zeros(size_hw, bool)
    inside[box.y : box.y + box.height, box.x : box.x + box.width] = True
    assert changed[inside].any()
    assert not changed[~inside].any()
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    slack = 3 + 4 * size_hw[0] // 80  # and not much more
    assert box.height <= rows[-1] - rows[0] + slack
    assert box.width <= columns[-1] - columns[0] + slack
