"""Final report of ``objectness propose``: table, closing line, JSON document."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objectness.cli.output import Output
from objectness.cli.propose_resume import UNFINISHED

if TYPE_CHECKING:
    from rich.table import Table

    from objectness.cli.propose_plan import Task
    from objectness.engines import ModelDescription
    from objectness.images.windows.protocol import Rectangle
    from objectness.inference.proposer import Outcome
    from objectness.inference.tiling.result import TileProgress
    from objectness.proposals import Proposals

_MAX_ROWS = 100  # of the table: more scroll away, and all of them are in proposals.json


def row_of(
    task: Task, found: Proposals, missing: Sequence[Rectangle], outcome: Outcome | None = None
) -> dict[str, Any]:
    """What is said of a photograph; without an outcome, of one that an earlier run has done."""
    height, width = found.size_hw
    tiling = None if outcome is None else outcome.tiling
    return {
        "file": str(task.photo),
        "image_id": task.image_id,
        "width": width,
        "height": height,
        "proposals": len(found),
        "best_score": round(float(found.scores[0]), 6) if len(found) else None,
        "seconds": None if outcome is None else round(outcome.seconds, 4),
        "frames": 1 if outcome is None else outcome.frames,
        "tiling": None
        if tiling is None
        else {
            "tiles": tiling.tiles,
            "tile": tiling.tile,
            "overlap": tiling.overlap,
            "exact": tiling.exact,
            "scales": [[wide, high] for high, wide in tiling.scales_hw],
        },
        "missing": [[part.x, part.y, part.width, part.height] for part in missing],
        "picture": None,
        "details": [],
        "geojson": None,
    }


@dataclass(frozen=True)
class Written:
    """Where the results of a run are.

    Attributes:
        folder: Of the results; None where no file was asked for.
        results: The file of boxes; None where there is none.
        replaced: For how many images the file was that stood there before.
        pictures: What was drawn, details too.
        geojsons: Files in the coordinate system of their image.
        is_stopped: Whether the run did not come to its end.
    """

    folder: Path | None
    results: Path | None
    replaced: int
    pictures: tuple[str, ...]
    geojsons: tuple[str, ...]
    is_stopped: bool

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Results that lie in the folder because the run that wrote them was killed, or goes on."""
        from objectness.formats.coco_journal import is_partial

        if self.folder is None:
            return ()
        left = (name for name in sorted(_names(self.folder)) if is_partial(name) or name == UNFINISHED)
        return tuple(str(self.folder / name) for name in left if self.folder / name != self.results)

    @property
    def older_pictures(self) -> int:
        """Number of pictures in the folder that an earlier run drew."""
        from objectness.images.finding import DRAWN_SUFFIX

        if self.folder is None:
            return 0
        drawn = {Path(picture).name for picture in self.pictures}
        suffixes = tuple(f"{DRAWN_SUFFIX}{suffix}" for suffix in (".jpg", ".png"))
        return sum(name.endswith(suffixes) and name not in drawn for name in _names(self.folder))


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208
    except OSError:
        return []


@dataclass(frozen=True)
class Left:
    """Inputs without proposals.

    Attributes:
        failed: Photographs, folders and other sources that could not be used, with the reason.
        passed_over: Kind -> how many files of the folders are no photographs that can be read.
    """

    failed: Sequence[Mapping[str, str]]
    passed_over: Mapping[str, int]


@dataclass(frozen=True)
class Stop:
    """Where a run was stopped.

    Attributes:
        under_way: The large image in which it was, if it was in one.
    """

    under_way: TileProgress | None

    def sentence(self, *, done: int) -> str:
        """Where that was, and that nothing is lost."""
        from objectness.images import describe

        where = "Stopped"
        if self.under_way is not None:
            now = self.under_way
            where = f"Stopped in {describe(now.source)} after {now.done:,} of {now.tiles:,} tiles"
        return f"{where}: what was done so far was kept." if done or self.under_way else "Stopped."


def document(
    description: ModelDescription,
    device: str,
    rows: Sequence[Mapping[str, Any]],
    proposals: Mapping[int | str, Proposals],
    left: Left,
    written: Written,
) -> Iterator[str]:
    """The JSON document as pieces of text, one line an image; boxes are x1, y1, x2, y2 in the photograph's pixels."""
    known = {"model": description.name, "calibrated": description.calibrated, "device": device}
    yield "{\n" + "".join(f"  {json.dumps(key)}: {json.dumps(value)},\n" for key, value in known.items())
    yield '  "images": ['
    for position, row in enumerate(rows):
        whole = {**row, **_boxes(proposals[row["image_id"]])}
        yield f"{',' if position else ''}\n    {json.dumps(whole, allow_nan=False)}"
    yield "\n  ],\n"
    last = {
        "failed": list(left.failed),
        "passed_over": dict(left.passed_over),
        "out": None if written.folder is None else str(written.folder),
        "results": None if written.results is None else str(written.results),
        "older_pictures": written.older_pictures,
        "unfinished": written.unfinished,
    }
    yield ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in last.items()) + "\n}\n"


