"""A run from a data set to a folder: what ``objectness train`` does, for Python."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from objectness.datasets import Dataset, available_splits, hold_out, load_dataset, repair
from objectness.datasets.class_filter import filter_classes
from objectness.errors import InputError
from objectness.files.atomic_write import replacing
from objectness.files.untrusted import load_json
from objectness.rpn.checkpoint import load_network, read_description
from objectness.rpn.network import RegionProposalNetwork, build_network
from objectness.rpn.settings import RPNSettings
from objectness.settings import describe, from_dict, to_dict
from objectness.training.checkpoints import BEST_FILE, LAST_FILE, STATE_FILE
from objectness.training.data import planned_epochs, planned_steps
from objectness.training.devices import computes_bf16, pick_device
from objectness.training.loop import Outcome, Watcher, train
from objectness.training.report import Board, Pictures, Tables
from objectness.training.settings import RunSettings
from objectness.training.validation import validation_records
from objectness.training.warm_start import fill, read_start
from objectness.version import __version__

CONFIG_FILE = "config.json"
_HELD_OUT = 0.1
_FEWEST_TO_SPLIT = 2
_ORIGIN = ("name", "licence", "training", "weights_sha256")


@dataclass(frozen=True, eq=False)
class Splits:
    """Data of a run to train and validate on, repaired, with sentences on the repairs."""

    training: Dataset
    validation: Dataset
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A run that can begin: everything that a user may have got wrong has been looked at.

    Attributes:
        origin: What the network that this one begins as says of itself; empty without one.
        starts_from: One sentence on the weights that the network starts from.
    """

    data: Path
    strict: bool
    allow_outside: bool
    settings: RunSettings
    splits: Splits
    network: RegionProposalNetwork
    origin: Mapping[str, Any]
    starts_from: str = ""


def read_splits(data: Path, settings: RunSettings, strict: bool = False, *, allow_outside: bool = False) -> Splits:
    """Training and validation records of a data set; a tenth is held out where it has no split for validation.

    Boxes of classes that the settings leave out are forgotten in both.

    Raises:
        InputError: no data set, no photograph to train on, or with ``strict`` anything to repair.
    """
    names = available_splits(data, allow_outside=allow_outside)
    notes: list[str] = []
    if "train" in names and ("val" in names or "test" not in names) and len(names) > 1:
        training, validation = (load_dataset(data, name, allow_outside=allow_outside) for name in ("train", "val"))
    else:
        whole = load_dataset(data, "train" if "train" in names else None, allow_outside=allow_outside)
        if len(whole) < _FEWEST_TO_SPLIT:
            training, validation = whole, replace(whole, records=())
            notes.append(f"{data} has {len(whole)} photographs: too few to validate on, all are trained on.")
        else:
            training, validation = hold_out(whole, _HELD_OUT, settings.loop.seed)
            notes.append(f"{data} has no validation split: {len(validation)} of {len(whole)} photographs are held out.")
    repaired = []
    for dataset in (training, validation):
        mended, said = repair(dataset, strict, decode=settings.loop.verify_images)
        notes += [f"{dataset.split}: {sentence}" for sentence in said]
        repaired.append(filter_classes(mended, settings.data.only_classes, settings.data.held_out_classes))
    if not repaired[0].records:
        raise InputError(f"{data} has no usable photograph to train on: see `objectness check {data}`.")
    return Splits(repaired[0], repaired[1], tuple(notes))


def new_folder(parent: Path, name: str) -> Path:
    """``parent/name``, or ``parent/name2``, ``name3`` ... where that exists: nothing is overwritten.

    Raises:
        InputError: it cannot be made, or the name is a path.
    """
    if Path(name).name != name or name in ("", "..") or "\\" in name:
        raise InputError(f"The run cannot be called {name!r}: give a name without slashes; a folder holds all runs.")
    folder, number = parent / name, 2
    while folder.exists():
        folder, number = parent / f"{name}{number}", number + 1
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"The run folder {folder} cannot be made ({error.strerror or error}).") from None
    return folder


