"""Run of ``objectness propose``: photograph after photograph, each kept as soon as it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objectness.cli.output import Output, bar
from objectness.errors import InputError

if TYPE_CHECKING:
    from objectness.cli.propose_plan import Task
    from objectness.formats.coco_journal import Journal
    from objectness.inference.proposer import Outcome, Proposer
    from objectness.proposals import Proposals


@dataclass
class Results:
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

    @property
    def pictures(self) -> tuple[str, ...]:
        """What was drawn."""
        return tuple(row["picture"] for row in self.rows if row["picture"])

    def fail(self, photo: Path | str, sentence: str | InputError, output: Output) -> None:
        """Note what went wrong, and say it."""
        self.failed.append({"file": str(photo), "error": str(sentence)})
        output.warn(f"objectness: {sentence}")


def run(proposer: Proposer, tasks: Sequence[Task], draw: int, results: Results, output: Output) -> None:
    """Propose for every photograph; one that fails, or a stop, takes nothing that was done.

    Raises:
        InputError: Results cannot be written any more.
    """
    with bar(output, "proposing", len(tasks)) as advance:
        stream = proposer.stream((task.photo for task in tasks), keep_images=any(task.picture for task in tasks))
        try:
            for task, outcome in zip(tasks, stream, strict=True):
                _keep(task, outcome, draw, results, output)
                advance()
        except KeyboardInterrupt:
            results.interrupted = True
        except InputError as error:  # the disk is full, say
            done = len(results.rows)
            kept = f"What was done before is kept: photographs: {done}." if done else "Nothing was done before."
            raise InputError(f"{error} {kept}") from None


def _keep(task: Task, outcome: Outcome, draw: int, results: Results, output: Output) -> None:
    if outcome.error is not None:
        results.fail(task.photo, outcome.error, output)
        return
    assert outcome.proposals is not None
    proposals = _finite(task, outcome.proposals, results, output)
    if results.journal is not None:
        results.journal.add(task.image_id, proposals)
    if output.as_json:
        results.proposals[task.image_id] = proposals
    if outcome.frames > 1:
        output.note(f"{task.photo}: holds {outcome.frames} frames or pages; the first was taken.")
    row = _row(task, outcome, proposals)
    results.rows.append(row)
    try:
        row["picture"] = _draw(task, outcome, proposals, draw)
    except InputError as error:
        results.fail(task.photo, error, output)


def _row(task: Task, outcome: Outcome, proposals: Proposals) -> dict[str, Any]:
    height, width = proposals.size_hw
    return {
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


def _draw(task: Task, outcome: Outcome, proposals: Proposals, draw: int) -> str | None:
    """Draw one photograph; gives the picture's file, if one was wanted."""
    if task.picture is None or outcome.image is None:
        return None
    from objectness.drawing import draw_boxes
    from objectness.drawing.saving import save_picture

    save_picture(draw_boxes(outcome.image, proposals.boxes_xyxy, proposals.scores, limit=draw), task.picture)
    return str(task.picture)


def _finite(task: Task, found: Proposals, results: Results, output: Output) -> Proposals:
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
