"""A small network in NumPy: two levels, two anchors of a cell, a second stage; it gives many equal scores."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from objectness.engines import ModelDescription
from objectness.engines.dense import Geometry, Maps, Refinement

STRIDES = (4, 8)
ANCHORS_XYXY = np.array([[-5, -9, 9, 13], [-20, -2, 24, 6]], np.float32)


class SmallNetwork:
    """Cells are means of pixels, then sums of 3 x 3 cells, with zeros beyond the image: a cell sees 16 pixels off."""

    description = ModelDescription("small", short_side=40, long_side=70, nms_iou=0.6, top=30)

    def __init__(self, *, refinement: bool = True, reach: int | None = 16) -> None:
        own = Refinement(grid=3, margin=1.2, finer=1, boxes=12) if refinement else None
        self.geometry = Geometry(STRIDES, reach, 40, 3.0, 4.0, own, None)

    def maps(self, pixels: NDArray[np.uint8]) -> Maps:
        scores, deltas, anchors, features = [], [], [], []
        for level, stride in enumerate(STRIDES):
            seen = _seen(pixels, stride)
            height, width = seen.shape[:2]
            k = len(ANCHORS_XYXY)
            # Only few different scores, so that ties must be broken as on the whole image.
            score = (np.round(seen[:, :, :k] * 12) / 12).astype(np.float32)
            delta = np.stack([seen[:, :, channel] - 0.4 for channel in (0, 1, 2, 0)], axis=-1)
            deltas.append(np.repeat(delta[:, :, None], k, axis=2).astype(np.float32))
            scores.append(score)
            y, x = np.mgrid[:height, :width] * stride
            corner = np.stack([x, y, x, y], axis=-1)[:, :, None]
            anchors.append((corner + ANCHORS_XYXY * (1 + level)).astype(np.float32))
            if self.geometry.refinement is not None and level == 0:
                features.append(seen.astype(np.float32))
        return Maps(scores, deltas, anchors, features)

    def rest(self) -> None:
        pass

    def refine(
        self, features: NDArray[np.float32], scores: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        means = features.mean(axis=(1, 2))
        deltas = np.stack([means - 0.4, features[:, 0, 0] - 0.4, 0.1 * means, features[:, -1, 2] * 0.1], axis=1)
        return deltas.astype(np.float32), (0.5 * scores + 0.5 * means).astype(np.float32)


def _seen(pixels: NDArray[np.uint8], stride: int) -> NDArray[np.float64]:
    height, width = (-(-side // stride) for side in pixels.shape[:2])
    padded = np.zeros((height * stride, width * stride, 3), np.int64)  # whole numbers, whose sums are exact
    padded[: pixels.shape[0], : pixels.shape[1]] = pixels
    cells = np.zeros((height + 2, width + 2, 3), np.int64)
    cells[1:-1, 1:-1] = padded.reshape(height, stride, width, stride, 3).sum(axis=(1, 3))
    parts = [cells[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.sum(parts, axis=0) / (9 * 255 * stride**2)


@pytest.fixture
def small_network() -> type[SmallNetwork]:
    return SmallNetwork


@pytest.fixture
def photograph() -> NDArray[np.uint8]:
    """Smooth shapes of 171 x 233 pixels, as noise would make all means alike."""
    y, x = np.mgrid[:171, :233]
    waves = [np.sin(x / 17 + y / 29), np.cos(x / 11 - y / 23), np.sin((x + 2 * y) / 31)]
    return ((np.stack(waves, axis=-1) + 1) * 127).astype(np.uint8)
