"""``objectness propose``: photographs in; drawn pictures, ``proposals.json`` and a table out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from objectness.cli import propose_report as report
from objectness.cli.output import (
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    AllowOutsideFlag,
    JsonFlag,
    Output,
    QuietFlag,
    bar,
    one_sentence_errors,
)
from objectness.cli.propose_report import Written
from objectness.errors import InputError

if TYPE_CHECKING:
    from objectness.engines.settings import EngineName
    from objectness.formats.coco_journal import Journal
    from objectness.inference.proposer import Outcome, Proposer
    from objectness.proposals import Proposals

OUT, RESULTS_NAME = "proposals", "proposals.json"
_LONGEST_STEM_BYTES = 220  # file systems take names of 255


@dataclass(frozen=True)
class _Task:
    """One photograph and where its results go."""

    photo: Path
    image_id: int | str
    picture: Path | None


@dataclass
class _Results:
    """Progress of the run.

    Attributes:
        journal: Where the boxes go as they are found; None where no file was asked for.
        proposals: Image id -> boxes, held where a JSON document is to be printed at the end.
        rows: What is said of each photograph.
        failed: What went wrong.
        interrupted: Whether the run was stopped.
    """

    journal: Journal | None = None
    proposals: dict[int | str, Proposals] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    interrupted: bool = False

    def fail(self, photo: Path | str, error: InputError, output: Output) -> None:
        self.failed.append({"file": str(photo), "error": str(error)})
        output.warn(f"objectness: {error}")


@one_sentence_errors
def command(
    source: Annotated[
        list[str],
        typer.Argument(help="Photos, folders (with their subfolders), quoted patterns, or .txt lists of paths."),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="An .onnx or OpenVINO .xml file, a .safetensors checkpoint or a run folder.", show_default="built in"
        ),
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="Proposals a photo, at most.", show_default="the model's own")
    ] = None,
    score: Annotated[float, typer.Option(min=0, max=1, help="Leave out proposals below this score.")] = 0.0,
    nms: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Drop the worse of two boxes that overlap by more than this IoU.",
            show_default="the model's own",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the pictures and proposals.json.",
            show_default="proposals; none with --json --no-pictures, which then writes no file",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Ground truth whose image ids to use, by file name.",
            show_default="photos are numbered from 1",
        ),
    ] = None,
    draw: Annotated[int, typer.Option(min=1, help="Boxes drawn on each picture, the best ones.")] = 30,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Draw a picture of each photo.")] = True,
    min_side: Annotated[
        float, typer.Option(min=0, help="Leave out boxes less wide or high than this, in pixels of the photo.")
    ] = 1.0,
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse photos of more pixels than this.")] = 178_000_000,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.", show_default="all cores")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda; for OpenVINO cpu, gpu, npu or auto.")] = "cpu",
    engine: Annotated[
        str, typer.Option(help="auto (the engine of the file), onnxruntime, openvino or torch.")
    ] = "auto",
    allow_outside: AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Find the boxes of photographs that may hold an object."""
    from objectness.files.atomic_write import protecting
    from objectness.formats.coco_journal import Journal, count_images
    from objectness.images.finding import find_photos
    from objectness.inference.loading import load

    output = Output(as_json, quiet)
    results = _Results()
    found = find_photos(source)
    photos = found.photos
    for unusable, why in found.failed.items():
        results.fail(unusable, InputError(why), output)
    image_ids = _number(photos, data, results, output, allow_outside)
    proposer = load(
        model,
        top=top,
        score=score,
        nms=nms,
        threads=threads,
        device=device,
        engine=cast("EngineName", engine),
        min_side=min_side,
        max_pixels=max_pixels,
    )
    if out is None and (pictures or not as_json):
        out = Path(OUT)
    if out is not None:
        _make_folder(out)
    inputs = [*photos, *(source_path for source_path in (model, data) if source_path is not None)]
    with protecting(inputs):
        tasks = _plan([photo for photo in photos if photo in image_ids], image_ids, out if pictures else None)
        if out is not None:
            results.journal = Journal(out / RESULTS_NAME)
        before = 0 if out is None else count_images(out / RESULTS_NAME)
        is_whole = False
        place = None
        try:
            _run(proposer, tasks, draw, results, output)
            is_whole = not results.interrupted
        except InputError as error:  # the disk is full, say
            raise InputError(f"{error} {_kept(results)}") from None
        finally:  # whatever ends the run, what was done so far is kept
            if results.journal is not None:
                place = results.journal.place(stopped=not is_whole)
    written = Written(out, place, before, tuple(row["picture"] for row in results.rows if row["picture"]))
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


def _kept(results: _Results) -> str:
    done = len(results.rows)
    return f"What was done before is kept: photographs: {done}." if done else "Nothing was done before."


