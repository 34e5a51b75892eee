"""Run of ``objectness crops``: photograph after photograph, and what is said of them at the end."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objectness.cli.output import Output
from objectness.cli.propose_progress import Progress
from objectness.cli.propose_report import counted, without_common_folder
from objectness.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from objectness.cli.propose_plan import Task
    from objectness.drawing.crops import Crop, CropSettings
    from objectness.inference.proposer import Outcome, Proposer

_IS_CROP = re.compile(r"\.crop-\d{3,}\.(jpg|png)$")
_MAX_ROWS = 100  # of the table: more scroll away, and all crops are in crops.json


@dataclass
class CropResults:
    """Progress of the run.

    Attributes:
        output: Where it is told.
        settings: Which boxes are cut out, and how.
        max_pixels: Of a photograph.
        crops: What crops.json holds: one object a crop, by photograph, best first.
        rows: What is said of each photograph.
        failed: What went wrong.
        interrupted: Whether the run was stopped.
    """

    output: Output
    settings: CropSettings
    max_pixels: int
    crops: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    interrupted: bool = False

    @property
    def is_damaged(self) -> bool:
        """Whether parts of a crop could not be read."""
        return any(crop["damaged"] for crop in self.crops)

    def fail(self, photo: Path | str, sentence: str | InputError) -> None:
        """Note what went wrong, and say it."""
        self.failed.append({"file": str(photo), "error": str(sentence)})
        self.output.warn(f"objectness: {sentence}")

    def write_list(self, path: Path) -> None:
        """Write crops.json, unless no photograph could be used.

        Raises:
            InputError: It cannot be written.
        """
        from objectness.files.atomic_write import replacing

        if not self.rows:
            return
        with replacing(path) as file:
            file.write("[\n" + ",\n".join(map(json.dumps, self.crops)) + "\n]\n")

    def older(self, out: Path) -> int:
        """Number of crops in the folder that an earlier run cut and this one did not write anew."""
        own = {crop["file"] for crop in self.crops}
        return sum(path.name not in own and _IS_CROP.search(path.name) is not None for path in out.iterdir())

    def document(self, proposer: Proposer, out: Path, passed_over: Mapping[str, int]) -> dict[str, Any]:
        """The JSON document."""
        return {
            "model": proposer.description.name,
            "device": proposer.device,
            "out": str(out),
            "images": self.rows,
            "crops": self.crops,
            "older_crops": self.older(out),
            "failed": self.failed,
            "passed_over": dict(passed_over),
        }

    def show(self, proposer: Proposer, out: Path, passed_over: Mapping[str, int]) -> None:
        """Print the table and the closing line."""
        from objectness.images.finding import not_taken

        if self.output.as_json or self.output.quiet:
            return
        if self.rows:
            self.output.table(_table(self.rows[:_MAX_ROWS], proposer.device))
        if len(self.rows) > _MAX_ROWS:
            self.output.summary(f"... and {len(self.rows) - _MAX_ROWS} more photos.")
        said = ["Stopped: what was done so far was kept." if self.rows else "Stopped."] if self.interrupted else []
        name = proposer.description.name
        if self.rows:
            said.append(f"Wrote {counted(len(self.crops), 'crop')} and crops.json into {out} (model {name}).")
        else:
            said.append("No photo could be used: nothing was written.")
        older = self.older(out)
        said += (
            [f"{counted(older, 'crop')} of earlier runs in it {'is' if older == 1 else 'are'} not listed."]
            if older
            else []
        )
        said += [f"{len(self.failed)} failed."] if self.failed else []
        said += [not_taken(passed_over)] if passed_over else []
        self.output.summary(" ".join(said))


def run(proposer: Proposer, tasks: Sequence[Task], results: CropResults) -> None:
    """Cut crops out of every photograph; one that fails, or a stop, takes nothing that was done."""
    with Progress(results.output, len(tasks)) as progress:
        try:
            stream = proposer.tiled(on_tile=progress.on_tile).stream((task.photo for task in tasks), keep_images=True)
            for task, outcome in zip(tasks, stream, strict=True):
                _keep(task, outcome, results)
                progress.photograph_done()
        except KeyboardInterrupt:
            results.interrupted = True


def _keep(task: Task, outcome: Outcome, results: CropResults) -> None:
    from objectness.drawing.crops import cut_crops
    from objectness.images.windows.open_windows import open_windows

    if outcome.error is not None:
        results.fail(task.photo, outcome.error)
        return
    found = outcome.proposals
    assert found is not None
    if outcome.frames > 1:
        results.output.note(f"{task.photo}: holds {outcome.frames} frames or pages; the first was taken.")
    for remark in () if outcome.tiling is None else outcome.tiling.remarks:
        (results.output.warn if outcome.tiling and outcome.tiling.missing else results.output.note)(remark)
    height, width = found.size_hw
    row = {
        "file": str(task.photo),
        "image_id": task.image_id,
        "width": width,
        "height": height,
        "crops": 0,
        "best_score": None,
        "seconds": round(outcome.seconds, 4),
        "frames": outcome.frames,
    }
    results.rows.append(row)
    written: list[dict[str, Any]] = []
    try:
        image = task.photo if outcome.image is None else outcome.image
        with closing(open_windows(image, max_pixels=results.max_pixels)) as reader:
            for crop in cut_crops(reader, found, results.settings):
                _write(task, crop, written)
    except InputError as error:
        results.fail(task.photo, error)
    finally:  # also of a photograph in which the run was stopped
        written.sort(key=lambda entry: -entry["score"])
        results.crops += written
        row["crops"] = len(written)
        row["best_score"] = written[0]["score"] if written else None


def _write(task: Task, crop: Crop, written: list[dict[str, Any]]) -> None:
    """Save a crop and list it, as crops.json will."""
    from PIL import Image

    from objectness.drawing.saving import save_picture
    from objectness.images.finding import DRAWN_SUFFIX

    assert task.picture is not None
    stem = task.picture.stem.removesuffix(DRAWN_SUFFIX)
    place = task.picture.with_name(f"{stem}.crop-{crop.rank:03}{task.picture.suffix}")
    save_picture(Image.fromarray(crop.pixels), place, quality=95)
    entry = {
        "file": place.name,
        "photo": str(task.photo),
        "image_id": task.image_id,
        "score": float(f"{crop.score:.6g}"),
        "box": [round(float(value), 2) for value in crop.box_xyxy],
        "part": [crop.part.x, crop.part.y, crop.part.x + crop.part.width, crop.part.y + crop.part.height],
        "width": crop.pixels.shape[1],
        "height": crop.pixels.shape[0],
        "damaged": crop.is_damaged,
    }
    written.append(entry)


def _table(rows: Sequence[Mapping[str, Any]], device: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("file", overflow="fold")
    for heading in ("size", "crops", "best score", f"ms on {device}"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row, shown in zip(rows, without_common_folder([row["file"] for row in rows]), strict=True):
        best = "-" if row["best_score"] is None else f"{row['best_score']:.2f}"
        size = f"{row['width']} x {row['height']}"
        table.add_row(shown, size, str(row["crops"]), best, f"{row['seconds'] * 1000:.0f}")
    return table
