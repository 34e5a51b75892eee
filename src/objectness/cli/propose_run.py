"""Run of ``objectness propose``: photograph after photograph, each kept as soon as it is done."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objectness.cli.output import Output
from objectness.cli.propose_pictures import Wanted, draw_details, draw_overview_of, draw_picture, parts_of
from objectness.cli.propose_progress import Progress
from objectness.cli.propose_report import row_of
from objectness.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from objectness.cli.propose_plan import Task
    from objectness.cli.propose_resume import Unfinished
    from objectness.formats.coco_journal import Journal
    from objectness.images.windows.protocol import Rectangle
    from objectness.inference.proposer import Outcome, Proposer
    from objectness.inference.tiling.result import TileProgress
    from objectness.proposals import Proposals

_M_ARENA_MAX = -8  # malloc.h of glibc
_WITHOUT_COORDINATES = frozenset({".jpg", ".jpeg", ".png", ".webp"})  # formats that hold no coordinate system


@dataclass
class Results:
    """Progress of the run.

    Attributes:
        output: Where it is told.
        wanted: Pictures.
        geojson: Whether images with a coordinate system get a GeoJSON file.
        journal: Where the boxes go as they are found; None where no file was asked for.
        unfinished: What a later run goes on from; None as above.
        proposals: Image id -> boxes, held where a JSON document is to be printed at the end.
        rows: What is said of each photograph.
        failed: What went wrong.
        interrupted: Whether the run was stopped.
        under_way: The large image in which it was.
    """

    output: Output
    wanted: Wanted
    geojson: bool = True
    journal: Journal | None = None
    unfinished: Unfinished | None = None
    proposals: dict[int | str, Proposals] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    interrupted: bool = False
    under_way: TileProgress | None = None

    @property
    def drawn(self) -> tuple[str, ...]:
        """The pictures, with those of details."""
        return tuple(
            file for row in self.rows for file in ([row["picture"]] if row["picture"] else []) + row["details"]
        )

    @property
    def geojsons(self) -> tuple[str, ...]:
        """Boxes in the coordinate systems of their images."""
        return tuple(row["geojson"] for row in self.rows if row["geojson"])

    @property
    def is_damaged(self) -> bool:
        """Whether parts of an image could not be read."""
        return any(row["missing"] for row in self.rows)

    def fail(self, photo: Path | str, sentence: str | InputError) -> None:
        """Note what went wrong, and say it."""
        self.failed.append({"file": str(photo), "error": str(sentence)})
        self.output.warn(f"objectness: {sentence}")

    @contextmanager
    def failing(self, photo: Path) -> Iterator[None]:
        """What goes wrong inside takes nothing else with it."""
        try:
            yield
        except InputError as error:
            self.fail(photo, error)


def run(proposer: Proposer, tasks: Sequence[Task], done: Mapping[int | str, Proposals], results: Results) -> None:
    """Propose for every photograph; one that fails, or a stop, takes nothing that was done.

    Args:
        proposer: The model.
        tasks: All photographs.
        done: Image id -> proposals of those that an earlier run has done.
        results: Are filled.

    Raises:
        InputError: Results cannot be written any more.
    """
    share_heap()
    remaining = [task for task in tasks if task.image_id not in done]
    keep_images = any(task.picture for task in tasks)
    with Progress(results.output, len(remaining)) as progress:
        try:
            _take_over(tasks, done, results)
            watched = _watched(proposer, progress, results.unfinished)
            stream = watched.stream((task.photo for task in remaining), keep_images=keep_images)
            for task, outcome in zip(remaining, stream, strict=True):
                _keep(task, outcome, results)
                progress.photograph_done()
        except KeyboardInterrupt:
            results.interrupted = True
            results.under_way = progress.unfinished
        except InputError as error:  # the disk is full, say
            count = len(results.rows)
            kept = f"What was done before is kept: photographs: {count}." if count else "Nothing was done before."
            more = " The same command with --resume goes on from there." if results.unfinished is not None else ""
            raise InputError(f"{error} {kept}{more}") from None


def share_heap() -> None:
    """Let all threads share one heap of glibc; nothing on other systems.

    Left alone, each thread gets one of its own, which keeps what it once held: 86 MB more for a JPEG of 10,000 x 6,000
    pixels in tiles. For a process that is ours alone: a library leaves its caller's memory as it is.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another library of C
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _watched(proposer: Proposer, progress: Progress, unfinished: Unfinished | None) -> Proposer:
    """The same model, which tells of each tile, and keeps the tiles of an image that is not done."""
    if unfinished is None:
        return proposer.tiled(on_tile=progress.on_tile)
    return proposer.tiled(on_tile=progress.on_tile, journal=unfinished.folder, resume=unfinished.resumes)


