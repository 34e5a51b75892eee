"""``objectness propose``: photographs in; drawn pictures, ``proposals.json`` and a table out."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from objectness.cli import propose_options as options
from objectness.cli import propose_report as report
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
    from objectness.engines import ModelDescription
    from objectness.engines.settings import EngineName

OUT, RESULTS_NAME = "proposals", "proposals.json"


@one_sentence_errors
def command(
    source: options.SourceArgument,
    out: options.OutOption = None,
    model: options.ModelOption = None,
    top: options.TopOption = None,
    size: SizeOption = None,
    thorough: ThoroughFlag = False,
    score: options.ScoreOption = 0.0,
    nms: options.NmsOption = None,
    min_side: options.MinSideOption = 1.0,
    tile: options.TileOption = "auto",
    overlap: options.OverlapOption = "auto",
    scales: options.ScalesOption = "auto",
    resume: options.ResumeFlag = False,
    max_pixels: options.MaxPixelsOption = 178_000_000,
    geojson: options.GeojsonFlag = True,
    pictures: options.PicturesFlag = True,
    draw: options.DrawOption = 30,
    details: options.DetailsOption = 0,
    detail: options.DetailOption = None,
    engine: options.EngineOption = "auto",
    device: options.DeviceOption = "cpu",
    threads: options.ThreadsOption = None,
    data: options.DataOption = None,
    allow_outside: options.AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Find the boxes of photographs that may hold an object.

    A photo of more than 50 megapixels is seen at full resolution, in tiles; the boxes are those of the whole image.
    """
    from objectness.cli.propose_pictures import Wanted
    from objectness.cli.propose_plan import number, plan
    from objectness.cli.propose_resume import Unfinished
    from objectness.cli.propose_run import Results, run
    from objectness.files.atomic_write import protecting
    from objectness.formats.coco_journal import Journal, count_images
    from objectness.images.finding import find_photos
    from objectness.inference.loading import load

    output = Output(as_json, quiet)
    results = Results(output, Wanted(draw, details, options.rectangles(detail), max_pixels), geojson)
    found = find_photos(source)
    numbered = number(found.photos, data, allow_outside=allow_outside)
    for unusable, why in found.failed.items():
        results.fail(unusable, why)
    for photo, why in numbered.failed.items():
        results.fail(photo, why)
    settings: dict[str, Any] = {
        "top": top,
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
    if out is None and (pictures or not as_json):
        out = Path(OUT)
    if out is None and resume:
        raise InputError("--resume goes on with what a run left in a folder: name it with --out.")
    if out is not None:
        _make_folder(out)
    place = None
    before = 0
    with protecting([*found.photos, *(path for path in (model, data) if path is not None)]):
        tasks = plan(numbered.image_ids, out, pictures=pictures)
        done = {}
        if out is not None:
            results.unfinished = Unfinished(out, settings | _identity(proposer.description), resumes=resume)
            done = results.unfinished.taken_over(tasks)
            results.journal = Journal(out / RESULTS_NAME)
            before = count_images(out / RESULTS_NAME)
        is_whole = False
        try:
            run(proposer, tasks, done, results)
            is_whole = not results.interrupted
        finally:  # whatever ends the run, what was done so far is kept
            if results.journal is not None and results.unfinished is not None:
                place = results.journal.place(stopped=not is_whole)
                results.unfinished.end(place, is_whole=is_whole)
    written = report.Written(out, place, before, results.drawn, results.geojsons, results.interrupted)
    left = report.Left(results.failed, found.passed_over)
    output.result_lines(
        report.document(proposer.description, proposer.device, results.rows, results.proposals, left, written)
    )
    stop = report.Stop(results.under_way) if results.interrupted else None
    report.show(proposer.description, proposer.device, results.rows, left, written, output, stop=stop)
    if results.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if results.failed or results.is_damaged:
        raise typer.Exit(EXIT_SOME_FAILED)


def _identity(description: ModelDescription) -> dict[str, Any]:
    """What tells a model from others."""
    facts = repr((description.name, sorted(description.details.items())))
    return {"model": f"{description.name} ({zlib.crc32(facts.encode()):08x})"}


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: the folder cannot be made ({error.strerror}); name another.") from None
