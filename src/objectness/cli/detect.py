"""``objectness detect``: photographs in; pictures with named boxes, ``detections.json`` and a table out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from objectness.cli import propose_options as options
from objectness.cli.output import (
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    JsonFlag,
    Output,
    QuietFlag,
    one_sentence_errors,
)
from objectness.errors import InputError

OUT, RESULTS_NAME = "detections", "detections.json"

ModelOption = Annotated[
    str,
    typer.Option(help="An exported .onnx file of a detector, a .safetensors checkpoint or a run folder."),
]
TopOption = Annotated[
    int | None, typer.Option(min=1, help="Detections a photo, at most.", show_default="the model's own")
]
ScoreOption = Annotated[
    float,
    typer.Option(min=0, max=1, help="Leave out detections below this score.", rich_help_panel=options.SELECTION),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder for the pictures and detections.json.",
        show_default="detections; none with --json --no-pictures, which then writes no file",
    ),
]
DeviceOption = Annotated[str, typer.Option(help="cpu or cuda.", rich_help_panel=options.MACHINE)]


@one_sentence_errors
def command(
    source: options.SourceArgument,
    model: ModelOption,
    out: OutOption = None,
    top: TopOption = None,
    score: ScoreOption = 0.5,
    pictures: options.PicturesFlag = True,
    draw: options.DrawOption = 100,
    device: DeviceOption = "cpu",
    threads: options.ThreadsOption = None,
    max_pixels: options.MaxPixelsOption = 178_000_000,
    data: options.DataOption = None,
    allow_outside: options.AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Name the objects of photographs with a detector that was trained on your classes.

    Scores of 0.5 and more are kept; --score 0.05 keeps what an evaluation needs.
    """
    from objectness.cli import detect_report as report
    from objectness.cli.detect_run import DetectResults, run
    from objectness.cli.propose_plan import number, plan
    from objectness.files.atomic_write import protecting
    from objectness.formats.coco_journal import Journal, count_images
    from objectness.images.finding import find_photos
    from objectness.inference.detector_loading import load_detector

    output = Output(as_json, quiet)
    found = find_photos(source)
    numbered = number(found.photos, data, allow_outside=allow_outside)
    detector = load_detector(model, top=top, score=score, threads=threads, device=device, max_pixels=max_pixels)
    if not detector.description.proposes:
        raise InputError(
            f"{detector.description.name} was trained on the proposals of a file and makes none of its own: give a "
            "detector of the recipe faster-rcnn."
        )
    results = DetectResults(detector.description.class_names, report.category_ids(detector.description))
    for unusable, why in found.failed.items():
        results.fail(unusable, why, output)
    for photo, reason in numbered.failed.items():
        results.fail(photo, reason, output)
    if out is None and (pictures or not as_json):
        out = Path(OUT)
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--out {out}: the folder cannot be made ({error.strerror}); name another.") from None
    with protecting([*found.photos, *(path for path in (Path(model), data) if path is not None)]):
        tasks = plan(numbered.image_ids, out, pictures=pictures)
        if out is not None:
            results.journal = Journal(out / RESULTS_NAME)
        before = 0 if out is None else count_images(out / RESULTS_NAME)
        place = None
        is_whole = False
        try:
            run(detector, tasks, draw, results, output)
            is_whole = not results.interrupted
        finally:  # whatever ends the run, what was done so far is kept
            if results.journal is not None:
                place = results.journal.place(stopped=not is_whole)
        if place is not None:
            report.write_classes(place, results)
    left = report.Left(results.failed, found.passed_over)
    written = report.Written(out, place, before, results.pictures, (), results.interrupted)
    output.result(report.document(detector, results, left, written))
    report.show(detector, results, left, written, output)
    if results.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if results.failed:
        raise typer.Exit(EXIT_SOME_FAILED)
