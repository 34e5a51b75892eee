"""Tables of named boxes as values, for the console, the page, CSV and JSON."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from objectness.evaluation.bootstrap import Estimate
from objectness.evaluation.detection.figures import AP, AP50, AP75, AR, CLASS, SIZE, VOC_2007, VOC_2010, Key
from objectness.evaluation.detection.mistakes import FATES, NO_PROPOSAL
from objectness.evaluation.detection.results import NamedResult, NamedResults
from objectness.evaluation.detection.scores import MOST_DETECTIONS
from objectness.evaluation.groups import SIZES
from objectness.evaluation.tables import METHOD, Cell, Table, verdict

EVERY_CLASS = "all"
NOTHING = "background"
_CONFUSED = 20


def tables(results: NamedResults) -> list[Table]:
    """Every table; one that would be empty is left out."""
    found = [precision(results), differences(results), recall(results), bounds(results), by_class(results)]
    found += [points(results), fates(results), confused(results)]
    return [table for table in found if table.rows]


def precision(results: NamedResults) -> Table:
    """Mean average precision by COCO's and VOC's rules."""
    keys: list[Key] = [(AP,), (AP50,), (AP75,), *((AP, SIZE, size) for size in SIZES), (VOC_2007,), (VOC_2010,)]
    return Table(
        "average-precision",
        "Mean average precision",
        "COCO: precision at recall 0, .01 ... 1, mean over IoU .50, .55 … .95 and over the classes that have an "
        "object; small is up to 32² annotated pixels, large from 96². VOC: at IoU .5, mean over eleven recalls (2007) "
        "or area under the curve (2010), difficult objects left out. Brackets: 95 % of the bootstrap over images.",
        (METHOD, AP, AP50, AP75, *SIZES, VOC_2007, VOC_2010),
        tuple((result.name, *(_estimate(result, key) for key in keys)) for result in results.methods),
        labels=1,
    )


def recall(results: NamedResults) -> Table:
    """Average recall of the classes."""
    keys: list[Key] = [(AR, str(count)) for count in MOST_DETECTIONS] + [(AR, SIZE, size) for size in SIZES]
    return Table(
        "average-recall-by-class",
        "Average recall, class by class",
        "COCO: the share of the objects that the best 1, 10 and 100 detections of their class in an image find, mean "
        f"over IoU and classes; the sizes with {MOST_DETECTIONS[-1]}.",
        (METHOD, *(f"AR@{count}" for count in MOST_DETECTIONS), *SIZES),
        tuple((result.name, *(_estimate(result, key) for key in keys)) for result in results.methods),
        labels=1,
    )


def differences(results: NamedResults) -> Table:
    """Every pair of methods, on the same images."""
    rows: list[tuple[Cell, ...]] = []
    for first, second in combinations(results.methods, 2):
        parts = [first.figures[key].minus(second.figures[key])[0] for key in ((AP,), (AP50,), (AP75,))]
        rows.append((f"{first.name} − {second.name}", *parts, verdict(parts[0])))
    return Table(
        "differences",
        "Differences, paired by image",
        "The first method less the second. Both are drawn on the same images, so the interval is the difference's "
        "own: where it holds 0, these images do not tell which is better.",
        ("methods", AP, AP50, AP75, "AP is"),
        tuple(rows),
        labels=1,
    )


def by_class(results: NamedResults) -> Table:
    """Average precision of each class."""
    rows = [
        (result.name, name, count, _estimate(result, (AP, CLASS, name)), _estimate(result, (AP50, CLASS, name)))
        for result in results.methods
        for _, name, count in results.objects_of_classes()
    ]
    return Table(
        "by-class",
        "Average precision by class",
        "COCO; classes without an object to find have none.",
        (METHOD, CLASS, "objects", AP, AP50),
        tuple(rows),
        labels=3,
    )


def bounds(results: NamedResults) -> Table:
    """What the proposals allow."""
    rows: list[tuple[Cell, ...]] = []
    for result in results.methods:
        if result.bound is not None:
            for key, most in ((AP, result.bound.ap), (AP50, result.bound.ap50), (AP75, result.bound.ap75)):
                reached = result.figures[(key,)].estimates()[0].value
                lost = None if most is None or reached is None else most - reached
                rows.append((result.name, key, reached, most, lost))
    return Table(
        "upper-bound",
        "What the proposals allow",
        "The average precision of a classifier without a fault on these proposals, boxes unmoved: every object that "
        "some proposal overlaps enough is found, and nothing else. The rest is lost by the classifier.",
        (METHOD, "figure", "reached", "upper bound", "lost behind the proposals"),
        tuple(rows),
    )


def points(results: NamedResults) -> Table:
    """The score from which on detections count in the tables below."""
    return Table(
        "score",
        "Score from which on detections count below",
        "Where it was not given, the score whose F1 is highest, all classes together, IoU .5.",
        (METHOD, "score", "precision", "recall", "F1"),
        tuple(
            (result.name, point.score, point.precision, point.recall, point.f1)
            for result in results.methods
            for point in [result.mistakes.point]
        ),
        labels=1,
    )


def fates(results: NamedResults) -> Table:
    """Where objects are lost."""
    rows: list[tuple[Cell, ...]] = []
    for result in results.methods:
        flat = result.matches.flat
        groups = [(EVERY_CLASS, results.objects, np.ones(len(flat.object_label), bool))]
        groups += [(name, count, flat.object_label == label) for label, name, count in results.objects_of_classes()]
        for name, count, mask in groups if results.objects else ():
            own = result.mistakes.fate[mask]
            rows.append((result.name, name, count, *(int((own == code).sum()) for code in range(len(FATES)))))
    known = any(result.mistakes.has_proposals for result in results.methods)
    words = FATES if known else (*FATES[:NO_PROPOSAL], "no box", *FATES[NO_PROPOSAL + 1 :])
    missed = "no proposal" if known else "no detection of any class or score"
    return Table(
        "lost",
        "Where objects are lost",
        "At IoU .5, each object once. Wrong class: a detection of another class overlaps it. Below the score: one of "
        f"its class does, with a lower score. {words[NO_PROPOSAL].capitalize()}: {missed} overlaps it. Suppressed: "
        "the rest, where a box was there and nothing came of it, or one box stands for two objects.",
        (METHOD, CLASS, "objects", *words),
        tuple(rows),
        labels=3,
    )


def confused(results: NamedResults) -> Table:
    """The pairs of classes that are confused most often."""
    rows: list[tuple[Cell, ...]] = []
    names = (*results.class_names, NOTHING)
    for result in results.methods:
        counts = result.mistakes.confusion.copy()
        np.fill_diagonal(counts, 0)
        order = np.argsort(-counts, axis=None, kind="stable")[:_CONFUSED]
        pairs = zip(*np.unravel_index(order, counts.shape), strict=True)
        rows += [(result.name, names[i], names[j], int(counts[i, j])) for i, j in pairs if counts[i, j]]
    return Table(
        "confused",
        "Most frequent mistakes",
        f"At IoU .5. An object of the class {NOTHING} is a detection where nothing is; named {NOTHING} is an object "
        "without a detection.",
        (METHOD, "object", "named", "times"),
        tuple(rows),
        labels=3,
    )


def _estimate(result: NamedResult, key: Key) -> Estimate:
    return result.figures[key].estimates()[0]