def _boxes(found: Proposals) -> dict[str, Any]:
    import numpy as np

    return {
        "boxes": np.round(found.boxes_xyxy.astype(np.float64), 2).tolist(),
        "scores": [float(f"{score:.6g}") for score in found.scores.tolist()],
    }


def show(
    description: ModelDescription,
    device: str,
    rows: Sequence[Mapping[str, Any]],
    left: Left,
    written: Written,
    output: Output,
    *,
    stop: Stop | None,
) -> None:
    """Print the table and the closing line; ``stop`` says where the run was stopped."""
    from objectness.images.finding import not_taken

    if output.as_json or output.quiet:
        return
    if rows:
        output.table(_table(rows[:_MAX_ROWS], device))
    if len(rows) > _MAX_ROWS:
        output.summary(f"... and {len(rows) - _MAX_ROWS} more photos.")
    unsure = "" if description.calibrated else ", scores not calibrated"
    said = [stop.sentence(done=len(rows))] if stop else []
    if written.results is None and stop is not None and not left.failed:
        pass  # nothing is whole yet
    elif written.results is None:
        said.append("No photo could be used: nothing was written.")
    else:
        drawn = len(written.pictures)
        also = f" and {counted(drawn, 'picture')}" if drawn else ""
        also += f" and {counted(len(written.geojsons), 'GeoJSON file')}" if written.geojsons else ""
        said.append(f"Wrote {written.results}{also} (model {description.name}{unsure}).")
    said += [f"{len(left.failed)} failed."] if left.failed else []
    said += _missing(rows)
    said += [not_taken(left.passed_over)] if left.passed_over else []
    said += _older(len(rows), written)
    said += ["The same command with --resume goes on from there."] if stop else []
    output.summary(" ".join(said))


def _missing(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Parts of images that could not be read: there nothing was looked for."""
    said = []
    for row in rows:
        if parts := row["missing"]:
            x, y, width, height = parts[0]
            first = f"{width:,} x {height:,} pixels at x {x:,}, y {y:,}"
            more = f" and {counted(len(parts) - 1, 'other part')}" if len(parts) > 1 else ""
            said.append(f"{row['file']}: {first}{more} could not be read, so that boxes are missing there.")
    return said


def _older(images: int, written: Written) -> list[str]:
    """Files of an earlier run, and their fate."""
    assert written.folder is not None
    said = []
    if written.replaced:
        whole = written.folder / "proposals.json"
        if written.results != whole:
            said.append(f"{whole} is still that of an earlier run, for {counted(written.replaced, 'photo')}.")
        elif written.replaced > images:
            said.append(f"It replaced that of an earlier run, which was for {counted(written.replaced, 'photo')}.")
    if (unfinished := written.unfinished) and not written.is_stopped:
        holds = "holds" if len(unfinished) == 1 else "hold"
        said.append(f"{', '.join(unfinished)} {holds} what a run found that was killed, failed or still goes on.")
    if older := written.older_pictures:
        said.append(f"{counted(older, 'picture')} of an earlier run {'lies' if older == 1 else 'lie'} there too.")
    return said


def counted(number: int, what: str) -> str:
    """A number and a noun."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _table(rows: Sequence[Mapping[str, Any]], device: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("file", overflow="fold")
    is_tiled, is_damaged = any(row["tiling"] for row in rows), any(row["missing"] for row in rows)
    more_columns = [*(["tiles"] if is_tiled else []), *(["missing parts"] if is_damaged else [])]
    for name in ("size", "proposals", "best score", *more_columns, f"ms on {device}"):
        table.add_column(name, justify="right", no_wrap=True)
    for row, shown in zip(rows, without_common_folder([row["file"] for row in rows]), strict=True):
        best = "-" if row["best_score"] is None else f"{row['best_score']:.3f}"
        size = f"{row['width']} x {row['height']}"
        time = "before" if row["seconds"] is None else f"{row['seconds'] * 1000:.0f}"
        more = [_tiles(row)] if is_tiled else []
        more += [f"{len(row['missing']):,}" if row["missing"] else "-"] if is_damaged else []
        table.add_row(shown, size, str(row["proposals"]), best, *more, time)
    return table


def _tiles(row: Mapping[str, Any]) -> str:
    tiling = row["tiling"]
    return "-" if tiling is None else f"{tiling['tiles']:,} of {tiling['tile']:,} px"


def without_common_folder(files: Sequence[str]) -> list[str]:
    """Paths below the folder that all of them lie in."""
    try:
        whole = [Path(file).absolute() for file in files]
        folder = os.path.commonpath([file.parent for file in whole])
        return [str(file.relative_to(folder)) for file in whole]
    except ValueError:  # on two drives
        return list(files)
