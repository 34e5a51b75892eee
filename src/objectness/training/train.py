"""Training in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objectness.errors import InputError
from objectness.installation import require_training

if TYPE_CHECKING:
    from objectness.training.loop import TrainingResult, Watcher

RUNS = Path("runs/train")


def train(
    data: str | PathLike[str],
    *,
    recipe: str | None = None,
    weights: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    folder: str | PathLike[str] | None = None,
    proposals: str | PathLike[str] | Sequence[str | PathLike[str]] = (),
    strict: bool = False,
    allow_outside: bool = False,
    watchers: Sequence[Watcher] = (),
    notify: Callable[[str], None] = lambda message: None,
) -> TrainingResult:
    """Train a Region Proposal Network, or a whole Faster R-CNN, on the boxes of a data set. Needs PyTorch.

    Ctrl-C saves and returns; ``objectness.training.run.resume(folder)`` goes on.

    Args:
        data: A COCO, Pascal VOC or YOLO folder or file; only a detector needs class names.
        recipe: "fine-tune", "task-aligned", "two-stage", "small", "paper-vgg16", "paper-zf" or "fpn-resnet50"; of
            a detector "faster-rcnn", "faster-rcnn-vgg16" or "fast-rcnn"; None for fine-tune, or task-aligned where
            training starts from no network.
        weights: Initial weights: "default" (the bundled model), an .onnx file, a checkpoint or a run folder; "imagenet"
            for the backbone alone; "none"; None for the recipe's own.
        overrides: Dotted key -> value, as ``{"loop.epochs": 5, "rpn.anchors.sizes": [32, 64]}``.
        folder: New run folder; None for ``runs/train/RECIPE``, numbered where that exists.
        proposals: Proposals that the recipe "fast-rcnn" trains on: a file of any format, or two, for training and for
            validation.
        strict: Refuse data that would need repair.
        allow_outside: File names in the data set may lead out of its folder.
        watchers: Called after each batch, update and epoch.
        notify: Called with sentences on the data and the run, as ``print``.

    Returns:
        The end of the run: ``train("DATA").best_checkpoint`` is a file for ``load``, ``evaluate`` and export.

    Raises:
        InputError: data, settings or weights that cannot be used; a folder that exists or cannot be made; PyTorch is
            not installed.
    """
    require_training("Training")
    from objectness.training.choose_settings import choose_settings
    from objectness.training.run import begin
    from objectness.training.run_config import RunConfig

    settings = choose_settings(recipe, weights, document=_nested(overrides or {}))
    if folder is not None and Path(folder).exists():
        raise InputError(f"{folder} exists: name a new folder for the run.")
    files = [proposals] if isinstance(proposals, str | PathLike) else proposals
    config = RunConfig(Path(data), settings, strict, allow_outside, tuple(map(Path, files)))
    return begin(config, Path(folder or RUNS / settings.recipe), watchers=watchers, notify=notify)


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
