"""Training in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objectness.errors import InputError
from objectness.installation import require_training
from objectness.settings import merge

if TYPE_CHECKING:
    from objectness.training.loop import Outcome, Watcher

RUNS = Path("runs/train")


@dataclass(frozen=True)
class TrainedRun:
    """A run that ended.

    Attributes:
        folder: Holds config.json, results.csv, results.png and the checkpoints; ``objectness.load`` takes it.
        outcome: Best validation, one row an epoch, seconds, and whether Ctrl-C ended the run early.
    """

    folder: Path
    outcome: Outcome

    @property
    def best(self) -> Path:
        """The checkpoint of the best validation."""
        from objectness.training.checkpoints import BEST_FILE

        return self.folder / BEST_FILE


def train(
    data: str | PathLike[str],
    *,
    recipe: str | None = None,
    weights: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    folder: str | PathLike[str] | None = None,
    strict: bool = False,
    allow_outside: bool = False,
    watchers: Sequence[Watcher] = (),
    notify: Callable[[str], None] = lambda sentence: None,
) -> TrainedRun:
    """Train a Region Proposal Network on the boxes of a data set. Needs PyTorch.

    Ctrl-C saves and returns; ``objectness.training.run.resume(folder)`` goes on.

    Args:
        data: A COCO, Pascal VOC or YOLO folder or file; class names are not needed.
        recipe: "fine-tune", "task-aligned", "two-stage", "small", "paper-vgg16", "paper-zf" or "fpn-resnet50"; None for
            fine-tune, or task-aligned where training starts from no network.
        weights: Start: "default" (the bundled model), an .onnx file, a checkpoint or a run folder; "imagenet" for the
            backbone alone; "none" for nothing; None for the recipe's own.
        overrides: Dotted key -> value, as ``{"loop.epochs": 5, "anchors.sizes": [32, 64]}``.
        folder: Run folder that is made; it must not exist. None for ``runs/train/RECIPE``, numbered where that exists.
        strict: Refuse data that would need repair.
        allow_outside: File names in the data set may lead out of its folder.
        watchers: Called after each batch, step and epoch.
        notify: Called with sentences on the data and the run, as ``print``.

    Returns:
        The run: ``train("DATA").best`` is a checkpoint for ``objectness.load``, ``evaluate`` and export.

    Raises:
        InputError: data, settings or weights that cannot be used; a folder that exists or cannot be made; PyTorch is
            not installed.
    """
    require_training("Training")
    from objectness.training import run
    from objectness.training.choose_settings import choose_settings

    changes = _nested(overrides or {})
    settings = choose_settings(recipe, weights, lambda chosen: merge(chosen, changes))
    place = None if folder is None else Path(folder)
    if place is not None and place.exists():
        raise InputError(f"{place} exists: name a new folder for the run.")
    prepared = run.prepare(Path(data), settings, strict, allow_outside=allow_outside)
    made = run.new_folder(RUNS, settings.recipe) if place is None else run.new_folder(place.parent, place.name)
    return TrainedRun(made, run.start(prepared, made, watchers=watchers, tell=notify))


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as groups in groups."""
    document: dict[str, Any] = {}
    for key, value in flat.items():
        *groups, name = key.split(".")
        group = document
        for one in groups:
            group = group.setdefault(one, {})
        group[name] = value
    return document
