"""The page: tables, curves and the missed objects in one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib import resources

from objectness.evaluation.bootstrap import Estimate
from objectness.evaluation.curves import Chart
from objectness.evaluation.report.svg import to_svg
from objectness.evaluation.report.thumbnails import Thumbnail
from objectness.evaluation.results import Results
from objectness.evaluation.tables import Cell, Table, show, show_interval

_FIRST = ("recall-and-time", "average-recall")
_OPEN_ROWS = 24  # a longer table is folded


def to_html(
    results: Results,
    tables: Sequence[Table],
    charts: Sequence[Chart],
    pictures: Sequence[Thumbnail],
    missed: int,
    notes: Sequence[str] = (),
) -> str:
    """The whole page.

    Args:
        results: The methods and their figures.
        tables: As ``tables.tables`` gives them.
        charts: As ``curves.charts`` gives them.
        pictures: Thumbnails of missed objects.
        missed: How many objects are missed in all.
        notes: Sentences for the head of the page.
    """
    measured = results.methods[0].measured
    names = ", ".join(result.name for result in results.methods)
    head = (
        f"<p>On {escape(results.data)}: {measured.images:,} images, {measured.objects:,} objects. "
        f"Intervals are 95 % of {results.options.draws:,} draws of the images.</p>"
        + "".join(f"<p class=note>{escape(note)}</p>" for note in notes)
    )
    first = [table for table in tables if table.key in _FIRST]
    rest = [table for table in tables if table.key not in _FIRST]
    parts = [
        *(table_of(table) for table in first),
        f'<section class="charts">{"".join(f"<figure>{to_svg(chart)}</figure>" for chart in charts)}</section>',
        _explorer(results, pictures, missed),
        *(table_of(table) for table in rest),
    ]
    return page_of(f"Proposals: {names}", head, parts, script=_asset("page.js"))


def page_of(title: str, head: str, parts: Sequence[str], script: str = "") -> str:
    """A page that needs no other file.

    Args:
        title: In plain words.
        head: HTML below it.
        parts: HTML of the sections.
        script: Run at the end.
    """
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{_asset('page.css')}</style></head><body><main>",
            f"<h1>{escape(title)}</h1>{head}",
            *parts,
            f"</main>{f'<script>{script}</script>' if script else ''}</body></html>",
            "",
        ]
    )


def _asset(name: str) -> str:
    return (resources.files("objectness.evaluation.report") / name).read_text(encoding="utf-8")


def table_of(table: Table) -> str:
    """A table as a section that can be folded."""
    head = "".join(
        f"<th{' class=label' if number < table.labels else ''}>{escape(name)}</th>"
        for number, name in enumerate(table.columns)
    )
    body = "".join(
        "<tr>" + "".join(_cell(cell, number < table.labels) for number, cell in enumerate(row)) + "</tr>"
        for row in table.rows
    )
    folded = "" if len(table.rows) > _OPEN_ROWS else " open"
    return (
        f'<section><details id="{escape(table.key)}"{folded}><summary><h2>{escape(table.title)}</h2></summary>'
        f"<p class=note>{escape(table.note)}</p>"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        "</details></section>"
    )


def _cell(cell: Cell, is_label: bool) -> str:
    interval = show_interval(cell) if isinstance(cell, Estimate) else ""
    small = f"<small>{interval}</small>" if interval else ""
    digits = 4 if not is_label else 2
    return f"<td{' class=label' if is_label else ''}>{escape(show(cell, digits))}{small}</td>"


def _explorer(results: Results, pictures: Sequence[Thumbnail], missed: int) -> str:
    if not missed:
        objects = results.methods[0].measured.objects
        said = (
            f"With {results.at} proposals an image no object is missed." if objects else "There is no object to find."
        )
        return f"<section><h2>Missed objects</h2><p>{said}</p></section>"
    shown = f" {len(pictures):,} of them are shown, evenly over the sizes." if len(pictures) < missed else ""
    blank = sum(picture.missing for picture in pictures)
    lost = f" {blank:,} photographs could not be read." if blank else ""
    document = {
        "methods": [result.name for result in results.methods],
        "objects": [picture.document for picture in pictures],
    }
    # Within a script element only "<" can end it: file and class names may hold anything.
    text = json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")
    return (
        '<section id="missed"><h2>Missed objects</h2>'
        f"<p class=note>Objects that none of the best {results.at} proposals overlaps by IoU .5: "
        f"{missed:,} for one method or more.{shown}{lost} White: the object. Orange: the nearest proposal.</p>"
        '<form id="filters"></form><p id="count" aria-live="polite"></p><div id="gallery"></div></section>'
        f'<script type="application/json" id="missed-data">{text}</script>'
    )