def run_folder(path: Path) -> Path:
    """The run folder that a path stands for: itself, or that of a checkpoint in one."""
    return path.parent if path.suffix == ".safetensors" and (path.parent / CONFIG_FILE).is_file() else path


def prepare(data: Path, settings: RunSettings, strict: bool = False, *, allow_outside: bool = False) -> Prepared:
    """Read the data and build the network: whatever is wrong with either is said before a folder is made.

    Raises:
        InputError: as ``read_splits``; no box to learn from; settings that do not fit together; a device that is not
            there; a network to start from that cannot be read or has another backbone.
    """
    pick_device(settings.loop.device)
    splits = read_splits(data, settings, strict, allow_outside=allow_outside)
    _require_boxes(data, splits, settings)
    torch.manual_seed(settings.loop.seed)
    origin: Mapping[str, Any] = {}
    if settings.initial_weights:
        network = RegionProposalNetwork(settings.rpn)
        trained = read_start(settings.initial_weights)
        sentence = fill(network, trained)
        origin = {key: trained.details[key] for key in _ORIGIN if key in trained.details}
    else:
        network, sentence = build_network(settings.rpn)
    return Prepared(data.resolve(), strict, allow_outside, settings, splits, network, origin, sentence)


def start(
    prepared: Prepared,
    folder: Path,
    *,
    watchers: Sequence[Watcher] = (),
    tell: Callable[[str], None] = lambda sentence: None,
) -> Outcome:
    """Train what ``prepare`` made ready, into the fresh ``folder``; raises as ``train``.

    A run that fails before it has saved anything leaves no folder behind.
    """
    fresh = not any(folder.iterdir())
    try:
        return _begin(prepared, folder, watchers, tell)
    except BaseException:
        if fresh and not (folder / LAST_FILE).exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _begin(prepared: Prepared, folder: Path, watchers: Sequence[Watcher], tell: Callable[[str], None]) -> Outcome:
    config = {
        "objectness": __version__,
        "data": str(prepared.data),
        "strict": prepared.strict,
        "allow_outside": prepared.allow_outside,
        "settings": to_dict(prepared.settings),
    }
    with replacing(folder / CONFIG_FILE) as file:
        file.write(json.dumps(config, indent=2) + "\n")
    tell(prepared.starts_from)
    return _train(prepared, folder, watchers, tell, resume=False)


def resume(
    folder: Path, *, watchers: Sequence[Watcher] = (), tell: Callable[[str], None] = lambda sentence: None
) -> Outcome:
    """Go on with the run in ``folder`` exactly where it stopped, from the beginning where nothing had been saved.

    Raises:
        InputError: not a run folder, its state or its data are gone, or its network's settings were changed.
    """
    config = read_config(folder)
    settings = from_dict(RunSettings, config["settings"])
    data, strict, allow_outside = Path(config["data"]), bool(config["strict"]), bool(config["allow_outside"])
    if not (folder / STATE_FILE).exists():
        _require_nothing_trained(folder)
        tell(f"{folder} was stopped before anything was saved: it begins again, with its settings.")
        prepared = prepare(data, settings, strict, allow_outside=allow_outside)
        tell(prepared.starts_from)
        return _train(prepared, folder, watchers, tell, resume=False)
    network, details = load_network(folder / LAST_FILE)
    if changed := _changed(settings.rpn, network.settings):
        raise InputError(
            f"{folder / CONFIG_FILE}: {changed} is not what the network was trained with so far: put it back, or begin "
            "a run of its own that starts from its weights.",
            arguments=("weights",),
        )
    splits = read_splits(data, settings, strict, allow_outside=allow_outside)
    prepared = Prepared(data, strict, allow_outside, settings, splits, network, details.get("start", {}))
    return _train(prepared, folder, watchers, tell, resume=True)


def _require_nothing_trained(folder: Path) -> None:
    """Raises InputError where there are trained weights, which a run from the beginning would overwrite."""
    best = folder / BEST_FILE
    if (folder / LAST_FILE).exists() or (best.exists() and read_description(best)["details"].get("epoch") != 0):
        raise InputError(
            f"{folder} has no {STATE_FILE}, without which it cannot go on where it stopped: begin a run of its own "
            "that starts from its weights."
        )


