from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objectness.images import open_fitted

FRAMES = [Image.new("RGB", (20, 10), colour) for colour in ("red", "lime", "blue")]


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.tif", "a.png", "a.avif"])
@pytest.mark.parametrize("count", [1, 3])
def test_frames_and_pages_are_counted_and_the_first_is_taken(tmp_path: Path, name: str, count: int) -> None:
    FRAMES[0].save(tmp_path / name, save_all=True, append_images=FRAMES[1:count])
    fitted = open_fitted(tmp_path / name, 10, 20)
    assert fitted.frames == count
    np.testing.assert_allclose(fitted.pixels[5, 5], (255, 0, 0), atol=6)


def test_counting_ends(tmp_path: Path) -> None:
    FRAMES[0].convert("P").save(tmp_path / "a.gif")
    whole = (tmp_path / "a.gif").read_bytes()
    frame = whole[whole.rindex(b",") : -1]
    (tmp_path / "a.gif").write_bytes(whole[:-1] + frame * 1500 + b";")
    assert open_fitted(tmp_path / "a.gif", 10, 20).frames == 1000


def test_pages_that_go_in_a_circle_end_and_smaller_copies_are_no_pages(tmp_path: Path) -> None:
    FRAMES[0].save(tmp_path / "a.tif", save_all=True, append_images=FRAMES[1:])
    whole = bytearray((tmp_path / "a.tif").read_bytes())
    places = [struct.unpack_from("<I", whole, 4)[0]]
    while True:
        (entries,) = struct.unpack_from("<H", whole, places[-1])
        link = places[-1] + 2 + 12 * entries
        (following,) = struct.unpack_from("<I", whole, link)
        if not following:
            break
        places.append(following)
    struct.pack_into("<I", whole, link, places[0])
    (tmp_path / "a.tif").write_bytes(whole)
    assert open_fitted(tmp_path / "a.tif", 10, 20).frames == 3
    struct.pack_into("<HHII", whole, places[1] + 2, 254, 4, 1, 1)  # in the place of its width, which nobody asks for
    (tmp_path / "a.tif").write_bytes(whole)
    assert open_fitted(tmp_path / "a.tif", 10, 20).frames == 2


def test_a_telephone_s_second_picture_is_no_frame(tmp_path: Path) -> None:
    FRAMES[0].save(tmp_path / "a.mpo", save_all=True, append_images=FRAMES[1:2])
    assert open_fitted(tmp_path / "a.mpo", 10, 20).frames == 1
