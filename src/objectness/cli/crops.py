"""``objectness crops``: photographs in; a picture of each proposal and ``crops.json`` out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from objectness.cli import propose_options as options
from objectness.cli.model_options import SizeOption, ThoroughFlag
from objectness.cli.output import (
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    JsonFlag,
    Output,
    QuietFlag,
    one_sentence_errors,
)
from objectness.errors import InputError

if TYPE_CHECKING:
    from objectness.engines.settings import EngineName

LIST_NAME = "crops.json"
_SHAPE = "Shape of a crop"

OutOption = Annotated[Path, typer.Option(help="Folder for the crops and crops.json; best outside of the photos'.")]
TopOption = Annotated[int, typer.Option(min=1, help="Crops of a photo, at most.")]
SeparateOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Leave out a box that shares more than this part of the smaller box with a better one; 0: crops of "
        "boxes that share nothing.",
        show_default="all boxes",
        rich_help_panel=options.SELECTION,
    ),
]
ContextOption = Annotated[
    float,
    typer.Option(
        min=0.1, max=100, help="Sides of a crop in those of its box: 1.5 sees around it.", rich_help_panel=_SHAPE
    ),
]
SquareFlag = Annotated[
    bool,
    typer.Option(
        "--square", help="As wide as high, with more context; moved inside at the border.", rich_help_panel=_SHAPE
    ),
]
LongestOption = Annotated[
    int,
    typer.Option(min=1, max=16_384, help="Shrink crops with a longer side to this, in pixels.", rich_help_panel=_SHAPE),
]


@one_sentence_errors
def command(
    source: options.SourceArgument,
    out: OutOption = Path("crops"),
    model: options.ModelOption = None,
    top: TopOption = 50,
    size: SizeOption = None,
    thorough: ThoroughFlag = False,
    score: options.ScoreOption = 0.0,
    nms: options.NmsOption = None,
    min_side: options.MinSideOption = 1.0,
    separate: SeparateOption = None,
    context: ContextOption = 1.0,
    square: SquareFlag = False,
    longest: LongestOption = 4096,
    tile: options.TileOption = "auto",
    overlap: options.OverlapOption = "auto",
    scales: options.ScalesOption = "auto",
    max_pixels: options.MaxPixelsOption = 178_000_000,
    engine: options.EngineOption = "auto",
    device: options.DeviceOption = "cpu",
    threads: options.ThreadsOption = None,
    data: options.DataOption = None,
    allow_outside: options.AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Cut the boxes that may hold an object out of photographs, for a classifier or a person to name.

    crops.json lists file, photo, box and score of each. Huge images are read in parts.
    """
    from objectness.cli.crops_run import CropResults, run
    from objectness.cli.propose_plan import number, plan
    from objectness.drawing.crops import CropSettings
    from objectness.files.atomic_write import protecting
    from objectness.images.finding import find_photos
    from objectness.inference.loading import load

    output = Output(as_json, quiet)
    results = CropResults(output, CropSettings(context, score, top, separate, square, longest), max_pixels)
    found = find_photos(source)
    numbered = number(found.photos, data, allow_outside=allow_outside)
    for unusable, why in found.failed.items():
        results.fail(unusable, why)
    for photo, why in numbered.failed.items():
        results.fail(photo, why)
    settings: dict[str, Any] = {
        "top": top if separate is None else None,  # which are left out is not known before
        "score": score,
        "nms": nms,
        "min_side": min_side,
        "size": size,
        "thorough": thorough,
        "tile": options.word_or_number(tile),
        "overlap": options.word_or_number(overlap),
        "scales": options.word_number_or_fractions(scales),
    }
    proposer = load(
        model, threads=threads, device=device, engine=cast("EngineName", engine), max_pixels=max_pixels, **settings
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: the folder cannot be made ({error.strerror}); name another.") from None
    with protecting([*found.photos, *(path for path in (model, data) if path is not None)]):
        tasks = plan(numbered.image_ids, out, pictures=True)
        try:
            run(proposer, tasks, results)
        finally:  # whatever ends the run, what was done so far is listed
            results.write_list(out / LIST_NAME)
    output.result(results.document(proposer, out, found.passed_over))
    results.show(proposer, out, found.passed_over)
    if results.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if results.failed or results.is_damaged:
        raise typer.Exit(EXIT_SOME_FAILED)
