"""Scores that mean what they say: of boxes that score 0.8, about 80 % overlap an object at IoU >= 0.5.

The map from raw score to probability is isotonic regression made of a few straight lines, strictly rising, so
that the order of proposals never changes. N proposals, K knots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError

FEWEST = 500  # proposals: fewer say little about how often a score is right
_KNOTS = 12
_GROUPS = 100
_HITS_A_GROUP = 20
_STEEPNESS = 1e-3  # the least slope: equal probabilities are parted by score, too little for anyone to notice
_NEAREST = 1e-6  # between the scores of two knots
_NEGLIGIBLE = 0.002  # of probability
_BINS = 15

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Calibration:
    """A rising map of [0, 1] into [0, 1], straight between knots.

    Attributes:
        scores: K raw scores, rising from 0 to 1.
        probabilities: What each of them means, rising.

    Raises:
        ValueError: not two or more knots that rise from 0 to 1 and stay within [0, 1].
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = all(a < b for values in (self.scores, self.probabilities) for a, b in pairwise(values))
        same = len(self.scores) == len(self.probabilities) >= 2
        if not (same and rising and self.scores[0] == 0 and self.scores[-1] == 1):
            raise ValueError(f"A calibration needs knots that rise, scores from 0 to 1; got {self}.")
        if not 0 <= self.probabilities[0] < self.probabilities[-1] <= 1:
            raise ValueError(f"Probabilities lie in [0, 1]; got {self.probabilities}.")

    def __call__(self, scores: Floats) -> NDArray[np.float32]:
        """Probabilities ``(N,)`` of raw scores ``(N,)``, in their order."""
        raw = scores.astype(np.float32)
        starts, lengths, slopes, lowest = self.pieces()
        probabilities = np.full(len(raw), lowest)
        for start, length, slope in zip(starts, lengths, slopes, strict=True):
            # Each step rises with the score in any rounding, and so does their sum.
            probabilities = probabilities + np.clip(raw - start, np.float32(0), length) * slope
        return np.minimum(probabilities, np.float32(1))

    def pieces(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], np.float32]:
        """Start, length and slope ``(K - 1,)`` of each straight piece in ``float32``, and the lowest probability."""
        scores, probabilities = np.array(self.scores), np.array(self.probabilities)
        slopes = np.diff(probabilities) / np.diff(scores)
        starts, lengths = scores[:-1].astype(np.float32), np.diff(scores).astype(np.float32)
        return starts, lengths, slopes.astype(np.float32), np.float32(probabilities[0])

    def to_json(self) -> dict[str, Any]:
        """Plain values for a model's description."""
        return {"scores": list(self.scores), "probabilities": list(self.probabilities)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        """Read what :meth:`to_json` gave; raises as the class."""
        return cls(tuple(map(float, data["scores"])), tuple(map(float, data["probabilities"])))


@dataclass(frozen=True)
class Reliability:
    """Share of right proposals by score.

    Attributes:
        scores: Mean score of each bin that is not empty, rising.
        hits: The share of each bin's proposals that overlap an object.
        counts: Proposals in each bin.
        ranges: Lowest and highest score of each bin.
    """

    scores: tuple[float, ...]
    hits: tuple[float, ...]
    counts: tuple[int, ...]
    ranges: tuple[tuple[float, float], ...] = ()

    @property
    def error(self) -> float:
        """The expected calibration error: mean distance between score and share, weighted by count."""
        gaps = np.abs(np.array(self.scores) - np.array(self.hits))
        return float(np.average(gaps, weights=self.counts)) if len(gaps) else 0.0


def fit(scores: Floats, hits: NDArray[np.bool_]) -> Calibration:
    """Isotonic regression of hits on scores, cut down to few knots.

    Args:
        scores: ``(N,)`` raw scores in [0, 1].
        hits: ``(N,)`` whether the proposal overlaps an object.

    Raises:
        InputError: too few proposals to say anything, or all of them right, or all wrong.
    """
    if len(scores) < FEWEST or hits.all() or not hits.any():
        raise InputError(
            f"Calibration needs {FEWEST} proposals or more, right ones and wrong ones; the data give {len(scores)}, "
            f"{int(hits.sum())} of them right: calibrate on more photographs with boxes."
        )
    order = np.argsort(scores, kind="stable")
    x, y = scores[order].astype(np.float64), hits[order].astype(np.float64)
    # Equal shares of the right ones and of all: narrow groups where many proposals are, and where they matter.
    place = np.linspace(0, 1, len(x)) + np.cumsum(y) / y.sum()
    count = int(np.clip(y.sum() // _HITS_A_GROUP, 2, _GROUPS))
    edges = np.unique(np.searchsorted(place, np.linspace(0, 2, count + 1)[1:-1]))
    groups = [group for group in np.split(np.arange(len(x)), edges) if len(group)]
    means_x = np.array([x[group].mean() for group in groups])
    means_y = _pool([float(y[group].mean()) for group in groups], [len(group) for group in groups])
    return _through(means_x, means_y)


def reliability(scores: Floats, hits: NDArray[np.bool_], bins: int = _BINS, edges: Floats | None = None) -> Reliability:
    """Share of hits in ranges of score.

    Args:
        scores: ``(N,)``.
        hits: ``(N,)`` whether the proposal overlaps an object.
        bins: Number of equally wide ranges of [0, 1].
        edges: In their place, borders of ranges, ascending; the last range holds its upper border.
    """
    borders = np.linspace(0, 1, bins + 1) if edges is None else edges
    index = np.clip(np.searchsorted(borders, scores, side="right") - 1, 0, len(borders) - 2)
    counts, sums, found = (
        np.bincount(index, weights=weights, minlength=len(borders) - 1)
        for weights in (None, scores.astype(np.float64), hits.astype(np.float64))
    )
    filled = np.flatnonzero(counts)
    return Reliability(
        tuple((sums[filled] / counts[filled]).tolist()),
        tuple((found[filled] / counts[filled]).tolist()),
        tuple(counts[filled].tolist()),
        tuple(zip(borders[filled].tolist(), borders[filled + 1].tolist(), strict=True)),
    )


def _pool(values: list[float], weights: list[int]) -> Floats:
    """Pool adjacent violators: the nearest rising sequence (Ayer and others, 1955)."""
    blocks: list[tuple[float, int, int]] = []  # value, weight, members
    for value, weight in zip(values, weights, strict=True):
        members = 1
        while blocks and blocks[-1][0] >= value:
            before, heavy, more = blocks.pop()
            value = (before * heavy + value * weight) / (heavy + weight)
            weight, members = heavy + weight, members + more
        blocks.append((value, weight, members))
    return np.repeat([value for value, _, _ in blocks], [members for _, _, members in blocks])


def _through(x: Floats, y: Floats) -> Calibration:
    """Straight lines through the points that matter, from 0 on to 1; level stretches are tilted by a hair."""
    apart = np.flatnonzero(np.diff(x, prepend=0.0) > _NEAREST)  # two knots on one score would be a step
    x, y = np.concatenate([[0.0], x[apart]]), np.concatenate([[0.0], y[apart]])
    if x[-1] < 1 - _NEAREST:
        # Beyond the last point the last line goes on: nothing was seen there, and 1 would promise too much.
        slope = (y[-1] - y[-2]) / (x[-1] - x[-2]) if len(x) > 1 else 1.0
        x, y = np.append(x, 1.0), np.append(y, min(1.0, y[-1] + slope * (1 - x[-1])))
    else:
        x[-1] = 1.0
    kept = _simplified(x, y)
    x, y = x[kept], (1 - _STEEPNESS) * y[kept] + _STEEPNESS * x[kept]
    return Calibration(tuple(np.round(x, 7).tolist()), tuple(np.round(y, 12).tolist()))


def _simplified(x: Floats, y: Floats) -> list[int]:
    """The ends, and one after another the point that the lines so far miss by most (Ramer, 1972), up to K."""
    kept = [0, len(x) - 1]
    while len(kept) < _KNOTS:
        misses = np.abs(np.interp(x, x[kept], y[kept]) - y)
        if misses.max() < _NEGLIGIBLE:
            break
        kept = sorted([*kept, int(misses.argmax())])
    return kept
