"""Training from a data set to a run folder: ``begin`` a run, or ``resume`` one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from objectness.detector.checkpoint import load_detector
from objectness.detector.network import FasterRCNN
from objectness.errors import InputError
from objectness.rpn.checkpoint import load_network, read_description
from objectness.rpn.network import RegionProposalNetwork
from objectness.settings import Settings, describe, to_dict
from objectness.training.alternating import Alternation
from objectness.training.checkpoints import BEST_FILE, LAST_FILE, STATE_FILE
from objectness.training.data import planned_epochs, planned_steps
from objectness.training.detector_task import fast_rcnn_task, joint_task
from objectness.training.devices import computes_bf16, pick_device
from objectness.training.given_proposals import read_given
from objectness.training.initial_networks import build_detector, build_rpn, require_classes
from objectness.training.loop import TrainingResult, Watcher, fit
from objectness.training.report import reports
from objectness.training.rpn_task import rpn_task
from objectness.training.run_config import CONFIG_FILE, RunConfig, new_folder, read_config, run_folder
from objectness.training.splits import Splits, read_splits, require_boxes
from objectness.training.validation import validation_records
from objectness.version import __version__

Notify = Callable[[str], None]


def _silently(message: str) -> None:
    pass


@dataclass(frozen=True, eq=False)
class Prepared:
    """A run that can begin: data, settings and initial weights have been read and checked.

    Attributes:
        config: Data and settings.
        splits: The photographs.
        network: To be trained; in alternating training, in its first step.
        weights_note: One sentence on its initial weights.
        origin: Details of the network that they come from; empty without one.
    """

    config: RunConfig
    splits: Splits
    network: RegionProposalNetwork | FasterRCNN
    weights_note: str
    origin: Mapping[str, Any]


def begin(
    config: RunConfig, folder: Path, *, watchers: Sequence[Watcher] = (), notify: Notify = _silently
) -> TrainingResult:
    """Train from the first update on, into a new folder: ``folder``, or with a number behind its name where it exists.

    Ctrl-C finishes the running update, saves and returns; :func:`resume` goes on. A run that fails before it has
    saved anything leaves no folder behind.

    Args:
        config: Data and settings.
        folder: The run folder.
        watchers: Called after each batch, update and epoch.
        notify: Called with sentences on data, weights and length of the run.

    Raises:
        InputError: as :func:`prepare`; a full disk; a loss that is 0 or no longer finite.
    """
    notify(f"Reading {config.data} ...")
    return start(prepare(config), folder, watchers=watchers, notify=notify)


def prepare(config: RunConfig) -> Prepared:
    """Read the data and build the network: whatever is wrong with either is found before a folder is made.

    Raises:
        InputError: as ``read_splits``; no box to learn from; settings that do not fit together; a device that is not
            there; initial weights that cannot be read or belong to another backbone.
    """
    settings = config.settings
    pick_device(settings.loop.device)
    splits = read_splits(config)
    require_boxes(splits, config)
    torch.manual_seed(settings.loop.seed)
    if settings.scheme == "rpn":
        return Prepared(config, splits, *build_rpn(settings))
    return Prepared(config, splits, *build_detector(settings, splits.training.class_names))


def start(
    prepared: Prepared, folder: Path, *, watchers: Sequence[Watcher] = (), notify: Notify = _silently
) -> TrainingResult:
    """Train a prepared run into a new folder, as :func:`begin`."""
    folder = new_folder(folder)
    try:
        prepared.config.write(folder)
        notify(prepared.weights_note)
        return _fit(prepared, folder, watchers, notify)
    except BaseException:
        if not any(folder.rglob(LAST_FILE)):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def resume(folder: str | Path, *, watchers: Sequence[Watcher] = (), notify: Notify = _silently) -> TrainingResult:
    """Go on with a run exactly where it stopped; from the beginning where nothing had been saved.

    Args:
        folder: The run folder, or a checkpoint in it.
        watchers: Called after each batch, update and epoch.
        notify: Called with sentences on data, weights and length of the run.

    Raises:
        InputError: not a run folder, its data or its state are gone, or the settings of its network were changed.
    """
    folder = run_folder(Path(folder))
    config = read_config(folder)
    if config.settings.scheme == "alternating":  # its steps have states of their own
        return _fit(prepare(config), folder, watchers, notify)
    if not (folder / STATE_FILE).exists():
        _require_nothing_trained(folder)
        notify(f"{folder} was stopped before anything was saved: it begins again, with its settings.")
        prepared = prepare(config)
        notify(prepared.weights_note)
        return _fit(prepared, folder, watchers, notify)
    splits = read_splits(config)
    network: RegionProposalNetwork | FasterRCNN
    if config.settings.scheme == "rpn":
        network, details = load_network(folder / LAST_FILE)
        changed = _changed(config.settings.rpn, network.settings, "rpn.")
    else:
        network, details = load_detector(folder / LAST_FILE)
        require_classes(network, splits.training.class_names, folder)
        changed = _changed(config.settings.rpn, network.rpn.settings, "rpn.")
        changed = changed or _changed(config.settings.detector, network.settings, "detector.")
    if changed:
        raise InputError(
            f"{folder / CONFIG_FILE}: {changed} is not what the network was trained with so far: put it back, or begin "
            "a run of its own that starts from its weights.",
            arguments=("weights",),
        )
    prepared = Prepared(config, splits, network, "", details.get("start", {}))
    return _fit(prepared, folder, watchers, notify, resume=True)


def _require_nothing_trained(folder: Path) -> None:
    """Raises InputError where there are trained weights, which a run from the beginning would overwrite."""
    best = folder / BEST_FILE
    if (folder / LAST_FILE).exists() or (best.exists() and read_description(best)["details"].get("epoch") != 0):
        raise InputError(
            f"{folder} has no {STATE_FILE}, without which it cannot go on where it stopped: begin a run of its own "
            "that starts from its weights.",
            arguments=("weights",),
        )


def _changed(wanted: Settings, trained: Settings, prefix: str) -> str | None:
    """The first setting of a network that differs; those that only matter before the first update may."""
    before = dict(describe(trained, prefix))
    past = {f"rpn.backbone.{name}" for name in ("pretrained", "weights", "frozen_stages", "frozen_norm")}
    return next((key for key, value in describe(wanted, prefix) if key not in past and before[key] != value), None)


def _fit(
    prepared: Prepared, folder: Path, watchers: Sequence[Watcher], notify: Notify, *, resume: bool = False
) -> TrainingResult:
    settings, splits = prepared.config.settings, prepared.splits
    for sentence in splits.notes:
        notify(sentence)
    validation = validation_records(splits.validation.records, settings.loop)
    if len(validation) < len(splits.validation):
        notify(f"Validation uses {len(validation)} of {len(splits.validation)} photographs (loop.validate_images).")
    objects = sum(len(record.boxes_xyxy) for record in splits.training.records)
    notify(f"Training on {len(splits.training)} photographs with {objects} boxes, validating on {len(validation)}.")
    steps = planned_steps(len(splits.training), settings.loop)
    notify(f"{steps:,} updates in {planned_epochs(len(splits.training), settings.loop):,} epochs, into {folder}.")
    if settings.schedule.warmup_steps > steps:
        notify(
            f"The run ends before its warm-up does: the learning rate rises over schedule.warmup_steps="
            f"{settings.schedule.warmup_steps} updates, and there are {steps}."
        )
    if settings.loop.amp and not computes_bf16(pick_device(settings.loop.device)):
        notify("It computes in float32: this device has no instructions for bfloat16 (loop.amp).")
    data = prepared.config.data.resolve().name
    details: dict[str, Any] = {
        "name": f"{settings.recipe} on {data}",
        "recipe": settings.recipe,
        "objectness": __version__,
        "training": {
            "photographs": len(splits.training),
            "boxes": objects,
            "data": data,
            **{key: names for key, names in to_dict(settings.data).items() if names},
        },
    }
    if settings.scheme != "rpn" and (ids := splits.training.category_ids):
        details["category_ids"] = list(ids)
    if prepared.origin:
        details["start"] = dict(prepared.origin)
    records, network = splits.training.records, prepared.network
    if settings.scheme == "alternating":
        return Alternation(settings, splits, validation, folder, details, watchers, notify).run()
    watchers = (reports(folder), *watchers)
    if isinstance(network, RegionProposalNetwork):
        return fit(settings, network, rpn_task(), records, validation, folder, details, watchers, resume)
    if settings.scheme == "fast-rcnn":
        given = read_given(prepared.config.proposals, splits, notify)
        network.rpn.head.requires_grad_(False)
        task = fast_rcnn_task(*given)
    else:
        task = joint_task()
    return fit(settings, network, task, records, validation, folder, details, watchers, resume)
