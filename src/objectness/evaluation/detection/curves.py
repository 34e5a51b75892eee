"""Curves of precision against recall as values; the report paints them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from objectness.evaluation.curves import Chart, Line
from objectness.evaluation.detection.matches import ALL
from objectness.evaluation.detection.precision import RECALLS, Rule, curve
from objectness.evaluation.detection.results import NamedResult, NamedResults
from objectness.evaluation.measurement import IOU_THRESHOLDS

_IN_A_CHART = 8  # as many as there are colours
_CHARTS = 3
_STEPS = RECALLS[Rule.COCO]


def charts(results: NamedResults) -> list[Chart]:
    """The mean curve of each method, then the curves of the classes; none where there is no object to find."""
    classes = results.objects_of_classes()
    if not classes:
        return []
    labels = [label for label, _, _ in classes]
    mean = []
    for colour, result in enumerate(results.methods):
        for level in (0, 5):
            values = np.mean([precision_at(result, label, level) for label in labels], axis=0)
            name = f"{result.name}, IoU {IOU_THRESHOLDS[level]:.2g}"
            mean.append(_line(name, values, colour, dashed=level > 0))
    found = [_chart("precision-by-recall", "Precision against recall, mean over classes", mean)]
    parts = [classes[start : start + _IN_A_CHART] for start in range(0, len(classes), _IN_A_CHART)]
    for index, result in enumerate(results.methods):
        title = "Precision against recall at IoU .5" + (f": {result.name}" if len(results.methods) > 1 else "")
        for number, part in enumerate(parts[:_CHARTS], start=1):
            lines = [
                _line(f"{name} ({count})", precision_at(result, label, 0), colour)
                for colour, (label, name, count) in enumerate(part)
            ]
            key = f"classes-{index + 1}-{number}" if len(results.methods) > 1 else f"classes-{number}"
            found.append(_chart(key, title, lines))
    return found


def precision_at(result: NamedResult, label: int, level: int) -> NDArray[np.float64]:
    """COCO's precision of a class at recall 0, .01 ... 1 ``(101,)``, at one of the ten IoU thresholds."""
    matches = result.matches
    members = matches.order[matches.starts[label] : matches.starts[label + 1]]
    due = np.array([float((matches.flat.object_label[matches.counted[ALL]] == label).sum())])
    recall, precision = (part[0] for part in curve(matches.coco[ALL][level, members], np.ones((1, len(members))), due))
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return best[np.searchsorted(recall, _STEPS, "left")]


def _line(name: str, values: NDArray[np.float64], colour: int, dashed: bool = False) -> Line:
    return Line(name, tuple(_STEPS.tolist()), tuple(values.tolist()), colour=colour, dashed=dashed)


def _chart(key: str, title: str, lines: list[Line]) -> Chart:
    return Chart(key, title, "recall", "precision", tuple(lines), False, (0, 1), (0, 1))
