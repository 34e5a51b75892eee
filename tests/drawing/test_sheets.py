from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from objectness.drawing import contact_sheet


def test_no_pictures_or_no_columns() -> None:
    with pytest.raises(ValueError, match="got 0 and 3"):
        contact_sheet([], 3)
    with pytest.raises(ValueError, match="got 1 and 0"):
        contact_sheet([Image.new("RGB", (1, 1))], 0)


def test_pictures_go_left_to_right_in_the_middle_of_their_cells() -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    sizes = [(20, 10), (10, 10), (20, 30)]  # cells are 20 wide and 30 high, 8 pixels between
    sheet = contact_sheet([Image.new("RGB", size, c) for size, c in zip(sizes, colours, strict=True)], 2)
    assert sheet.size == (8 + 20 + 8 + 20 + 8, 8 + 30 + 8 + 30 + 8)
    pixels = np.asarray(sheet)
    for colour, (left, top, right, bottom) in zip(
        colours, [(8, 18, 28, 28), (41, 18, 51, 28), (8, 46, 28, 76)], strict=True
    ):
        rows, columns = np.nonzero((pixels == colour).all(axis=2))
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (left, top, right, bottom)


def test_fewer_pictures_than_columns_make_a_narrower_sheet() -> None:
    assert contact_sheet([Image.new("L", (20, 10))], 5).size == (36, 26)
