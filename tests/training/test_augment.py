from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from objectness.boxes import area
from objectness.rpn.settings import ImageSettings
from objectness.training.augment import Example, augment, crop, fit, mirror, mosaic, recolour
from objectness.training.settings import AugmentSettings


def example(height: int = 60, width: int = 80) -> Example:
    """A black photograph with two white rectangles, which are its boxes; the second one is to be ignored."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    boxes = np.array([[8, 4, 28, 24], [50, 30, 70, 54]], dtype=np.float32)
    for x1, y1, x2, y2 in boxes.astype(int):
        pixels[y1:y2, x1:x2] = 255
    return Example(pixels, boxes, np.array([False, True]), np.array([4, 5]))


def white_inside(made: Example) -> bool:
    """Whether each box holds white pixels only and nothing outside of them is white."""
    outside = made.pixels.copy()
    for x1, y1, x2, y2 in np.round(made.boxes_xyxy).astype(int):
        if not (made.pixels[y1:y2, x1:x2] > 200).all():
            return False
        outside[max(0, y1 - 1) : y2 + 1, max(0, x1 - 1) : x2 + 1] = 0
    return bool((outside < 50).all())


def test_mirror_by_hand() -> None:
    made = mirror(example())
    assert made.boxes_xyxy.tolist() == [[52, 4, 72, 24], [10, 30, 30, 54]]
    assert white_inside(made)
    upside_down = mirror(example(), vertical=True)
    assert upside_down.boxes_xyxy.tolist() == [[8, 36, 28, 56], [50, 6, 70, 30]]
    assert white_inside(upside_down)
    assert mirror(mirror(example())).boxes_xyxy.tolist() == example().boxes_xyxy.tolist()


def test_fit_resizes_pixels_and_boxes_alike() -> None:
    made = fit(example(), ImageSettings(short_side=120, long_side=1000))
    assert made.pixels.shape == (120, 160, 3)
    assert made.boxes_xyxy.tolist() == [[16, 8, 56, 48], [100, 60, 140, 108]]
    assert fit(example(), ImageSettings(short_side=120, long_side=80), scale=0.5).pixels.shape == (30, 40, 3)


def test_crop_drops_cuts_and_ignores() -> None:
    pixels = np.zeros((40, 40, 3), dtype=np.uint8)
    boxes = np.array([[0, 0, 10, 10], [0, 0, 40, 40], [30, 30, 40, 40], [12, 12, 20, 20]], dtype=np.float32)
    seen = set()
    for seed in range(40):
        made = crop(
            Example(pixels, boxes, np.zeros(4, dtype=bool), np.arange(4)), (20, 20), 0.5, np.random.default_rng(seed)
        )
        assert made.pixels.shape == (20, 20, 3)
        assert (made.boxes_xyxy >= 0).all()
        assert (made.boxes_xyxy <= 20).all()
        whole = made.boxes_xyxy.tolist().index([0, 0, 20, 20])
        assert made.ignore[whole]  # a quarter of it is left
        seen.add(len(made.boxes_xyxy))
    assert len(seen) > 1
    small = crop(example(), (500, 500), 0.5, np.random.default_rng(0))
    assert small.pixels.shape == (60, 80, 3)
    assert small.ignore.tolist() == [False, True]


@given(st.integers(0, 10_000))
def test_whatever_is_drawn_boxes_stay_on_their_objects(seed: int) -> None:
    settings = AugmentSettings(flip=0.5, flip_vertical=0.5, scale=(0.5, 2.0), crop=64, min_visibility=0.3)
    made = augment([example()], ImageSettings(60, 80), settings, np.random.default_rng(seed))
    assert max(made.pixels.shape[:2]) <= 64
    assert (area(made.boxes_xyxy) >= 1).all()
    for x1, y1, x2, y2 in made.boxes_xyxy:
        inner = made.pixels[int(y1 + 2) : max(0, int(y2 - 2)), int(x1 + 2) : max(0, int(x2 - 2))]
        assert (inner > 200).all()


def test_mosaic_of_photographs_of_one_colour_each() -> None:
    """Each is one object as large as itself: its colour lies in its box, grey everywhere else."""
    colours = [10, 60, 200, 250]
    whole = np.array([[0, 0, 30, 20]], dtype=np.float32)
    examples = [
        Example(np.full((20, 30, 3), colour, dtype=np.uint8), whole, np.array([colour == 200]), np.array([colour]))
        for colour in colours
    ]
    for seed in range(10):
        made = mosaic(examples, 64, 0.3, np.random.default_rng(seed))
        assert made.pixels.shape == (64, 64, 3)
        covered = np.zeros((64, 64), dtype=bool)
        for box, colour, ignore in zip(made.boxes_xyxy.astype(int), colours, made.ignore, strict=True):
            x1, y1, x2, y2 = box
            assert (made.pixels[y1:y2, x1:x2] == colour).all()
            assert ignore == (colour == 200)
            covered[y1:y2, x1:x2] = True
        assert (made.pixels[~covered] == 114).all()
        # They meet in one point, so each touches the next.
        first, second, third, _ = made.boxes_xyxy
        assert (first[2], first[3]) == (second[0], third[1])


@given(st.integers(0, 10_000))
def test_boxes_stay_on_their_objects_in_a_mosaic(seed: int) -> None:
    settings = AugmentSettings(scale=(0.8, 2.0), crop=96, min_visibility=0.3, mosaic=1.0, mosaic_shrink=0.7)
    made = augment([example()] * 4, ImageSettings(60, 80), settings, np.random.default_rng(seed))
    assert made.pixels.shape == (96, 96, 3)
    for x1, y1, x2, y2 in made.boxes_xyxy:
        inner = made.pixels[int(y1 + 2) : max(0, int(y2 - 2)), int(x1 + 2) : max(0, int(x2 - 2))]
        assert (inner > 200).all()


def test_the_same_generator_gives_the_same_variation_and_nothing_asked_changes_nothing() -> None:
    settings = AugmentSettings(scale=(0.5, 2.0), crop=40, color_jitter=0.4)
    images = ImageSettings(60, 80)
    one, two = (augment([example()], images, settings, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one.pixels, two.pixels)
    plain = augment([example()], images, AugmentSettings(flip=0.0), np.random.default_rng(0))
    assert np.array_equal(plain.pixels, example().pixels)
    assert plain.boxes_xyxy == pytest.approx(example().boxes_xyxy)


def test_recolour_changes_brightness_within_bounds() -> None:
    grey = Example(
        np.full((4, 4, 3), 100, dtype=np.uint8),
        np.zeros((0, 4), dtype=np.float32),
        np.zeros(0, dtype=bool),
        np.zeros(0, int),
    )
    means = [recolour(grey, 0.2, np.random.default_rng(seed)).pixels.mean() for seed in range(30)]
    assert 78 <= min(means) < 90
    assert 110 < max(means) <= 122
    assert np.array_equal(recolour(grey, 0.0, np.random.default_rng(0)).pixels, grey.pixels)
