"""``objectness convert IN OUT``: a proposals file in the format of another framework."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from objectness.cli.output import AllowOutsideFlag, JsonFlag, Output, QuietFlag, one_sentence_errors
from objectness.formats.registry import NAMES

if TYPE_CHECKING:
    from objectness.formats.core.spec import Format

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="The data set the proposals are for: gives image ids, files, sizes and order."),
]
SplitOption = Annotated[str | None, typer.Option("--split", help="The part of the data set: train, val or test.")]
FORMATS = f"\n\nFormats: {', '.join(NAMES)}."
ImagesOption = Annotated[
    Path | None, typer.Option("--images", help="In place of --data, the folder of images: gives files and sizes.")
]


@one_sentence_errors
def command(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The proposals: a file or a folder.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Target; its suffix gives the format.")],
    source_format: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="Format of IN, where it cannot be guessed.")
    ] = None,
    target_format: Annotated[
        str | None, typer.Option("--to", metavar="FORMAT", help="Format of OUT, where its suffix does not say.")
    ] = None,
    data: DataOption = None,
    split: SplitOption = None,
    images: ImagesOption = None,
    top: Annotated[int | None, typer.Option(min=1, help="Keep the best this many proposals of each image.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Leave out proposals that cannot be used instead of refusing the file.")
    ] = False,
    scores: Annotated[
        bool, typer.Option("--scores/--no-scores", help="YOLO only: write the score as the sixth column.")
    ] = True,
    classes: Annotated[
        bool,
        typer.Option("--classes", help="Keep the classes of the boxes; IN and OUT are formats that hold classes."),
    ] = False,
    allow_outside: AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Turn proposals into another format; say what the other format cannot hold."""
    from objectness.cli.targets import guarded
    from objectness.errors import InputError
    from objectness.formats import convert_detections, convert_proposals
    from objectness.formats.registry import format_named, guess_source_format, guess_target_format

    output = Output(as_json, quiet)
    reading = format_named(source_format) if source_format else guess_source_format(source)
    writing = format_named(target_format) if target_format else guess_target_format(target)
    if classes and not scores:
        raise InputError("--no-scores makes labels to train on, and --classes keeps what a detector found: give one.")
    kept: dict[str, Any] = {"data": data, "images": images, "split": split, "top": top, "repair": repair}
    with guarded([*writing.files(target), *_categories(writing, target, classes)], [source, images], data):
        if classes:
            done = convert_detections(source, target, reading.name, writing.name, allow_outside=allow_outside, **kept)
        else:
            done = convert_proposals(
                source, target, reading.name, writing.name, scores=scores, allow_outside=allow_outside, **kept
            )
    notes = [*done.notes, *(f"{sentence} (--data)" for sentence in done.lacking)]
    for sentence in (*notes, *done.losses):
        output.warn(f"{sentence[0].upper()}{sentence[1:].rstrip('.')}.")
    found = done.proposals
    output.result(
        {
            "in": str(source),
            "from": reading.name,
            "out": str(target),
            "to": writing.name,
            "images": len(found),
            "detections" if classes else "proposals": found.count,
            "notes": notes,
            "lost": list(done.losses),
        }
    )
    counted = f"{found.count:,} {'detections' if classes else 'proposals'} of {len(found):,} images"
    output.summary(f"Wrote {target}: {counted}, from {reading.title} to {writing.title}.")


def _categories(writing: Format, target: Path, classes: bool) -> tuple[Path, ...]:
    """The table of the classes, where there will be one."""
    from objectness.proposals import categories_path

    return (categories_path(target),) if classes and writing.has_category_table else ()


command.__doc__ = f"{command.__doc__}{FORMATS}"