def _number(
    photos: Sequence[Path], data: Path | None, results: _Results, output: Output, allow_outside: bool
) -> dict[Path, int | str]:
    """An image id for each photograph; one that the ground truth does not hold fails here."""
    if data is None:
        return {photo: number for number, photo in enumerate(photos, start=1)}
    from objectness.formats.core.image_lookup import index_images, require_own_ids

    image_index = index_images(data, allow_outside=allow_outside)
    assert image_index is not None
    require_own_ids(image_index)
    image_ids: dict[Path, int | str] = {}
    for photo, places in zip(photos, image_index.of_files(photos), strict=True):
        image_id = image_index.images[places[0]].image_id if len(places) == 1 else None
        if image_id is None:
            reason = f"{len(places)} images have this name" if places else "no image has this name"
            results.fail(photo, InputError(f"{photo}: in the ground truth {data} {reason}; left out."), output)
        else:
            image_ids[photo] = image_id
    if not image_ids:
        raise InputError(f"None of the {len(photos)} photographs is in the ground truth {data}; check --data.")
    twice = next((i for i, count in Counter(image_ids.values()).items() if count > 1), None)
    if twice is not None:
        same = [str(photo) for photo, image_id in image_ids.items() if image_id == twice]
        raise InputError(f"{same[0]} and {same[1]} both have the image id {twice} in {data}; name one split.")
    return image_ids


def _plan(photos: Sequence[Path], image_ids: dict[Path, int | str], out: Path | None) -> list[_Task]:
    """Give every photograph a picture of its own: never another's, and never a photograph."""
    from objectness.images.finding import DRAWN_SUFFIX, real_path

    taken = {real_path(photo).casefold() for photo in photos}
    tasks = []
    for photo in photos:
        if out is None:
            tasks.append(_Task(photo, image_ids[photo], None))
            continue
        suffix = ".png" if photo.suffix.lower() == ".png" else ".jpg"
        number = 1
        while True:
            more = "" if number == 1 else f"_{number}"
            picture = out / f"{_shortened(photo.stem)}{more}{DRAWN_SUFFIX}{suffix}"
            key = real_path(picture).casefold()
            if key not in taken:
                break
            number += 1
        taken.add(key)
        tasks.append(_Task(photo, image_ids[photo], picture))
    return tasks


def _shortened(stem: str) -> str:
    """A name that leaves room for what comes behind it."""
    while len(stem.encode("utf-8", "surrogatepass")) > _LONGEST_STEM_BYTES:
        stem = stem[:-1]
    return stem


def _run(proposer: Proposer, tasks: Sequence[_Task], draw: int, results: _Results, output: Output) -> None:
    with bar(output, "proposing", len(tasks)) as advance:
        stream = proposer.stream((task.photo for task in tasks), keep_images=any(task.picture for task in tasks))
        try:
            for task, outcome in zip(tasks, stream, strict=True):
                _keep(task, outcome, draw, results, output)
                advance()
        except KeyboardInterrupt:
            results.interrupted = True


def _keep(task: _Task, outcome: Outcome, draw: int, results: _Results, output: Output) -> None:
    if outcome.error is not None:
        results.fail(task.photo, outcome.error, output)
        return
    assert outcome.proposals is not None
    proposals = _finite(task, outcome.proposals, results, output)
    if results.journal is not None:
        results.journal.add(task.image_id, proposals)
    if output.as_json:
        results.proposals[task.image_id] = proposals
    height, width = proposals.size_hw
    row = {
        "file": str(task.photo),
        "image_id": task.image_id,
        "width": width,
        "height": height,
        "proposals": len(proposals),
        "best_score": round(float(proposals.scores[0]), 6) if len(proposals) else None,
        "seconds": round(outcome.seconds, 4),
        "frames": outcome.frames,
        "picture": None,
    }
    if outcome.frames > 1:
        output.note(f"{task.photo}: holds {outcome.frames} frames or pages; the first was taken.")
    results.rows.append(row)
    if task.picture is None or outcome.image is None:
        return
    from objectness.drawing import draw_boxes
    from objectness.drawing.saving import save_picture

    picture = draw_boxes(outcome.image, proposals.boxes_xyxy, proposals.scores, limit=draw)
    try:
        save_picture(picture, task.picture)
    except InputError as error:
        results.fail(task.photo, error, output)
    else:
        row["picture"] = str(task.picture)


def _finite(task: _Task, found: Proposals, results: _Results, output: Output) -> Proposals:
    """The proposals that are numbers; a model's others are named and left out."""
    import numpy as np

    from objectness.proposals import Proposals

    usable = np.isfinite(found.boxes_xyxy).all(axis=1) & np.isfinite(found.scores)
    if usable.all():
        return found
    bad = int((~usable).sum())
    reason = f"{task.photo}: the model gave {bad} of {len(found)} proposals a box or score that is no finite number"
    results.fail(task.photo, InputError(f"{reason}; these were left out."), output)
    return Proposals(found.boxes_xyxy[usable], found.scores[usable], found.size_hw, found.source)