def _require_boxes(data: Path, splits: Splits, settings: RunSettings) -> None:
    """Raises InputError where there is no box to learn from."""
    training = splits.training
    if any((~record.ignore).any() for record in training.records):
        return
    chosen = settings.data.only_classes or settings.data.held_out_classes
    ignored = sum(len(record.ignore) for record in training.records)
    why = ""
    if ignored:
        why = f": all {ignored} are ignored (crowds, difficult ones" + (", classes left out)" if chosen else ")")
    elif chosen:
        why = ": no box is of a class that data.only_classes and data.held_out_classes leave"
    elif any((~record.ignore).any() for record in splits.validation.records):
        why = ": all boxes lie in the photographs for validation"
    raise InputError(f"{data} has no box to learn from in its {len(training)} training photographs{why}.")


def _changed(wanted: RPNSettings, trained: RPNSettings) -> str | None:
    """The first setting of a network that is no longer what it was; how its backbone began is past."""
    before = dict(describe(trained, "rpn."))
    past = {f"rpn.backbone.{name}" for name in ("pretrained", "weights", "frozen_stages", "frozen_norm")}
    return next((key for key, value in describe(wanted, "rpn.") if key not in past and before[key] != value), None)


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a run folder.

    Raises:
        InputError: there is none, or it is broken.
    """
    try:
        if not (folder / CONFIG_FILE).exists():
            raise InputError(f"{folder} is not a run folder: it has no {CONFIG_FILE}.")
        config: dict[str, Any] = load_json(folder / CONFIG_FILE)
        known = {key: config[key] for key in ("data", "strict", "settings")}
        known["allow_outside"] = config.get("allow_outside", False)
    except OSError as error:
        raise InputError(f"{folder / CONFIG_FILE} cannot be read ({error.strerror or error}).") from None
    except (KeyError, TypeError):
        raise InputError(
            f"{folder / CONFIG_FILE} is not what `objectness train` wrote: it needs the keys data, strict and settings."
        ) from None
    if not isinstance(known["data"], str):
        raise InputError(f"{folder / CONFIG_FILE} is damaged: data is {known['data']!r}, which is no path.")
    return known


def _train(
    prepared: Prepared, folder: Path, watchers: Sequence[Watcher], tell: Callable[[str], None], resume: bool
) -> Outcome:
    settings, splits = prepared.settings, prepared.splits
    for sentence in splits.notes:
        tell(sentence)
    validation = validation_records(splits.validation.records, settings.loop)
    if len(validation) < len(splits.validation):
        tell(f"Validation uses {len(validation)} of {len(splits.validation)} photographs (loop.validate_images).")
    objects = sum(len(record.boxes_xyxy) for record in splits.training.records)
    tell(f"Training on {len(splits.training)} photographs with {objects} boxes, validating on {len(validation)}.")
    steps = planned_steps(len(splits.training), settings.loop)
    tell(f"{steps:,} updates in {planned_epochs(len(splits.training), settings.loop):,} epochs, into {folder}.")
    if settings.schedule.warmup_steps > steps:
        tell(
            f"The run ends before its warm-up does: the learning rate rises over schedule.warmup_steps="
            f"{settings.schedule.warmup_steps} updates, and there are {steps}."
        )
    if settings.loop.amp and not computes_bf16(pick_device(settings.loop.device)):
        tell("It computes in float32: this device has no instructions for bfloat16 (loop.amp).")
    details = {
        "name": f"{settings.recipe} on {prepared.data.name}",
        "recipe": settings.recipe,
        "objectness": __version__,
        "training": {
            "photographs": len(splits.training),
            "boxes": objects,
            "data": prepared.data.name,
            **{key: names for key, names in to_dict(settings.data).items() if names},
        },
    }
    if prepared.origin:
        details["start"] = dict(prepared.origin)
    return train(
        settings,
        prepared.network,
        splits.training.records,
        validation,
        folder,
        details,
        (Tables(folder), Board(folder), Pictures(folder), *watchers),
        resume,
    )
