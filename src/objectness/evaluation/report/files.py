"""Write a report: the page, and CSV, JSON and PNG curves beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from objectness.drawing.saving import save_picture
from objectness.evaluation.curves import Chart, charts
from objectness.evaluation.report.page import to_html
from objectness.evaluation.report.png import to_png
from objectness.evaluation.report.thumbnails import thumbnails
from objectness.evaluation.results import Results
from objectness.evaluation.tables import Table, tables, to_csv
from objectness.files.atomic_write import replacing

THUMBNAILS = 240


def write_report(
    path: Path,
    results: Results,
    document: dict[str, Any],
    *,
    limit: int = THUMBNAILS,
    notes: Sequence[str] = (),
    on_image: Callable[[], None] = lambda: None,
) -> list[Path]:
    """Write ``out.html``, ``out.csv``, ``out.json`` and a PNG for each chart, ``out.ar-by-number.png`` and so on.

    Args:
        path: The page; its folder is made where it is missing.
        results: The methods and their figures.
        document: Content of ``out.json`` beside the tables and the curves.
        limit: Thumbnails of missed objects, at most.
        notes: Sentences for the head of the page.
        on_image: Called after each thumbnail (for progress).

    Returns:
        The files, the page first.

    Raises:
        InputError: a place that cannot be written to.
    """
    found_tables, found_charts = tables(results), charts(results)
    pictures, missed = thumbnails(results, limit, on_image)
    page = to_html(results, found_tables, found_charts, pictures, missed, notes)
    return write_files(path, page, document, found_tables, found_charts)


def write_files(
    path: Path,
    page: str,
    document: dict[str, Any],
    found_tables: Sequence[Table],
    found_charts: Sequence[Chart],
) -> list[Path]:
    """Write the page and what lies beside it.

    Returns:
        The files, the page first.

    Raises:
        InputError: a place that cannot be written to.
    """
    files = [path, path.with_suffix(".csv"), path.with_suffix(".json")]
    with replacing(path) as file:
        file.write(page)
    with replacing(files[1]) as file:
        file.write(to_csv(found_tables))
    with replacing(files[2]) as file:
        json.dump(to_json(document, found_tables, found_charts), file, indent=2, allow_nan=False)
        file.write("\n")
    for chart in found_charts:
        place = path.with_suffix(f".{chart.key}.png")
        save_picture(to_png(chart), place, optimize=True)
        files.append(place)
    return files


def to_json(document: dict[str, Any], found_tables: Sequence[Table], found_charts: Sequence[Chart]) -> dict[str, Any]:
    """Everything in plain values."""
    return {
        **document,
        "tables": {table.key: table.to_json() for table in found_tables},
        "curves": {
            chart.key: {
                "title": chart.title,
                "x": chart.x_label,
                "y": chart.y_label,
                "lines": [
                    {"name": line.name, "x": line.x, "y": line.y, "low": line.low or None, "high": line.high or None}
                    for line in chart.lines
                ],
            }
            for chart in found_charts
        },
    }
