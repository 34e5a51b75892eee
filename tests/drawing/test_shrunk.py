from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from objectness.drawing import shrunk
from objectness.drawing.shrunk import shrink
from objectness.images.windows.protocol import Rectangle, Window
from objectness.images.windows.whole import WholeReader

RANDOM = np.random.default_rng(0)


class Counting(WholeReader):
    """Windows of pixels that are held; remembers which were asked for, and has one that cannot be decoded."""

    def __init__(self, pixels: np.ndarray, missing: tuple[Rectangle, ...] = ()) -> None:
        super().__init__(pixels, "a.tif")
        self.asked: list[Rectangle] = []
        self.missing = missing

    def window(self, part: Rectangle) -> Window:
        self.asked.append(part)
        return Window(super().window(part).pixels, self.missing, "damaged" if self.missing else "")


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 700), (700, 1), (333, 517), (640, 640), (98, 1000)])
@pytest.mark.parametrize("strip_bytes", [1, 20_000, 10**9])
def test_strips_give_what_the_whole_gives(
    size_hw: tuple[int, int], strip_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shrunk, "_STRIP_BYTES", strip_bytes)
    pixels = RANDOM.integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    reader = Counting(pixels)
    small = shrink(reader, 100)
    assert max(small.pixels.shape[:2]) == min(100, max(size_hw))
    whole = Image.fromarray(pixels).resize(small.pixels.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(small.pixels.astype(int) - np.asarray(whole)).max() <= 1
    assert [part.y for part in reader.asked] == sorted(part.y for part in reader.asked)
    assert all(part.y >= 0 and part.y + part.height <= size_hw[0] for part in reader.asked)


def test_no_window_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shrunk, "_STRIP_BYTES", 30_000)
    reader = Counting(np.zeros((2000, 500, 3), np.uint8))
    small = shrink(reader, 100)
    assert max(part.height * part.width * 3 for part in reader.asked) <= 30_000
    assert small.ratio_yx == (0.05, 0.05)


def test_what_is_missing_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shrunk, "_STRIP_BYTES", 30_000)
    hole = Rectangle(10, 20, 30, 40)
    assert shrink(Counting(np.zeros((2000, 500, 3), np.uint8), (hole,)), 100).missing == (hole,)
