from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from objectness.errors import InputError
from objectness.inference.tiling.grid import rows_of_tiles

SIDES = st.integers(1, 700)


@given(height=SIDES, width=SIDES, stride=st.sampled_from([1, 4, 16]), overlap=st.integers(0, 60), more=SIDES)
def test_cores_share_the_image_out(height: int, width: int, stride: int, overlap: int, more: int) -> None:
    tile = 2 * (overlap + stride) + stride + more
    rows = rows_of_tiles((height, width), tile, overlap, stride)
    taken = np.zeros((height, width), np.int64)
    for core, window in (part for row in rows for tile_ in row for part in [(tile_.core, tile_.window)]):
        taken[core.y : core.y + core.height, core.x : core.x + core.width] += 1
        assert core.y % stride == core.x % stride == window.y % stride == window.x % stride == 0
        assert max(window.height, window.width) <= tile
        for begin, length, start, extent, side in (
            (core.y, core.height, window.y, window.height, height),
            (core.x, core.width, window.x, window.width, width),
        ):
            assert length > 0
            assert start == 0 or begin - start >= overlap
            assert start + extent == side or start + extent - (begin + length) >= overlap
            assert 0 <= start <= begin
            assert begin + length <= start + extent <= side
            assert start + extent == side or (start + extent) % stride == 0
    assert (taken == 1).all()


def test_one_tile_where_the_image_fits() -> None:
    ((tile,),) = rows_of_tiles((500, 640), 640, 64, 64)
    assert tile.core == tile.window == (0, 0, 500, 640)


def test_windows_of_one_row() -> None:
    (row,) = rows_of_tiles((600, 1500), 1024, 128, 64)
    assert [(tile.core.x, tile.core.width) for tile in row] == [(0, 768), (768, 732)]
    assert [(tile.window.x, tile.window.width) for tile in row] == [(0, 896), (640, 860)]


def test_no_room_for_a_core() -> None:
    with pytest.raises(InputError, match=r"tile is 900 .* must be at least 960"):
        rows_of_tiles((5000, 400), 900, 448, 64)
