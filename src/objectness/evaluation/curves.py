"""Curves of a comparison as values; the report paints them as SVG and PNG."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from objectness.evaluation import per_object
from objectness.evaluation.calibration import check_scores
from objectness.evaluation.results import Results, sampled_means

_POINTS = 40


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        name: In the legend.
        x: Ascending.
        y: As many.
        low: Lower edge of its band; empty for no band.
        high: Upper edge.
        colour: Number of its colour; lines of one method share it.
        dashed: Drawn with gaps.
        dots: A dot at each point.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    colour: int = 0
    dashed: bool = False
    dots: bool = False


@dataclass(frozen=True)
class Chart:
    """Curves with common axes.

    Attributes:
        key: Short name for files.
        title: For people.
        x_label: What runs to the right.
        y_label: What runs upwards.
        lines: The curves.
        log_x: Whether x is on a logarithmic scale.
        x_range: From, to.
        y_range: From, to.
    """

    key: str
    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    log_x: bool
    x_range: tuple[float, float]
    y_range: tuple[float, float]


def charts(results: Results) -> list[Chart]:
    """Every chart of a comparison; none where there is no object to find."""
    if not results.methods[0].measured.objects:
        return []
    found = [*_against_number(results), _against_iou(results)]
    trust = _trust(results)
    return [*found, trust] if trust.lines else found


def _against_number(results: Results) -> list[Chart]:
    """AR, and recall at .5 and .7, against the number of proposals."""
    most = max(results.ks)
    grid = np.unique(np.geomspace(1, most, _POINTS).round().astype(np.int64)) if most > 1 else np.array([1])
    average, single = [], []
    for colour, result in enumerate(results.methods):
        measured = result.measured
        everything = np.ones(measured.objects, dtype=bool)
        parts = [
            (("AR",), per_object.ar(measured.ranks, grid.tolist()), everything),
            *((("R", f"{iou}"), per_object.recall(measured, iou, grid.tolist()), everything) for iou in (0.5, 0.7)),
        ]
        sampled = sampled_means(measured, parts, results.options)
        x = tuple(float(k) for k in grid)
        for part, (key, _, _) in enumerate(parts):
            estimates = sampled[key].estimates()
            y = tuple(estimate.value or 0.0 for estimate in estimates)
            banded = part == 0 and all(estimate.low is not None for estimate in estimates)
            low = tuple(estimate.low or 0.0 for estimate in estimates) if banded else ()
            high = tuple(estimate.high or 0.0 for estimate in estimates) if banded else ()
            if part == 0:
                average.append(Line(result.name, x, y, low, high, colour))
            else:
                single.append(Line(f"{result.name}, IoU {key[1]}", x, y, colour=colour, dashed=part == 2))
    axis, x_range = "proposals an image", (1.0, float(max(most, 2)))
    return [
        Chart("ar-by-number", "Average recall (COCO) against the number of proposals", axis, "AR",
              tuple(average), True, x_range, (0, _ceiling(average))),
        Chart("recall-by-number", "Recall against the number of proposals", axis, "recall",
              tuple(single), True, x_range, (0, 1)),
    ]  # fmt: skip


def _against_iou(results: Results) -> Chart:
    """Recall against IoU, each object with a proposal of its own: twice the area right of .5 is Hosang's AR."""
    levels = np.linspace(0, 1, 101)
    row = results.ks.index(results.at)
    lines = []
    for colour, result in enumerate(results.methods):
        overlap = np.sort(result.measured.one_to_one_iou[row])
        reached = len(overlap) - np.searchsorted(overlap, levels - 1e-12)  # from IoU .5 on, .5 is enough
        lines.append(Line(result.name, tuple(levels.tolist()), tuple((reached / len(overlap)).tolist()), colour=colour))
    return Chart(
        "recall-by-iou", f"Recall against IoU, best {results.at} proposals an image", "IoU", "recall",
        tuple(lines), False, (0, 1), (0, 1),
    )  # fmt: skip


def _trust(results: Results) -> Chart:
    """Share of hits against score; scores on the diagonal are probabilities."""
    lines = []
    for colour, result in enumerate(results.methods):
        bins = check_scores(result.measured).bins
        if len(bins.counts) > 1:
            lines.append(Line(result.name, bins.scores, bins.hits, colour=colour, dots=True))
    x_values = [x for line in lines for x in line.x]
    probabilities = not x_values or (min(x_values) >= 0 and max(x_values) <= 1)
    x_range = (0.0, 1.0) if probabilities else (min(x_values), max(x_values))
    if lines and probabilities:
        lines.append(Line("calibrated", (0, 1), (0, 1), colour=-1, dashed=True))
    return Chart(
        "calibration", "What a score means", "mean score", "share about an object (IoU ≥ .5)",
        tuple(lines), False, x_range, (0, 1),
    )  # fmt: skip


def _ceiling(lines: list[Line]) -> float:
    """The next round number above every curve and band, at most 1."""
    top = max(max((*line.y, *line.high)) for line in lines)
    return next(limit for limit in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0) if top <= limit + 1e-12)
