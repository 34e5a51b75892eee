from __future__ import annotations

import numpy as np
import pytest

from objectness.drawing.details import choose_details, draw_detail, require_inside
from objectness.errors import InputError
from objectness.images.windows.protocol import Rectangle
from objectness.images.windows.whole import WholeReader


def _choose(boxes: list[list[float]], scores: list[float], count: int, size_hw: tuple[int, int] = (1000, 2000)) -> list:
    return list(choose_details(size_hw, np.float32(boxes).reshape(-1, 4), np.float32(scores), count, side=200))


def test_no_box_no_detail() -> None:
    assert _choose([], [], 3) == []


def test_the_part_with_most_comes_first_and_none_overlaps() -> None:
    boxes = [[110, 110, 130, 130], [150, 150, 170, 170], [1910, 910, 1990, 990], [120, 120, 140, 140]]
    first, second = _choose(boxes, [0.9, 0.8, 0.9, 0.1], 5)
    assert first.y <= 120
    assert first.y + first.height >= 170
    assert second == Rectangle(800, 1800, 200, 200)  # pushed back from the border


def test_an_image_smaller_than_a_detail_is_one() -> None:
    assert _choose([[1, 1, 5, 5]], [0.5], 3, size_hw=(30, 50)) == [Rectangle(0, 0, 30, 50)]
    assert _choose([[0, 0, 1, 1]], [0.5], 3, size_hw=(1, 1)) == [Rectangle(0, 0, 1, 1)]


@pytest.mark.parametrize("seed", range(5))
def test_parts_lie_inside_and_apart(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width = (int(side) for side in random.integers(150, 1500, 2))
    corners = random.uniform(0, 1, (300, 2, 2)) * [width, height]
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)
    parts = choose_details((height, width), boxes, random.uniform(0, 1, 300).astype(np.float32), 50, side=200)
    assert parts
    covered = np.zeros((height, width), int)
    for part in parts:
        assert min(part) >= 0
        assert part.y + part.height <= height
        assert part.x + part.width <= width
        covered[part.y : part.y + part.height, part.x : part.x + part.width] += 1
    assert covered.max() == 1


def test_a_part_is_cut_at_the_border_or_refused() -> None:
    assert require_inside(Rectangle(90, 80, 50, 50), (100, 100), "a") == Rectangle(90, 80, 10, 20)
    for outside in (Rectangle(100, 0, 5, 5), Rectangle(0, 100, 5, 5), Rectangle(-1, 0, 5, 5), Rectangle(0, 0, 0, 5)):
        with pytest.raises(InputError, match=r"a: the detail of .* lies outside of the image, which has 100 x 100"):
            require_inside(outside, (100, 100), "a")
    with pytest.raises(InputError, match="is too large a picture; name one of up to 25,000,000 pixels"):
        require_inside(Rectangle(0, 0, 10**5, 10**5), (10**5, 10**5), "a")


def test_a_detail_is_the_part_with_the_boxes_that_lie_in_it() -> None:
    pixels = np.full((400, 400, 3), 128, np.uint8)
    boxes = np.float32([[120, 120, 180, 180], [0, 0, 130, 400], [150, 250, 250, 290]])
    picture = draw_detail(
        WholeReader(pixels, "a"), Rectangle(100, 100, 200, 200), boxes, np.float32([0.9, 0.8, 0.2]), limit=9
    )
    drawn = np.asarray(picture)
    assert drawn.shape == (200, 200, 3)
    assert drawn[50, 20].tolist() == [255, 238, 96]
    assert drawn[188, 100].tolist() == [124, 120, 255]
    assert drawn[100, 29].tolist() == [128] * 3  # the second lies in it by less than a half
