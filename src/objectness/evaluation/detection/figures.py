"""Every figure of one method with its bootstrap interval over the images.

I images, K classes, B draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError
from objectness.evaluation.bootstrap import Sampled, drawn_images
from objectness.evaluation.detection.matches import ALL, MOST, Matches
from objectness.evaluation.detection.precision import Rule
from objectness.evaluation.detection.scores import MOST_DETECTIONS, Scorer, Scores, over_classes
from objectness.evaluation.groups import SIZES

Key = tuple[str, ...]
Figures = Mapping[Key, Sampled]

AP, AP50, AP75, AR = "AP", "AP50", "AP75", "AR"
VOC_2007, VOC_2010 = "VOC 2007", "VOC 2010"
CLASS, SIZE = "class", "size"
DRAWS_AT_ONCE = 250
_LEVEL_75 = 5


def figures(
    matches: Matches,
    names: Sequence[str],
    draws: int,
    seed: int,
    on_draws: Callable[[], None] = lambda: None,
) -> Figures:
    """Figures of a matching, each drawn on the same images as those of every other method.

    Average precision is no mean over images, so it is computed anew in every draw.

    Args:
        matches: The outcomes.
        names: A name for each class.
        draws: B.
        seed: The same seed and number of images give the same draws.
        on_draws: Called after each ``DRAWS_AT_ONCE`` draws (for progress).

    Returns:
        Key -> one figure: ("AP",), ("AP50",), ("AP75",), ("AP", "size", "small"), ("AR", "100"),
        ("AR", "size", "small"), ("VOC 2007",), ("VOC 2010",), ("AP", "class", name), ("AP50", "class", name).

    Raises:
        InputError: no draws.
    """
    if draws < 1:
        raise InputError(f"The bootstrap needs at least 1 draw, not {draws}.")
    scorer = Scorer(matches)
    images = len(matches.flat.image_ids)
    values = _columns(scorer(np.ones((1, images))), names)
    drawn = {key: np.full(draws, np.nan) for key in values}
    for start, weights in drawn_images(images, draws, seed, DRAWS_AT_ONCE):
        for key, column in _columns(scorer(weights), names).items():
            drawn[key][start : start + len(weights)] = column
        on_draws()
    counted = _counted(scorer.objects, names)
    return {
        key: Sampled(value, drawn[key][:, None], np.array([counted.get(key, counted[()])]))
        for key, value in values.items()
    }


def _columns(scores: Scores, names: Sequence[str]) -> dict[Key, NDArray[np.float64]]:
    """Every figure ``(B,)``."""
    whole = scores.ap[ALL]
    found: dict[Key, NDArray[np.float64]] = {
        (AP,): over_classes(whole),
        (AP50,): over_classes(whole[:, 0]),
        (AP75,): over_classes(whole[:, _LEVEL_75]),
        **{(AP, SIZE, size): over_classes(scores.ap[size]) for size in SIZES},
        **{(AR, str(count)): over_classes(scores.recall[ALL][count]) for count in MOST_DETECTIONS},
        **{(AR, SIZE, size): over_classes(scores.recall[size][MOST]) for size in SIZES},
        (VOC_2007,): over_classes(scores.voc[Rule.VOC_2007]),
        (VOC_2010,): over_classes(scores.voc[Rule.VOC_2010]),
    }
    for label, name in enumerate(names):
        found[(AP, CLASS, name)] = whole[:, :, label].mean(axis=1)
        found[(AP50, CLASS, name)] = whole[:, 0, label]
    return found


def _counted(objects: Mapping[str, NDArray[np.float64]], names: Sequence[str]) -> dict[Key, int]:
    """Images that hold an object to find, of any class under the empty key."""
    there = objects[ALL] > 0
    counts: dict[Key, int] = {(): int(there.any(axis=1).sum())}
    for label, name in enumerate(names):
        counts[(AP, CLASS, name)] = counts[(AP50, CLASS, name)] = int(there[:, label].sum())
    for size in SIZES:
        counts[(AP, SIZE, size)] = counts[(AR, SIZE, size)] = int((objects[size] > 0).any(axis=1).sum())
    return counts
