"""``objectness propose``: photographs in; drawn pictures, ``proposals.json`` and a table out."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from objectness.cli.bars import bar
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
    from objectness.proposals import Proposals
    from objectness.proposer import Outcome, Proposer

RESULTS_NAME = "proposals.json"
_MAX_ROWS = 100  # of the table: more scroll away, and all of them are in proposals.json


@dataclass(frozen=True)
class _Task:
    """One photograph and where its results go."""

    photo: Path
    image_id: int | str
    picture: Path | None


@dataclass
class _Results:
    """What has been done so far: whole at any moment, so that Ctrl-C loses nothing."""

    proposals: dict[int | str, Proposals] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    interrupted: bool = False

    def fail(self, photo: Path, error: InputError, output: Output) -> None:
        self.failed.append({"file": str(photo), "error": str(error)})
        output.warn(f"objectness: {_printable(str(error))}")


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
        int | None, typer.Option(min=1, help="Proposals a photo, at most.", show_default="the model's, 300")
    ] = None,
    score: Annotated[float, typer.Option(min=0, max=1, help="Leave out proposals below this score.")] = 0.0,
    nms: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Drop the worse of two boxes that overlap by more than this IoU.",
            show_default="the model's, 0.7",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the pictures and proposals.json.")] = Path("proposals"),
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
        str, typer.Option(help="auto (what the file is made for), onnxruntime, openvino or torch.")
    ] = "auto",
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Find the boxes of photographs that may hold an object."""
    from objectness.formats import coco_results
    from objectness.images.finding import find_photos
    from objectness.loading import load

    output = Output(as_json, quiet)
    results = _Results()
    photos = find_photos(source)
    image_ids = _number(photos, data, results, output)
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
    _make_folder(out)
    tasks = _plan([photo for photo in photos if photo in image_ids], image_ids, out if pictures else None)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # about odd metadata, and no photograph is named in them
        try:
            _run(proposer, tasks, draw, results, output)
        finally:  # whatever ends the run, what was done so far is kept
            coco_results.write(out / RESULTS_NAME, results.proposals)
    _report(results, proposer.description, out, output, pictures=pictures)
    if results.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if results.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _number(photos: Sequence[Path], data: Path | None, results: _Results, output: Output) -> dict[Path, int | str]:
    """An image id for each photograph; one that the ground truth does not hold fails here."""
    if data is None:
        return {photo: number for number, photo in enumerate(photos, start=1)}
    from objectness.formats.known import known_images
    from objectness.image_index import ImageIndex, Named

    known = known_images(data)
    images = () if known is None else known.images
    by_file = {os.path.realpath(image.path): place for place, image in enumerate(images)}
    index = ImageIndex(Named(image.own_id, os.path.abspath(image.path)) for image in images)  # noqa: PTH100
    named = index.each([os.path.abspath(photo) for photo in photos])  # noqa: PTH100
    image_ids: dict[Path, int | str] = {}
    for photo, places in zip(photos, named, strict=True):
        place = by_file.get(os.path.realpath(photo), places[0] if len(places) == 1 else None)
        image_id = None if place is None else images[place].image_id
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


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: the folder cannot be made ({error.strerror}); name another.") from None


def _plan(photos: Sequence[Path], image_ids: dict[Path, int | str], out: Path | None) -> list[_Task]:
    """Give every photograph a picture of its own: never another's, and never a photograph."""
    from objectness.images.finding import DRAWN_SUFFIX

    taken = {os.path.realpath(photo).casefold() for photo in photos}
    tasks = []
    for photo in photos:
        if out is None:
            tasks.append(_Task(photo, image_ids[photo], None))
            continue
        suffix = ".png" if photo.suffix.lower() == ".png" else ".jpg"
        number = 1
        while True:
            name = photo.stem if number == 1 else f"{photo.stem}_{number}"
            picture = out / f"{name}{DRAWN_SUFFIX}{suffix}"
            key = os.path.realpath(picture).casefold()
            if key not in taken:
                break
            number += 1
        taken.add(key)
        tasks.append(_Task(photo, image_ids[photo], picture))
    return tasks


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
    proposals = outcome.proposals
    assert proposals is not None
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
        "picture": None,
    }
    results.rows.append(row)
    if task.picture is None or outcome.image is None:
        return
    from objectness.drawing import draw_boxes

    picture = draw_boxes(outcome.image, proposals.boxes_xyxy, proposals.scores, limit=draw)
    try:
        picture.save(task.picture, quality=90)
    except OSError as error:
        reason = error.strerror or error
        results.fail(task.photo, InputError(f"{task.picture}: cannot be written ({reason})."), output)
    else:
        row["picture"] = str(task.picture)


def _report(results: _Results, description: ModelDescription, out: Path, output: Output, *, pictures: bool) -> None:
    model = description.name
    known = {"model": model, "calibrated": description.calibrated}
    output.result({**known, "images": results.rows, "failed": results.failed, "out": str(out)})
    if results.rows and not output.as_json:
        output.tables.print(_table(results.rows[:_MAX_ROWS]))
    if output.quiet or output.as_json:
        return
    if len(results.rows) > _MAX_ROWS:
        print(f"... and {len(results.rows) - _MAX_ROWS} more photos.")
    drawn = sum(row["picture"] is not None for row in results.rows)
    also = f" and {drawn} picture{'s' if drawn != 1 else ''}" if pictures else ""
    stopped = "Stopped: what was done so far was kept. " if results.interrupted else ""
    unsure = "" if description.calibrated else ", scores not calibrated"
    failed = f" {len(results.failed)} failed." if results.failed else ""
    print(f"{stopped}Wrote {_printable(str(out / RESULTS_NAME))}{also} (model {model}{unsure}).{failed}")


def _table(rows: Sequence[dict[str, Any]]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("file", overflow="fold")
    for name in ("size", "proposals", "best score", "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for row, shown in zip(rows, _without_common_folder([row["file"] for row in rows]), strict=True):
        best = "-" if row["best_score"] is None else f"{row['best_score']:.3f}"
        size = f"{row['width']} x {row['height']}"
        file = Text(_printable(shown))  # as Text, so that [brackets] in a name are no markup
        table.add_row(file, size, str(row["proposals"]), best, f"{row['seconds'] * 1000:.0f}")
    return table


def _without_common_folder(files: Sequence[str]) -> list[str]:
    try:
        whole = [Path(file).absolute() for file in files]
        folder = os.path.commonpath([file.parent for file in whole])
        return [str(file.relative_to(folder)) for file in whole]
    except ValueError:  # on two drives
        return list(files)


def _printable(text: str) -> str:
    """A file name may hold anything but a slash: control codes, or bytes that are no UTF-8."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
