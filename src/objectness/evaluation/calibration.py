"""Does a score mean what it says: the share of proposals of that score that are about an object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from objectness.evaluation.measurement import Measurement

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Proposals of about the same score.

    Attributes:
        low: Lowest score that belongs here.
        high: Highest score (excluded, but for the last bin).
        count: Proposals.
        score: Their mean score.
        share: The share of them that overlap an object by IoU .5 or more.
    """

    low: float
    high: float
    count: int
    score: float
    share: float


@dataclass(frozen=True)
class Calibration:
    """Score against the share that is about an object.

    Attributes:
        bins: Those that hold proposals, ascending.
        error: Mean distance of score and share over all proposals (expected calibration error); None where
            scores are no probabilities, or there are none.
        left_out: Proposals in ignore regions, which are neither right nor wrong, and those without a score.
    """

    bins: tuple[Bin, ...]
    error: float | None
    left_out: int


def calibration(measured: Measurement, bins: int = BINS) -> Calibration:
    """Sort the proposals that were looked at into bins by score.

    Scores within [0, 1] get bins of equal width, other scores (logits) bins of about equal numbers.
    """
    counted = ~measured.ignored & np.isfinite(measured.scores)
    scores, is_hit = measured.scores[counted].astype(np.float64), measured.is_hit[counted]
    left_out = int(len(measured.scores) - len(scores))
    if not len(scores):
        return Calibration((), None, left_out)
    probabilities = bool(scores.min() >= 0 and scores.max() <= 1)
    edges = (
        np.linspace(0, 1, bins + 1) if probabilities else np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)))
    )
    if len(edges) < 2:
        edges = np.array([scores[0], scores[0]])
    place = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(place, minlength=len(edges) - 1)
    score_sums = np.bincount(place, weights=scores, minlength=len(edges) - 1)
    hits = np.bincount(place, weights=is_hit.astype(np.float64), minlength=len(edges) - 1)
    filled = tuple(
        Bin(float(edges[i]), float(edges[i + 1]), int(n), float(score_sums[i] / n), float(hits[i] / n))
        for i, n in enumerate(counts.tolist())
        if n
    )
    error = sum(part.count * abs(part.score - part.share) for part in filled) / len(scores)
    return Calibration(filled, float(error) if probabilities else None, left_out)
