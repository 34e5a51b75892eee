"""Output of ``evaluate --map``: tables, documents, reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from objectness.cli.comparison_output import print_table, reporter_of, require_tables, write_document
from objectness.cli.output import Output

if TYPE_CHECKING:
    from objectness.evaluation.detection.comparison import DetectionComparison

_ALWAYS = ("average-precision", "differences", "upper-bound", "score", "lost")


def print_detections(
    comparison: DetectionComparison,
    output: Output,
    *,
    show: Sequence[str],
    out: Path | None = None,
    report: Path | None = None,
    photographs: int | None = None,
) -> None:
    """Write the files that were asked for, then print tables or the JSON document.

    Args:
        comparison: The figures.
        output: Where they go.
        show: Keys of more tables to print; "all" for every one.
        out: File for the JSON document.
        report: The page of the report.
        photographs: Photographs with mistakes on the page, at most; None for the usual number.
    """
    from objectness.evaluation.detection.tables import EVERY_CLASS
    from objectness.evaluation.report.detection_files import PHOTOGRAPHS

    tables = comparison.tables
    require_tables(show, tables)
    document = comparison.to_dict()
    if out is not None:
        write_document(out, document)
    if report is not None:
        files = comparison.write_report(
            report, photographs=PHOTOGRAPHS if photographs is None else photographs, reporter=reporter_of(output)
        )
        output.note(f"Wrote {report}, and beside it {', '.join(file.name for file in files[1:])}.")
    results = comparison.results
    console = output.tables
    console.print(f"Detections on {results.data}", soft_wrap=True, markup=False)
    console.print(
        f"{results.images} images, {results.objects} objects of {len(results.objects_of_classes())} classes; "
        f"brackets: 95 % over {results.draws} draws of the images",
        soft_wrap=True,
        markup=False,
    )
    for key, whole in tables.items():
        table = whole
        if key in _ALWAYS or key in show or "all" in show:
            if key == "lost" and key not in show and "all" not in show:  # --show lost has every class
                table = replace(table, rows=tuple(row for row in table.rows if row[1] == EVERY_CLASS))
            with_interval = table.columns.index("AP") if "AP" in table.columns else -1
            print_table(table, output, with_interval, alone=len(results.methods) == 1)
    output.result(document)
    if comparison.failed:
        output.warn(
            f"{len(comparison.failed)} of {results.images} images could not be used: their objects count as missed."
        )