def _take_over(tasks: Sequence[Task], done: Mapping[int | str, Proposals], results: Results) -> None:
    """Keep what an earlier run has done; a picture that it did not come to is drawn."""
    if results.journal is None or results.unfinished is None:
        return
    taken = [task for task in tasks if task.image_id in done]
    for task in taken:
        results.journal.add(task.image_id, done[task.image_id])
    results.unfinished.begin(tasks, results.journal.partial)
    for task in taken:
        found = done[task.image_id]
        missing = results.unfinished.missing.get(task.image_id, ())
        row = row_of(task, found, missing)
        _add(task, found, row, results)
        _locate(task, found, row, results)
        if task.picture is not None and task.picture.is_file() and not results.wanted.has_details:
            row["picture"] = str(task.picture)
        else:
            with results.failing(task.photo):
                _draw(task, found, _image_of(task, found), row, missing, results)


def _image_of(task: Task, found: Proposals) -> NDArray[np.uint8] | None:
    """The pixels of a photograph that is no large image."""
    from objectness.images import open_upright
    from objectness.inference.tiling.settings import LARGE_PIXELS

    is_large = found.size_hw[0] * found.size_hw[1] > LARGE_PIXELS
    return None if is_large or task.picture is None else open_upright(task.photo)


def _keep(task: Task, outcome: Outcome, results: Results) -> None:
    if outcome.error is not None:
        results.fail(task.photo, outcome.error)
        return
    assert outcome.proposals is not None
    found = _finite(task, outcome.proposals, results)
    tiling = outcome.tiling
    missing = () if tiling is None else tiling.missing
    if results.journal is not None:
        results.journal.add(task.image_id, found)
    if results.unfinished is not None and missing:
        results.unfinished.note_missing(task.image_id, missing)
    if outcome.frames > 1:
        results.output.note(f"{task.photo}: holds {outcome.frames} frames or pages; the first was taken.")
    for remark in () if tiling is None else tiling.remarks:
        (results.output.warn if missing else results.output.note)(remark)
    row = row_of(task, found, missing, outcome)
    _add(task, found, row, results)
    _locate(task, found, row, results)
    _draw(task, found, outcome.image, row, missing, results)


def _add(task: Task, found: Proposals, row: dict[str, Any], results: Results) -> None:
    results.rows.append(row)
    if results.output.as_json:
        results.proposals[task.image_id] = found


def _locate(task: Task, found: Proposals, row: dict[str, Any], results: Results) -> None:
    """Write the boxes of an image that has a coordinate system in it."""
    if task.geojson is None or not results.geojson or task.photo.suffix.lower() in _WITHOUT_COORDINATES:
        return
    from objectness.images.geo_reference import geo_reference

    if (reference := geo_reference(task.photo)) is None:
        return
    if not reference.crs.startswith("EPSG:"):
        results.output.note(f"{task.photo}: its coordinate system has no EPSG code, so no GeoJSON is written in it.")
        return
    from objectness.formats.geojson import write_located
    from objectness.proposal_set import ProposalSet

    with results.failing(task.photo):
        write_located(task.geojson, ProposalSet({task.image_id: found}), {task.image_id: reference})
        row["geojson"] = str(task.geojson)


def _draw(
    task: Task,
    found: Proposals,
    image: NDArray[np.uint8] | None,
    row: dict[str, Any],
    missing: Sequence[Rectangle],
    results: Results,
) -> None:
    """Draw a photograph, or the overview of a large image, and its details; what fails is said."""
    if task.picture is None:
        return
    wanted = results.wanted
    parts: tuple[Rectangle, ...] = ()
    with results.failing(task.photo):
        parts = parts_of(task.photo, found, wanted)
    with results.failing(task.photo):
        if image is None:
            row["picture"] = draw_overview_of(task.photo, task.picture, found, wanted, missing=missing, parts=parts)
        else:
            row["picture"] = draw_picture(task.picture, image, found, wanted)
    with results.failing(task.photo):
        row["details"] = draw_details(task.photo if image is None else image, task.picture, found, wanted, parts)


def _finite(task: Task, found: Proposals, results: Results) -> Proposals:
    """The proposals that are numbers; a model's others are named and left out."""
    import numpy as np

    from objectness.proposals import Proposals

    usable = np.isfinite(found.boxes_xyxy).all(axis=1) & np.isfinite(found.scores)
    if usable.all():
        return found
    bad = int((~usable).sum())
    reason = f"{task.photo}: the model gave {bad} of {len(found)} proposals a box or score that is no finite number"
    results.fail(task.photo, f"{reason}; these were left out.")
    return Proposals(found.boxes_xyxy[usable], found.scores[usable], found.size_hw, found.source)
