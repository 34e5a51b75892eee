"""``objectness check DATA``: count a data set and name everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from objectness.cli.output import EXIT_SOME_FAILED, AllowOutsideFlag, JsonFlag, Output, QuietFlag, one_sentence_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from objectness.datasets.checks import CheckReport

_LISTED = 20


@one_sentence_errors
def command(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="Folder of a COCO, Pascal VOC or YOLO data set, or its JSON or YAML."),
    ],
    split: Annotated[
        str | None, typer.Option("--split", help="Only this part: train, val or test (default: everything).")
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Name also boxes that stick out of their image by one pixel or less."),
    ] = False,
    allow_outside: AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Count images, boxes, sizes and aspect ratios; name every bad file and box (exit code 1)."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from objectness.datasets.box_validity import STRICT_TOLERANCE_PX, TOLERANCE_PX
    from objectness.datasets.checks import inspect
    from objectness.datasets.loading import load_dataset

    output = Output(as_json, quiet)
    dataset = load_dataset(data, split, allow_outside=allow_outside)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=output.progress, transient=True, disable=quiet) as progress:
        task = progress.add_task("reading images", total=len({record.path for record in dataset.records}))
        report = inspect(
            dataset,
            STRICT_TOLERANCE_PX if strict else TOLERANCE_PX,
            lambda: progress.advance(task),
            allow_outside=allow_outside,
        )
    output.result(report.to_json())
    _print_counts(report, output)
    for note in report.notes:
        _say(output.tables, note)
    _print_problems(report, output.tables)
    if report.problems:
        raise typer.Exit(EXIT_SOME_FAILED)


def _print_counts(report: CheckReport, output: Output) -> None:
    from rich.table import Table

    from objectness.datasets.layouts import layout_named

    layout = layout_named(report.layout).title
    part = "whole data set" if report.split == "all" else f"split {report.split}"
    _say(output.tables, f"{report.root}: {layout}, {part}")
    counts = Table("images", "without boxes", "boxes", "ignored", "small", "medium", "large", title="Counts")
    numbers = (
        report.images,
        report.images_without_boxes,
        report.boxes,
        report.ignored_boxes,
        *report.sizes.values(),
    )
    counts.add_row(*(f"{number:,}" for number in numbers))
    output.table(counts)

    spread = Table("", *(_percentile_name(percent) for percent in report.sqrt_area), title="Spread over the boxes")
    rows: tuple[tuple[str, Mapping[int, float | None]], ...] = (
        ("size (root of area), px", report.sqrt_area),
        ("height / width", report.aspect_ratio),
        ("boxes an image", report.boxes_per_image),
    )
    for name, values in rows:
        spread.add_row(name, *("-" if value is None else f"{value:.4g}" for value in values.values()))
    output.table(spread)

    classes = Table("class", "boxes", title=_count(len(report.classes), "class", "classes"))
    for name, count in list(report.classes.items())[:_LISTED]:
        classes.add_row(name, f"{count:,}")
    if len(report.classes) > _LISTED:
        classes.add_row(f"and {len(report.classes) - _LISTED} more: use --json", "")
    output.table(classes)


def _percentile_name(percent: int) -> str:
    return {0: "least", 50: "median", 100: "most"}.get(percent, f"{percent} %")


def _print_problems(report: CheckReport, console: Console) -> None:
    if not report.problems:
        _say(console, "No problems found.")
        return
    for kind, found in report.problems_by_kind.items():
        _say(console, f"\n{kind}: {len(found)}")
        for problem in found[:_LISTED]:
            _say(console, f"  {problem}")
        if len(found) > _LISTED:
            _say(console, f"  and {len(found) - _LISTED} more: use --json")
    problems = _count(len(report.problems), "problem", "problems")
    _say(console, f"\n{problems} of {_count(len(report.problems_by_kind), 'kind', 'kinds')}.")


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True)
