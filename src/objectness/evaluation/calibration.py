"""Share of proposals that overlap an object, by score: whether scores are probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from objectness.calibration import Reliability, reliability
from objectness.evaluation.measurement import Measurement

BINS = 10


@dataclass(frozen=True)
class ScoreCheck:
    """Scores against the shares of hits.

    Attributes:
        bins: Mean score, share of hits and number of proposals of each bin that holds any, ascending.
        error: Mean distance of score and share over all proposals (expected calibration error); None where
            scores are no probabilities, or there are none.
        left_out: Proposals in ignore regions, which are neither right nor wrong, and those without a score.
    """

    bins: Reliability
    error: float | None
    left_out: int


def check_scores(measured: Measurement, bins: int = BINS) -> ScoreCheck:
    """Sort the measured proposals into bins by score.

    Scores within [0, 1] get bins of equal width, other scores (logits) bins of about equal numbers.
    """
    counted = ~measured.ignored & np.isfinite(measured.scores)
    scores, is_hit = measured.scores[counted].astype(np.float64), measured.is_hit[counted]
    left_out = int(len(measured.scores) - len(scores))
    if not len(scores):
        return ScoreCheck(Reliability((), (), ()), None, left_out)
    if scores.min() >= 0 and scores.max() <= 1:
        found = reliability(scores, is_hit, bins)
        return ScoreCheck(found, found.error, left_out)
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)))
    if len(edges) < 2:
        edges = np.array([scores[0], scores[0]])
    return ScoreCheck(reliability(scores, is_hit, edges=edges), None, left_out)
