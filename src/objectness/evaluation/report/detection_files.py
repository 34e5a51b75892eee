"""Write a report of named boxes: the page, and CSV, JSON and PNG curves beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from objectness.evaluation.detection.curves import charts
from objectness.evaluation.detection.results import NamedResults
from objectness.evaluation.detection.tables import tables
from objectness.evaluation.report.detection_page import to_html
from objectness.evaluation.report.files import write_files
from objectness.evaluation.report.worst import worst_photographs

PHOTOGRAPHS = 24


def write_detection_report(
    path: Path,
    results: NamedResults,
    document: dict[str, Any],
    *,
    limit: int = PHOTOGRAPHS,
    on_image: Callable[[], None] = lambda: None,
) -> list[Path]:
    """Write ``out.html``, ``out.csv``, ``out.json`` and a PNG for each chart, ``out.classes-1.png`` and so on.

    Args:
        path: The page; its folder is made where it is missing.
        results: The methods and their figures.
        document: Content of ``out.json`` beside the tables and the curves.
        limit: Photographs with the most mistakes, all methods together, at most.
        on_image: Called after each photograph (for progress).

    Returns:
        The files, the page first.

    Raises:
        InputError: a place that cannot be written to.
    """
    found_tables, found_charts = tables(results), charts(results)
    each = -(-limit // len(results.methods))
    worst = {result.name: worst_photographs(results, result, each, on_image) for result in results.methods}
    page = to_html(results, found_tables, found_charts, worst)
    return write_files(path, page, document, found_tables, found_charts)
