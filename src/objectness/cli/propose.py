"""``objectness propose``: photographs in; drawn pictures, ``proposals.json`` and a table out."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import typer

from objectness.cli import propose_options as options
from objectness.cli import propose_report as report
from objectness.cli.output import (
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    JsonFlag,
    Output,
    QuietFlag,
    one_sentence_errors,
)
from objectness.errors import InputError

OUT, RESULTS_NAME = "proposals", "proposals.json"


@one_sentence_errors
def command(
    source: options.SourceArgument,
    out: options.OutOption = None,
    model: options.ModelOption = None,
    top: options.TopOption = None,
    score: options.ScoreOption = 0.0,
    nms: options.NmsOption = None,
    min_side: options.MinSideOption = 1.0,
    pictures: options.PicturesFlag = True,
    draw: options.DrawOption = 30,
    engine: options.EngineOption = "auto",
    device: options.DeviceOption = "cpu",
    threads: options.ThreadsOption = None,
    max_pixels: options.MaxPixelsOption = 178_000_000,
    data: options.DataOption = None,
    allow_outside: options.AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Find the boxes of photographs that may hold an object."""
    from objectness.cli.propose_plan import number, plan
    from objectness.cli.propose_run import Results, run
    from objectness.engines.settings import EngineName
    from objectness.files.atomic_write import protecting
    from objectness.formats.coco_journal import Journal, count_images
    from objectness.images.finding import find_photos
    from objectness.inference.loading import load

    output = Output(as_json, quiet)
    results = Results()
    found = find_photos(source)
    numbered = number(found.photos, data, allow_outside=allow_outside)
    for unusable, why in found.failed.items():
        results.fail(unusable, why, output)
    for photo, why in numbered.failed.items():
        results.fail(photo, why, output)
    proposer = load(
        model,
        top=top,
        score=score,
        nms=nms,
        threads=threads,
        device=device,
        engine=cast(EngineName, engine),
        min_side=min_side,
        max_pixels=max_pixels,
    )
    if out is None and (pictures or not as_json):
        out = Path(OUT)
    if out is not None:
        _make_folder(out)
    inputs = [*found.photos, *(path for path in (model, data) if path is not None)]
    with protecting(inputs):
        tasks = plan(numbered.image_ids, out if pictures else None)
        if out is not None:
            results.journal = Journal(out / RESULTS_NAME)
        before = 0 if out is None else count_images(out / RESULTS_NAME)
        place = None
        is_whole = False
        try:
            run(proposer, tasks, draw, results, output)
            is_whole = not results.interrupted
        finally:  # whatever ends the run, what was done so far is kept
            if results.journal is not None:
                place = results.journal.place(stopped=not is_whole)
    written = report.Written(out, place, before, results.pictures)
    left = report.Left(results.failed, found.passed_over)
    output.result_lines(
        report.document(proposer.description, proposer.device, results.rows, results.proposals, left, written)
    )
    report.show(proposer.description, proposer.device, results.rows, left, written, output, stopped=results.interrupted)
    if results.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if results.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: the folder cannot be made ({error.strerror}); name another.") from None
