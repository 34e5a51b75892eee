from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from objectness.drawing.overview import MISSING, draw_overview
from objectness.drawing.shrunk import Shrunk
from objectness.images.windows.protocol import Rectangle

GREY = [128, 128, 128]
YELLOW, PERIWINKLE, WHITE = [255, 238, 96], [124, 120, 255], [255, 255, 255]
SMALL = Shrunk(np.full((300, 500, 3), 128, np.uint8), (3000, 5000), ())  # a tenth of the image


def _draw(*boxes: list[float], limit: int = 10, **options: Any) -> np.ndarray:
    scores = np.linspace(0.9, 0.1, len(boxes), dtype=np.float32)
    return np.asarray(draw_overview(SMALL, np.float32(boxes).reshape(-1, 4), scores, limit=limit, **options))


def test_nothing_to_draw_leaves_the_image_above_the_caption() -> None:
    picture = _draw()
    assert picture.shape[0] > 300
    assert picture.shape[1] == 500
    assert np.array_equal(picture[:300], SMALL.pixels)
    assert (picture[300:] == WHITE).all(axis=2).any()  # words


def test_boxes_that_can_be_seen_are_framed_and_small_ones_dotted() -> None:
    picture = _draw([1000, 1000, 2000, 2000], [3000, 500, 3060, 560], [3000, 2000, 3400, 2400])
    assert picture[100, 150].tolist() == YELLOW
    assert picture[150, 150].tolist() == GREY
    assert picture[53, 303].tolist() == WHITE
    assert picture[200, 320].tolist() == PERIWINKLE


def test_at_most_so_many_frames_and_none_beside_a_better_one() -> None:
    picture = _draw([1000, 1000, 2000, 2000], [1000, 1000, 2100, 2100], [3000, 2000, 3400, 2400], limit=2)
    assert picture[150, 208].tolist() == GREY  # the right side of the second, which overlaps the first by 0.83
    assert picture[200, 320].tolist() == PERIWINKLE
    assert _draw([1000, 1000, 2000, 2000], [3000, 2000, 3400, 2400], limit=1)[200, 320].tolist() == GREY


def test_missing_parts_are_crossed_out_and_details_numbered() -> None:
    picture = _draw(missing=[Rectangle(1000, 1000, 1000, 1000)], details=[Rectangle(1000, 3000, 1000, 1000)])
    for y, x in ((100, 100), (150, 150), (120, 120)):
        assert picture[y, x].tolist() == list(MISSING)
    assert picture[100, 350].tolist() == WHITE


def test_a_narrow_picture_has_a_caption_of_several_lines() -> None:
    tall = Shrunk(np.zeros((400, 40, 3), np.uint8), (4000, 400), ())
    picture = draw_overview(tall, np.empty((0, 4), np.float32), np.empty(0, np.float32), limit=1)
    assert isinstance(picture, Image.Image)
    assert picture.width == 40
    assert picture.height > 400 + 2 * 22
