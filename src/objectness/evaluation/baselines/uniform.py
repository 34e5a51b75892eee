"""Boxes drawn at random: the floor that every method must clear."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from objectness import boxes
from objectness.evaluation.baselines.ranked import by_rank
from objectness.proposals import Proposals

_SMALLEST_SIDE = 16.0
_STEEPEST = 3.0  # height : width lies between 1 : 3 and 3 : 1


def uniform(image: NDArray[np.uint8], top: int, seed: int) -> Proposals:
    """Boxes whose centre, side and logarithm of the aspect ratio are uniform, clipped to the image.

    The side (root of the area) lies between 16 px, or a quarter of the short side where that is less, and the
    side of a square as large as the image. Hosang et al.'s "Uniform" draws the same three, from the ranges of
    the training set; here nothing is known of the data. The draw depends on the seed and the pixels alone.

    Args:
        image: ``uint8 (H, W, 3)``.
        top: Boxes to draw.
        seed: Of the draw.
    """
    height, width = image.shape[:2]
    generator = np.random.default_rng((seed, height, width, zlib.crc32(image.tobytes())))
    centre = generator.uniform((0, 0), (width, height), (top, 2))
    side = generator.uniform(min(_SMALLEST_SIDE, min(height, width) / 4), np.sqrt(height * width), top)
    stretch = np.exp(generator.uniform(-np.log(_STEEPEST), np.log(_STEEPEST), top) / 2)
    half = np.stack([side / stretch, side * stretch], axis=1) / 2
    return by_rank(boxes.clip(np.concatenate([centre - half, centre + half], axis=1), (height, width)), (height, width))
