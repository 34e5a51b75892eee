"""From maps to candidates in NumPy: decode, clip, drop, keep the best, refine (paper, section 3.3).

As ``objectness.rpn.selection`` and ``refine_best`` in PyTorch, for maps that came in one piece or in tiles. N cells'
anchors of a level in any order, K the best of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.boxes import clip
from objectness.engines.candidates import Candidates
from objectness.engines.dense import DenseEngine, Geometry, Maps
from objectness.engines.refinement import grid_features

Floats = NDArray[np.floating[Any]]
Places = NDArray[np.int64]

# Level, boxes ``(R, 4)`` and scores ``(R,)`` in; deltas ``(R, 4)`` relative to them and corrected scores out.
Correct = Callable[[int, Floats, Floats], tuple[Floats, Floats]]


def decode(deltas: Floats, anchors_xyxy: Floats, delta_clamp: float) -> Floats:
    """The boxes ``(N, 4)`` that deltas mean (paper, equation 2); tw and th are cut at ``delta_clamp`` first."""
    sizes = anchors_xyxy[:, 2:] - anchors_xyxy[:, :2]
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers that are not finite: see ``usable``
        centres = deltas[:, :2] * sizes + (anchors_xyxy[:, :2] + sizes / 2)
        halves = np.exp(np.minimum(deltas[:, 2:], deltas.dtype.type(delta_clamp))) * sizes / 2
        return np.concatenate([centres - halves, centres + halves], axis=1)


def decode_inside(
    scores: Floats, deltas: Floats, anchors_xyxy: Floats, size_hw: tuple[int, int], geometry: Geometry
) -> tuple[Floats, NDArray[np.bool_]]:
    """Boxes ``(N, 4)`` inside the image, and a mask of the usable ones: finite and not tiny.

    Args:
        scores: ``(N,)``.
        deltas: ``(N, 4)``.
        anchors_xyxy: ``(N, 4)`` in pixels of the image.
        size_hw: (height, width) of the image.
        geometry: Of the network.
    """
    boxes_xyxy = clip(decode(deltas, anchors_xyxy, geometry.delta_clamp), size_hw)
    # Of the deltas, because clipping and clamping would make ordinary boxes of infinite ones.
    finite = np.isfinite(deltas).all(axis=1) & np.isfinite(scores)
    return boxes_xyxy, finite & _large(boxes_xyxy, geometry.min_size)


def highest(scores: Floats, count: int) -> Places:
    """Places of the highest ``count`` scores, best first; equal scores keep the lower place, also where they are cut.

    None may be NaN.
    """
    places = np.arange(len(scores))
    if count < len(scores):
        least = np.partition(scores, len(scores) - count)[len(scores) - count] if count else np.inf
        above, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
        places = np.concatenate([above, equal[: count - len(above)]])
    return places[np.argsort(-scores[places], kind="stable")]


def best_cells(
    scores: Floats,
    deltas: Floats,
    anchors_xyxy: Floats,
    size_hw: tuple[int, int],
    geometry: Geometry,
    count: int | None = None,
) -> Places:
    """Places of the usable boxes of the highest scores, best first, equal scores by place.

    Args:
        scores: ``(N,)`` of a level or of a part of it.
        deltas: ``(N, 4)``.
        anchors_xyxy: ``(N, 4)`` in pixels of the whole image.
        size_hw: (height, width) of the whole image.
        geometry: Of the network.
        count: At most this many; None for as many as enter suppression.
    """
    count = geometry.pre_nms_top_n if count is None else count
    known = np.flatnonzero(~np.isnan(scores))
    # The many low scores need not be decoded, unless one of the best boxes turns out unusable.
    best = known[highest(scores[known], count)]
    for places in (best, known):
        _, usable = decode_inside(scores[places], deltas[places], anchors_xyxy[places], size_hw, geometry)
        if usable.all() or places is known:
            places = places[usable]
            break
    return places[highest(scores[places], count)]


def corrected(
    boxes_xyxy: Floats,
    scores: Floats,
    deltas: Floats,
    new_scores: Floats,
    size_hw: tuple[int, int],
    geometry: Geometry,
) -> tuple[Floats, Floats]:
    """Boxes and scores after correction; a correction that makes a box unusable is not applied.

    Args:
        boxes_xyxy: ``(R, 4)`` of the first stage.
        scores: ``(R,)`` of theirs.
        deltas: ``(R, 4)`` relative to these boxes.
        new_scores: ``(R,)``; NaN where there is none.
        size_hw: (height, width) of the image.
        geometry: Of the network.
    """
    after = clip(decode(deltas, boxes_xyxy, geometry.delta_clamp), size_hw)
    with np.errstate(invalid="ignore"):
        better = _large(after, geometry.min_size) & np.isfinite(new_scores)
    return np.where(better[:, None], after, boxes_xyxy), np.where(better, new_scores, scores)


def refined(
    level: int,
    boxes_xyxy: Floats,
    scores: Floats,
    correct: Correct,
    size_hw: tuple[int, int],
    geometry: Geometry,
    count: int | None = None,
) -> tuple[Floats, Floats]:
    """The boxes and scores of a level, the first ``count`` of them corrected, best first.

    Args:
        level: Of the boxes.
        boxes_xyxy: ``(K, 4)``, best first.
        scores: ``(K,)``.
        correct: Predicts the corrections.
        size_hw: (height, width) of the image.
        geometry: Of a network with a refinement head.
        count: Boxes that are corrected; None for the network's own number.
    """
    assert geometry.refinement is not None
    count = geometry.refinement.boxes if count is None else count
    first = slice(0, count)
    changed = corrected(
        boxes_xyxy[first], scores[first], *correct(level, boxes_xyxy[first], scores[first]), size_hw, geometry
    )
    boxes = np.concatenate([changed[0], boxes_xyxy[count:]])
    scores = np.concatenate([changed[1], scores[count:]])
    order = np.argsort(-scores, kind="stable")
    return boxes[order], scores[order]


def candidates_of_maps(maps: Maps, size_hw: tuple[int, int], engine: DenseEngine) -> Candidates:
    """The candidates of a whole image, as the network's own selection gives them; scores are not calibrated.

    Args:
        maps: Of the whole image.
        size_hw: Its (height, width).
        engine: That gave them.
    """
    geometry = engine.geometry
    boxes_parts, scores_parts = [], []
    for level, (level_scores, level_deltas, level_anchors) in enumerate(
        zip(maps.scores, maps.deltas, maps.anchors_xyxy, strict=True)
    ):
        scores, deltas, anchors = level_scores.reshape(-1), level_deltas.reshape(-1, 4), level_anchors.reshape(-1, 4)
        best = best_cells(scores, deltas, anchors, size_hw, geometry)
        boxes, scores = decode_inside(scores[best], deltas[best], anchors[best], size_hw, geometry)[0], scores[best]
        if geometry.refinement is not None:
            boxes, scores = refined(level, boxes, scores, corrections(maps.features, engine), size_hw, geometry)
        boxes_parts.append(boxes)
        scores_parts.append(scores)
    return joined(boxes_parts, scores_parts)


def corrections(features: Sequence[NDArray[np.float32]], engine: DenseEngine) -> Correct:
    """The corrections that a refinement head predicts from the maps ``(h, w, c)`` of a whole image."""
    geometry = engine.geometry
    own = geometry.refinement
    assert own is not None

    def correct(level: int, boxes_xyxy: Floats, scores: Floats) -> tuple[Floats, Floats]:
        source = max(0, level - own.finer)
        found = grid_features(
            features[source], boxes_xyxy.astype(np.float32), geometry.strides[source], own.grid, own.margin
        )
        return engine.refine(found, scores.astype(np.float32))

    return correct


def joined(boxes_parts: Sequence[Floats], scores_parts: Sequence[Floats]) -> Candidates:
    """The boxes ``(K, 4)`` and scores ``(K,)`` of each level as candidates, finest level first."""
    levels = np.repeat(np.arange(len(scores_parts)), [len(part) for part in scores_parts])
    return Candidates(
        np.concatenate(boxes_parts).astype(np.float32, copy=False),
        np.concatenate(scores_parts).astype(np.float32, copy=False),
        levels.astype(np.int64),
    )


def _large(boxes_xyxy: Floats, min_size: float) -> NDArray[np.bool_]:
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    return np.asarray(((sides >= min_size) & (sides > 0)).all(axis=1))
