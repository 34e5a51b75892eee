"""Tables of a comparison as values, for the console, the page, CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from objectness.evaluation import per_object
from objectness.evaluation.bootstrap import Estimate
from objectness.evaluation.calibration import check_scores
from objectness.evaluation.measurement import SIZE
from objectness.evaluation.proposals_needed import budget
from objectness.evaluation.results import RECALL_IOUS, Results

Cell = str | int | float | Estimate | None

BUDGET_IOUS = (0.5, 0.7)
METHOD = "method"


@dataclass(frozen=True)
class Table:
    """Rows and columns of figures.

    Attributes:
        key: Short name for files and programs.
        title: For people.
        note: What the figures mean.
        columns: Their names.
        rows: A cell for each column; None is "nothing to say".
        labels: How many columns from the left say what the row is.
    """

    key: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    labels: int = 2

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"Table {self.key}: a row of {len(row)} cells for {len(self.columns)} columns.")

    def to_json(self) -> dict[str, Any]:
        """Plain values; an estimate is ``{"value", "low", "high"}``."""
        return {
            "title": self.title,
            "note": self.note,
            "columns": list(self.columns),
            "rows": [[vars(cell) if isinstance(cell, Estimate) else cell for cell in row] for row in self.rows],
        }


def tables(results: Results) -> list[Table]:
    """Every table of a comparison; one that would be empty is left out."""
    found = [time(results), average_recall(results), differences(results), definitions(results), budgets(results)]
    found += [grouped(results, question) for question in results.members]
    found.append(calibrations(results))
    return [table for table in found if table.rows]


def average_recall(results: Results) -> Table:
    """AR@k as COCO has it, over all, by size, and recall at single overlaps."""
    keys = [("AR",), *(("AR", SIZE, size) for size in results.members[SIZE])]
    keys += [("R", f"{iou:.2f}") for iou in RECALL_IOUS]
    return Table(
        "average-recall",
        "Average recall",
        "COCO: the share of the objects that the best k proposals of each image find, averaged over IoU .50, .55 … "
        ".95; small is up to 32² annotated pixels, large from 96². R@ is the recall at one IoU. "
        "Brackets: 95 % of the bootstrap over images.",
        (METHOD, "k", "AR", *results.members[SIZE], *(f"R@{iou}".replace("0.", ".") for iou in RECALL_IOUS)),
        _by_k(results, lambda index: [results.figures[index][key].estimates() for key in keys]),
    )


def definitions(results: Results) -> Table:
    """All figures that papers call AR, side by side."""

    def row(index: int) -> list[Sequence[Cell]]:
        figures = results.figures[index]
        keys = ("AR", "AR Hosang", "AUC", "ABO")
        return [*(figures[(key,)].estimates() for key in keys), per_object.mabo(results.methods[index].measured)]

    return Table(
        "definitions",
        "What others call AR",
        "AR COCO: mean recall at IoU .50:.05:.95, proposals taken by score. AR Hosang: 2 x the integral of recall "
        "over IoU .5 to 1, each object with a proposal of its own, largest overlaps first. AUC 0–1: the integral of "
        "the same recall over IoU 0 to 1. ABO: mean overlap with the closest proposal, which several objects may "
        "share. MABO: mean of the classes' ABO. They cannot be compared with each other.",
        (METHOD, "k", "AR COCO", "AR Hosang", "AUC 0–1", "ABO", "MABO"),
        _by_k(results, row),
    )


def differences(results: Results) -> Table:
    """Every pair of methods, on the same images."""
    rows: list[tuple[Cell, ...]] = []
    for first, second in combinations(range(len(results.methods)), 2):
        parts = [results.figures[first][key].minus(results.figures[second][key]) for key in (("AR",), ("R", "0.50"))]
        name = f"{results.methods[first].name} − {results.methods[second].name}"
        rows += [(name, k, ar, recall, verdict(ar)) for k, ar, recall in zip(results.ks, *parts, strict=True)]
    return Table(
        "differences",
        "Differences, paired by image",
        "The first method less the second. Both are drawn on the same images, so the interval is the difference's "
        "own: where it holds 0, these images do not tell which is better.",
        ("methods", "k", "AR", "R@.5", "AR is"),
        tuple(rows),
    )


def verdict(difference: Estimate) -> str:
    """Whether the first of two figures is higher, by the interval of their difference."""
    if difference.low is None or difference.high is None:
        return "–"
    return "higher" if difference.low > 0 else "lower" if difference.high < 0 else "not told apart"


def budgets(results: Results) -> Table:
    """Number of proposals for a given recall."""
    rows: list[tuple[Cell, ...]] = []
    for result in results.methods:
        for iou in BUDGET_IOUS:
            for recall in results.options.recalls:
                cost = budget(result.measured, recall, iou)
                rows.append((result.name, iou, recall, cost.per_image, cost.score, cost.per_image_at_score))
    return Table(
        "budget",
        "How many proposals for a recall",
        f"Either the best k of each image, or all that score at least the threshold (so many an image on average). "
        f"– : not within the best {max(results.ks)}.",
        (METHOD, "IoU", "recall", "best k", "or score from", "an image"),
        tuple(rows),
        labels=3,
    )


def grouped(results: Results, question: str) -> Table:
    """AR@k of the groups of one question."""
    rows: list[tuple[Cell, ...]] = []
    for index, result in enumerate(results.methods):
        for label, mask in results.members[question].items():
            estimates = results.figures[index][("AR", question, label)].estimates()
            rows.append((result.name, label, int(mask.sum()), *estimates))
    own = question in results.methods[0].measured.ranks_by_size
    rule = (
        "As COCO does it for an area range: objects of other sizes neither count nor take a proposal."
        if own
        else "All objects were matched together; the groups only part them afterwards."
    )
    return Table(
        f"by-{question.replace(' : ', '-').replace(' ', '-')}",
        f"Average recall by {question}",
        rule,
        (METHOD, question, "objects", *(f"AR@{k}" for k in results.ks)),
        tuple(rows),
        labels=3,
    )


def calibrations(results: Results) -> Table:
    """Share of hits by score."""
    rows: list[tuple[Cell, ...]] = []
    for result in results.methods:
        found = check_scores(result.measured)
        bins = found.bins
        rows += [
            (result.name, f"{low:.3g} to {high:.3g}", count, score, share)
            for (low, high), count, score, share in zip(bins.ranges, bins.counts, bins.scores, bins.hits, strict=True)
        ]
        if found.error is not None:
            rows.append((result.name, "mean distance", sum(bins.counts), None, found.error))
    return Table(
        "calibration",
        "What a score means",
        "Of the proposals of about one score, the share that overlaps an object by IoU .5 or more. A calibrated "
        "score equals that share. Proposals in ignore regions are left out.",
        (METHOD, "scores", "proposals", "mean score", "about an object"),
        tuple(rows),
    )


def time(results: Results) -> Table:
    """Recall and time side by side, for methods that were timed."""
    timed = any(result.seconds is not None for result in results.methods)
    places = list(dict.fromkeys((results.ks.index(results.at), len(results.ks) - 1)))
    keys = (("AR",), ("R", "0.50"))
    rows: list[tuple[Cell, ...]] = []
    for result, figures in zip(results.methods if timed else (), results.figures if timed else (), strict=True):
        recalls = [figures[key].estimates()[place] for key in keys for place in places]
        seconds = None if result.seconds is None else result.seconds[~np.isnan(result.seconds)]
        clock: tuple[Cell, ...] = (None, None, None)
        if seconds is not None and len(seconds):
            clock = (float(np.median(seconds)), float(np.mean(seconds)), len(seconds))
        rows.append((result.name, *recalls, *clock))
    names = [f"{name}{results.ks[place]}" for name in ("AR@", "R@.5, ") for place in places]
    return Table(
        "recall-and-time",
        "Recall and time",
        "Seconds from the pixels of a photograph to its proposals; reading the file is not counted.",
        (METHOD, *names, "median s", "mean s", "photos"),
        tuple(rows),
        labels=1,
    )


def _by_k(results: Results, columns: Callable[[int], list[Sequence[Cell]]]) -> tuple[tuple[Cell, ...], ...]:
    """A row for each method and k, from what a method's index gives for each column: one cell a k."""
    rows: list[tuple[Cell, ...]] = []
    for index, result in enumerate(results.methods):
        rows += [(result.name, k, *cells) for k, *cells in zip(results.ks, *columns(index), strict=True)]
    return tuple(rows)


def show(cell: Cell, digits: int = 4) -> str:
    """A cell for people; an estimate without its interval."""
    value = cell.value if isinstance(cell, Estimate) else cell
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def show_interval(cell: Estimate, digits: int = 3) -> str:
    """The interval of an estimate for people; empty where there is none."""
    return "" if cell.low is None or cell.high is None else f"[{cell.low:.{digits}f}, {cell.high:.{digits}f}]"


def to_csv(found: Sequence[Table]) -> str:
    """All tables as one long one: table, method, what the row is, column, value, low, high."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("table", "method", "row", "column", "value", "low", "high"))
    for table in found:
        for row in table.rows:
            label = ", ".join(
                f"{name} {cell}"
                for name, cell in zip(table.columns[1 : table.labels], row[1 : table.labels], strict=True)
            )
            for name, cell in zip(table.columns[table.labels :], row[table.labels :], strict=True):
                figure = (cell.value, cell.low, cell.high) if isinstance(cell, Estimate) else (cell, None, None)
                writer.writerow((table.key, row[0], label, name, *figure))
    return text.getvalue()
