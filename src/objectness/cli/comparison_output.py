"""Output of ``evaluate`` and ``compare``: progress, tables, documents, reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from objectness.cli.output import Output, bar
from objectness.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from objectness.evaluation.comparison import Comparison
    from objectness.evaluation.reporter import Reporter
    from objectness.evaluation.results import Results
    from objectness.evaluation.tables import Table

_SEEN = "by-seen-in-training"
_NAMED = 10  # photographs that could not be used: more are named in the JSON document only
_ALWAYS = ("recall-and-time", "average-recall", "differences", "budget")


def reporter_of(output: Output) -> Reporter:
    """Notes, warnings and progress bars of an evaluation, on standard error."""
    from objectness.evaluation.reporter import Reporter

    return Reporter(output.note, output.warn, lambda words, total: bar(output, words, total))


def print_comparison(
    comparison: Comparison,
    output: Output,
    *,
    show: Sequence[str],
    out: Path | None = None,
    report: Path | None = None,
    thumbnails: int = 0,
) -> None:
    """Write the files that were asked for, then print tables or the JSON document.

    Args:
        comparison: The figures.
        output: Where they go.
        show: Keys of more tables to print; "all" for every one.
        out: File for the JSON document.
        report: The page of the report.
        thumbnails: Missed objects on the page, at most.
    """
    chosen = _chosen_tables(comparison, show)
    document = comparison.to_dict()
    if out is not None:
        write_document(out, document)
    if report is not None:
        files = comparison.write_report(report, thumbnails=thumbnails, reporter=reporter_of(output))
        output.note(f"Wrote {report}, and beside it {', '.join(file.name for file in files[1:])}.")
    _print_tables(comparison.results, chosen, output)
    output.result(document)
    if comparison.stopped:
        output.warn(comparison.stopped)
    elif comparison.failed:
        failed, images = len(comparison.failed), len(comparison.results.records)
        named = "" if failed <= _NAMED else " (--json names all)"
        output.warn(f"{failed} of {images} images could not be used: their objects count as missed{named}.")


def _chosen_tables(comparison: Comparison, more: Sequence[str]) -> list[Table]:
    """The usual tables, and those that were asked for."""
    found = comparison.tables
    require_tables(more, found)
    shown = (*_ALWAYS, *more, *([_SEEN] if comparison.results.options.seen else []))
    return [table for key, table in found.items() if "all" in more or key in shown]


def _print_tables(results: Results, tables: Sequence[Table], output: Output) -> None:
    console = output.tables
    measured = results.methods[0].measured
    sizes = ", ".join(f"{int(mask.sum())} {name}" for name, mask in results.members["size"].items())
    console.print(f"Proposals on {results.data}", soft_wrap=True, markup=False)
    console.print(
        f"{measured.images} images, {measured.objects} objects ({sizes}); "
        f"brackets: 95 % over {results.options.draws} draws of the images",
        soft_wrap=True,
        markup=False,
    )
    for table in tables:
        _print_table(results, table, output)


def _print_table(results: Results, table: Table, output: Output) -> None:
    from objectness.evaluation import tables

    rows = table.rows
    if table.key == "differences":
        rows = tuple(row for row in rows if row[1] == results.at)
    if table.key == "budget":
        rows = tuple(row for row in rows if row[1] == tables.BUDGET_IOUS[0])
    # One interval has a column of its own, as a terminal has no room for them all: that of AR, or of AR@k for the k
    # that is looked at closely.
    with_interval = next((i for i, name in enumerate(table.columns) if name in ("AR", f"AR@{results.at}")), -1)
    print_table(replace(table, rows=rows), output, with_interval, alone=len(results.methods) == 1)


def print_table(table: Table, output: Output, with_interval: int, *, alone: bool) -> None:
    """Print one table.

    Args:
        table: The table.
        output: Where it goes.
        with_interval: The column whose interval is printed; -1 for none.
        alone: There is one method, whose name need not stand in every row.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Grid
    from rich.text import Text

    from objectness.evaluation import tables
    from objectness.evaluation.bootstrap import Estimate

    alone = alone and table.columns[0] == tables.METHOD and table.labels > 1
    grid = Grid(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for number, name in enumerate(table.columns):
        if not (alone and number == 0):
            grid.add_column(Text(name), justify="left" if number < table.labels - 1 else "right", no_wrap=True)
        if number == with_interval:
            grid.add_column("95 %", justify="right", no_wrap=True)
    for row in table.rows:
        cells: list[Text] = []
        for number, cell in enumerate(row):
            if not (alone and number == 0):
                cells.append(Text(tables.show(cell, 4 if number >= table.labels else 2)))
            if number == with_interval and isinstance(cell, Estimate):
                cells.append(Text(tables.show_interval(cell)))
        grid.add_row(*cells)
    console = output.tables
    console.print(Text(table.title, style="bold"), soft_wrap=True)
    output.table(grid)


def require_tables(keys: Sequence[str], known: Iterable[str]) -> None:
    """Refuse keys of tables that do not exist; "all" is one.

    Raises:
        InputError: with the nearest that exists.
    """
    names = [*known, "all"]
    for key in keys:
        if key not in names:
            raise InputError(f"--show {key!r} is no table: {did_you_mean(key, names)}")


def write_document(path: Path, document: object) -> None:
    """Write a JSON document into a file, which appears whole."""
    import json

    from objectness.files.atomic_write import replacing

    with replacing(path) as file:
        json.dump(document, file, indent=2, allow_nan=False)
        file.write("\n")
