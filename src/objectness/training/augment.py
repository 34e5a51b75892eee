"""Variations of a training photograph: pure functions of a photograph, its boxes and a random generator.

N boxes. Pixels are RGB ``uint8 (H, W, 3)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from objectness.boxes import area, clip
from objectness.images import fit_size_hw, resize
from objectness.rpn.settings import ImageSettings
from objectness.training.settings import AugmentSettings

_MOSAIC_CENTRE = (0.35, 0.65)  # of the side: no quarter is so thin that it shows nothing
PADDING_GREY = 114  # of batches and mosaics, near the mean of photographs


@dataclass(frozen=True, eq=False)
class Example:
    """A photograph as the network will see it.

    Attributes:
        pixels: ``uint8 (H, W, 3)``.
        boxes_xyxy: ``float32 (N, 4)`` in its pixels.
        ignore: ``bool (N,)``.
        class_ids: ``int64 (N,)``.
        proposals_xyxy: ``float32 (P, 4)`` boxes to be classified, where they come with the photograph.
    """

    pixels: NDArray[np.uint8]
    boxes_xyxy: NDArray[np.float32]
    ignore: NDArray[np.bool_]
    class_ids: NDArray[np.int64]
    proposals_xyxy: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), dtype=np.float32))


def fit(example: Example, images: ImageSettings, scale: float = 1.0) -> Example:
    """Resize to the network's image size (times ``scale``); the boxes go along."""
    height, width = example.pixels.shape[:2]
    target_hw = fit_size_hw((height, width), round(images.short_side * scale), round(images.long_side * scale))
    ratio = np.array([target_hw[1] / width, target_hw[0] / height] * 2, dtype=np.float32)
    return replace(
        example,
        pixels=resize(example.pixels, target_hw),
        boxes_xyxy=example.boxes_xyxy * ratio,
        proposals_xyxy=example.proposals_xyxy * ratio,
    )


def augment(
    examples: Sequence[Example], images: ImageSettings, settings: AugmentSettings, generator: np.random.Generator
) -> Example:
    """One random variation, resized to what the network sees: of a single photograph, or of four a mosaic."""
    if len(examples) == 1:
        example = fit(examples[0], images, _scale(settings, generator))
        if settings.crop:
            example = crop(example, (settings.crop, settings.crop), settings.min_visibility, generator)
    else:
        fitted = [fit(one, images, settings.mosaic_shrink * _scale(settings, generator)) for one in examples]
        example = mosaic(fitted, settings.crop, settings.min_visibility, generator)
    if generator.random() < settings.flip:
        example = mirror(example)
    if generator.random() < settings.flip_vertical:
        example = mirror(example, vertical=True)
    if settings.color_jitter:
        example = recolour(example, settings.color_jitter, generator)
    return example


def mosaic(examples: Sequence[Example], side: int, min_visibility: float, generator: np.random.Generator) -> Example:
    """Four photographs around a random point of a square; each is cut to its quarter, or stays smaller.

    What no photograph covers is grey, as the padding of a batch.
    """
    x, y = (int(side * generator.uniform(*_MOSAIC_CENTRE)) for _ in range(2))
    pixels = np.full((side, side, 3), PADDING_GREY, dtype=np.uint8)
    boxes, proposals, cuts = [], [], []
    for index, example in enumerate(examples):
        right, below = index % 2 == 1, index >= 2
        room_hw = (side - y if below else y, side - x if right else x)
        cut = crop(example, room_hw, min_visibility, generator)
        height, width = cut.pixels.shape[:2]
        left, top = x if right else x - width, y if below else y - height
        pixels[top : top + height, left : left + width] = cut.pixels
        shift = np.array([left, top, left, top], dtype=np.float32)
        boxes.append(cut.boxes_xyxy + shift)
        proposals.append(cut.proposals_xyxy + shift)
        cuts.append(cut)
    return Example(
        pixels,
        np.concatenate(boxes),
        np.concatenate([cut.ignore for cut in cuts]),
        np.concatenate([cut.class_ids for cut in cuts]),
        np.concatenate(proposals),
    )


def mirror(example: Example, vertical: bool = False) -> Example:
    """The mirror image: left and right change places (or top and bottom)."""
    axis = 0 if vertical else 1
    low, high = (1, 3) if vertical else (0, 2)
    length = example.pixels.shape[axis]

    def mirrored(boxes_xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        boxes = boxes_xyxy.copy()
        boxes[:, low], boxes[:, high] = length - boxes_xyxy[:, high], length - boxes_xyxy[:, low]
        return boxes

    return replace(
        example,
        pixels=np.ascontiguousarray(np.flip(example.pixels, axis)),
        boxes_xyxy=mirrored(example.boxes_xyxy),
        proposals_xyxy=mirrored(example.proposals_xyxy),
    )


def crop(example: Example, most_hw: tuple[int, int], min_visibility: float, generator: np.random.Generator) -> Example:
    """A random window of at most (height, width); a smaller photograph stays smaller, and the batch pads it.

    Boxes are cut at the window; those thinner than a pixel then are dropped, and those of which less than
    ``min_visibility`` is left become ignore regions: neither object nor background. Proposals are cut alike, and
    those that are left thinner than a pixel are dropped.
    """
    height, width = example.pixels.shape[:2]
    top = int(generator.integers(0, max(0, height - most_hw[0]) + 1))
    left = int(generator.integers(0, max(0, width - most_hw[1]) + 1))
    pixels = example.pixels[top : top + most_hw[0], left : left + most_hw[1]]
    shift = np.array([left, top, left, top], dtype=np.float32)
    boxes = clip(example.boxes_xyxy - shift, pixels.shape[:2])
    left_over = area(boxes) / np.maximum(area(example.boxes_xyxy), 1e-6)
    seen = _is_seen(boxes)
    ignore = example.ignore | (left_over < min_visibility)
    proposals = clip(example.proposals_xyxy - shift, pixels.shape[:2])
    return Example(
        pixels,
        boxes[seen].astype(np.float32),
        ignore[seen],
        example.class_ids[seen],
        proposals[_is_seen(proposals)].astype(np.float32),
    )


def recolour(example: Example, strength: float, generator: np.random.Generator) -> Example:
    """Brightness, contrast and saturation times a factor of up to 1 +- ``strength`` each."""
    picture = Image.fromarray(example.pixels)
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhancer(picture).enhance(float(generator.uniform(1 - strength, 1 + strength)))
    return replace(example, pixels=np.asarray(picture))


def _is_seen(boxes_xyxy: NDArray[np.float32]) -> NDArray[np.bool_]:
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    return (sides[:, 0] >= 1) & (sides[:, 1] >= 1)


def _scale(settings: AugmentSettings, generator: np.random.Generator) -> float:
    low, high = settings.scale
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))
