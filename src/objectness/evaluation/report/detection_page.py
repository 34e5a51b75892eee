"""The page of named boxes: tables, curves, confusion and the worst photographs in one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from objectness.evaluation.curves import Chart
from objectness.evaluation.detection.results import NamedResult, NamedResults
from objectness.evaluation.detection.tables import NOTHING
from objectness.evaluation.report.page import page_of, table_of
from objectness.evaluation.report.svg import to_svg
from objectness.evaluation.report.worst import WorstPhotograph
from objectness.evaluation.tables import Table

_FIRST = ("average-precision", "differences", "upper-bound")
_MOST_CLASSES = 40  # of a matrix that can be read


def to_html(
    results: NamedResults,
    tables: Sequence[Table],
    charts: Sequence[Chart],
    worst: Mapping[str, Sequence[WorstPhotograph]],
) -> str:
    """The whole page.

    Args:
        results: The methods and their figures.
        tables: As ``objectness.evaluation.detection.tables`` gives them.
        charts: As ``objectness.evaluation.detection.curves`` gives them.
        worst: Name of each method -> its photographs with the most mistakes.
    """
    names = ", ".join(result.name for result in results.methods)
    classes = len(results.objects_of_classes())
    head = (
        f"<p>On {escape(results.data)}: {results.images:,} images, {results.objects:,} objects of {classes:,} classes. "
        f"Intervals are 95 % of {results.draws:,} draws of the images.</p>"
    )
    figures = "".join(f"<figure>{to_svg(chart)}</figure>" for chart in charts)
    parts = [
        *(table_of(table) for table in tables if table.key in _FIRST),
        f'<section class="charts">{figures}</section>',
        *(table_of(table) for table in tables if table.key in ("score", "lost")),
        *(_confusion(results, result) for result in results.methods),
        *(_photographs(results, result, worst.get(result.name, ())) for result in results.methods),
        *(table_of(table) for table in tables if table.key not in (*_FIRST, "score", "lost")),
    ]
    return page_of(f"Detections: {names}", head, parts)


def _of(results: NamedResults, result: NamedResult) -> str:
    return f": {result.name}" if len(results.methods) > 1 else ""


def _confusion(results: NamedResults, result: NamedResult) -> str:
    counts = result.mistakes.confusion
    names = (*results.class_names, NOTHING)
    last = len(names) - 1
    used = counts.sum(axis=0)[:last] + counts.sum(axis=1)[:last]
    wrong = used - 2 * np.diag(counts)[:last]
    kept = np.flatnonzero(used)
    left_out = ""
    if len(kept) > _MOST_CLASSES:
        left_out = (
            f" Of {len(kept)} classes the {_MOST_CLASSES} with the most mistakes are shown; the JSON file has all."
        )
        kept = np.sort(kept[np.argsort(-wrong[kept], kind="stable")[:_MOST_CLASSES]])
    order = [*kept.tolist(), last]
    head = "".join(f'<th class="turned"><span>{escape(names[column])}</span></th>' for column in order)
    rows = []
    for row in order:
        whole = max(1, int(counts[row].sum()))
        cells = "".join(_cell(int(counts[row, column]), whole, row, column, last) for column in order)
        rows.append(f'<tr><th class="label">{escape(names[row])}</th>{cells}</tr>')
    point = result.mistakes.point
    return (
        f"<section><details open><summary><h2>Confusion{escape(_of(results, result))}</h2></summary>"
        f"<p class=note>Rows: objects by their class; columns: what they were named. Detections from a score of "
        f"{point.score:.3g} on, IoU .5, each with one object of any class. Row {NOTHING}: detections where nothing is. "
        f"Column {NOTHING}: objects without a detection. The shade is the share of the row.{left_out}</p>"
        f'<div class="wide"><table class="matrix"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></details></section>"
    )


def _cell(count: int, whole: int, row: int, column: int, last: int) -> str:
    if row == column == last:
        return "<td></td>"
    share = count / whole
    ink = "0, 114, 178" if row == column else "213, 94, 0"
    shade = f' style="background: rgba({ink}, {0.08 + 0.6 * share:.2f})"' if count else ""
    return f'<td{shade} title="{share:.1%} of the row">{count or "·"}</td>'


def _photographs(results: NamedResults, result: NamedResult, worst: Sequence[WorstPhotograph]) -> str:
    title = f"<h2>Photographs with the most mistakes{escape(_of(results, result))}</h2>"
    if not worst:
        return f"<section>{title}<p>There is no mistake, or none was to be shown.</p></section>"
    cards = "".join(_card(photograph) for photograph in worst)
    return (
        f"<section>{title}<p class=note>Blue: detections that are right. Orange: detections that are wrong. White: "
        f"objects without a detection of their class. Point at a box for its name.</p>"
        f'<div class="photographs">{cards}</div></section>'
    )


def _card(photograph: WorstPhotograph) -> str:
    width, height = photograph.size_wh
    image = f'<img src="{photograph.picture}" alt="" loading="lazy">' if photograph.picture else ""
    marks = []
    for box in photograph.boxes:
        x1, y1, x2, y2 = box.box_xyxy
        place = f'x="{x1:g}" y="{y1:g}" width="{max(1, x2 - x1):.1f}" height="{max(1, y2 - y1):.1f}"'
        marks.append(
            f'<rect class="halo" {place}/><rect class="{box.kind}" {place}><title>{escape(box.words)}</title></rect>'
        )
    unread = "" if photograph.picture else " (could not be read)"
    return (
        f'<article class="card"><div class="frame" style="aspect-ratio: {width} / {height}">{image}'
        f'<svg viewBox="0 0 {width} {height}">{"".join(marks)}</svg></div>'
        f"<p>{photograph.missed} missed, {photograph.wrong} wrong</p>"
        f'<p class="soft">{escape(photograph.file)}{unread}</p></article>'
    )
