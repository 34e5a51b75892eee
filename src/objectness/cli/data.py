"""``objectness data convert`` and ``objectness data split``: ground truth in another layout, or in other parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from objectness.cli.output import AllowOutsideFlag, JsonFlag, Output, QuietFlag, SeedOption, one_sentence_errors

if TYPE_CHECKING:
    from objectness.datasets.conversion import Written

group = typer.Typer(
    name="data",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Convert a data set, or split it into training, validation and test.",
)

DataArgument = Annotated[
    Path, typer.Argument(metavar="DATA", help="Folder of a COCO, Pascal VOC or YOLO data set, or its JSON or YAML.")
]
OutArgument = Annotated[Path, typer.Argument(metavar="OUT", help="A new or empty folder.")]
ImagesOption = Annotated[str, typer.Option("--images", help="Treatment of the image files: copy, link or leave.")]


@group.command("convert")
@one_sentence_errors
def convert(
    data: DataArgument,
    out: OutArgument,
    to: Annotated[str, typer.Option("--to", help="Layout of OUT: coco, voc or yolo.")],
    images: ImagesOption = "copy",
    allow_outside: AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write a data set in another layout, with its classes and parts; name the losses."""
    from objectness.datasets.conversion import convert as convert_data

    output = Output(as_json, quiet)
    written = convert_data(data, out, to, images=images, allow_outside=allow_outside)
    _report(data, out, written, output, {})


@group.command("split")
@one_sentence_errors
def split(
    data: DataArgument,
    out: OutArgument,
    train: Annotated[float, typer.Option(help="Share for training.")] = 0.8,
    val: Annotated[float, typer.Option(help="Share for validation.")] = 0.1,
    test: Annotated[float | None, typer.Option(help="Share for the test; 0 for none.", show_default="the rest")] = None,
    seed: SeedOption = 0,
    to: Annotated[
        str | None, typer.Option("--to", help="Layout of OUT: coco, voc or yolo; default: that of DATA.")
    ] = None,
    images: ImagesOption = "copy",
    allow_outside: AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Split a data set by chance, alike in object sizes; identical files land in the same part."""
    from objectness.datasets.conversion import write_split

    output = Output(as_json, quiet)
    rest = round(1 - train - val, 9) if test is None else test
    shares = {name: share for name, share in (("train", train), ("val", val), ("test", rest)) if share}
    found, written = write_split(data, out, shares, to, seed=seed, images=images, allow_outside=allow_outside)
    for note in found.notes:
        output.warn(note)
    more = {"seed": seed, "duplicates": found.duplicates, "strata": {k: dict(v) for k, v in found.strata.items()}}
    _report(data, out, written, output, more)
    if not as_json and not quiet:
        _table(found.strata, output)


def _report(data: Path, out: Path, written: Written, output: Output, more: dict[str, Any]) -> None:
    for sentence in written.changes:
        output.warn(f"{sentence[0].upper()}{sentence[1:]}.")
    counts = {"images": dict(written.images), "boxes": dict(written.boxes)}
    place = {"data": str(data), "out": str(out), "to": written.layout}
    output.result({**place, **counts, "said": list(written.changes), **more})
    parts = ", ".join(f"{count:,} in {part}" for part, count in written.images.items())
    images, boxes = sum(written.images.values()), sum(written.boxes.values())
    output.summary(f"Wrote {out} ({written.layout}): {images:,} images ({parts}), {boxes:,} boxes.")


def _table(strata: Any, output: Output) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("part")
    names = list(next(iter(strata.values())))
    for name in names:
        table.add_column(name, justify="right")
    totals = {name: sum(counts[name] for counts in strata.values()) for name in names}
    for part, counts in strata.items():
        shown = [f"{counts[name]:,} ({counts[name] / max(totals[name], 1):.1%})" for name in names]
        table.add_row(part, *shown)
    output.table(table)
