"""Run of ``objectness detect``: photograph after photograph, each kept as soon as it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objectness.cli.output import Output, bar
from objectness.errors import InputError

if TYPE_CHECKING:
    from objectness.cli.propose_plan import Task
    from objectness.detections import Detections
    from objectness.formats.coco_journal import Journal
    from objectness.inference.detector import DetectionOutcome, Detector


@dataclass
class DetectResults:
    """Progress of the run.

    Attributes:
        class_names: Of the detector.
        category_ids: The id of each class in the results.
        journal: Where the boxes go as they are found; None where no file was asked for.
        detections: Image id -> named boxes, held where a JSON document is to be printed at the end.
        rows: What is said of each photograph.
        failed: What went wrong.
        interrupted: Whether the run was stopped.
    """

    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    journal: Journal | None = None
    detections: dict[int | str, Detections] = field(default_factory=dict)
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


def run(detector: Detector, tasks: Sequence[Task], draw: int, results: DetectResults, output: Output) -> None:
    """Detect in every photograph; one that fails, or a stop, takes nothing that was done.

    Raises:
        InputError: Results cannot be written any more.
    """
    with bar(output, "detecting", len(tasks)) as advance:
        stream = detector.stream((task.photo for task in tasks), keep_images=any(task.picture for task in tasks))
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


def _keep(task: Task, outcome: DetectionOutcome, draw: int, results: DetectResults, output: Output) -> None:
    if outcome.error is not None:
        results.fail(task.photo, outcome.error, output)
        return
    found = outcome.detections
    assert found is not None
    if results.journal is not None:
        results.journal.add(task.image_id, found, [results.category_ids[label] for label in found.labels.tolist()])
    if output.as_json:
        results.detections[task.image_id] = found
    if outcome.frames > 1:
        output.note(f"{task.photo}: holds {outcome.frames} frames or pages; the first was taken.")
    row = _row(task, outcome, found)
    results.rows.append(row)
    if task.picture is None or outcome.image is None:
        return
    from objectness.drawing.named import draw_detections
    from objectness.drawing.saving import save_picture

    try:
        save_picture(draw_detections(outcome.image, found, limit=draw), task.picture)
        row["picture"] = str(task.picture)
    except InputError as error:
        results.fail(task.photo, error, output)


def _row(task: Task, outcome: DetectionOutcome, found: Detections) -> dict[str, Any]:
    height, width = found.size_hw
    names = found.names
    return {
        "file": str(task.photo),
        "image_id": task.image_id,
        "width": width,
        "height": height,
        "detections": len(found),
        "by_class": {name: names.count(name) for name in found.class_names if name in names},
        "best_score": round(float(found.scores[0]), 6) if len(found) else None,
        "seconds": round(outcome.seconds, 4),
        "frames": outcome.frames,
        "picture": None,
    }
