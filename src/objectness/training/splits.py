"""Training and validation photographs of a run."""

from __future__ import annotations

from dataclasses import dataclass, replace

from objectness.datasets import Dataset, available_splits, hold_out, load_dataset, repair
from objectness.datasets.class_filter import filter_classes, with_class_names
from objectness.errors import InputError
from objectness.training.run_config import RunConfig
from objectness.training.settings import DataSettings

_HELD_OUT = 0.1
_FEWEST_TO_SPLIT = 2


@dataclass(frozen=True, eq=False)
class Splits:
    """Repaired training and validation photographs, with sentences on how they were chosen and repaired."""

    training: Dataset
    validation: Dataset
    notes: tuple[str, ...]


def read_splits(config: RunConfig) -> Splits:
    """Training and validation photographs of a data set; a tenth is held out where it has no validation split.

    Boxes of classes that the settings leave out are removed from both.

    Raises:
        InputError: no data set, no photograph to train on, or with ``strict`` anything to repair.
    """
    data, settings, allow_outside = config.data, config.settings, config.allow_outside
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
        mended, repairs = repair(dataset, config.strict, decode=settings.loop.verify_images)
        notes += [f"{dataset.split}: {sentence}" for sentence in repairs]
        repaired.append(filter_classes(mended, settings.data.only_classes, settings.data.held_out_classes))
    if settings.scheme != "rpn":
        kept = class_names(repaired[0], settings.data)
        repaired = [with_class_names(dataset, kept) for dataset in repaired]
    if not repaired[0].records:
        raise InputError(f"{data} has no usable photograph to train on: see `objectness check {data}`.")
    return Splits(repaired[0], repaired[1], tuple(notes))


def class_names(training: Dataset, choice: DataSettings) -> tuple[str, ...]:
    """Classes that a detector learns: those of the data set that the settings leave.

    Raises:
        InputError: two classes of one name.
    """
    only, held_out = choice.only_classes, choice.held_out_classes
    names = tuple(name for name in training.class_names if (name in only if only else name not in held_out))
    if double := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{training.root} has two classes of the name {double!r}: a detector cannot tell them apart.")
    return names


def require_boxes(splits: Splits, config: RunConfig) -> None:
    """Raises InputError where no box is left to learn from."""
    training, choice = splits.training, config.settings.data
    if any((~record.ignore).any() for record in training.records):
        return
    chosen = choice.only_classes or choice.held_out_classes
    ignored = sum(len(record.ignore) for record in training.records)
    why = ""
    if ignored:
        why = f": all {ignored} are ignored (crowds, difficult ones" + (", classes left out)" if chosen else ")")
    elif chosen:
        why = ": no box is of a class that data.only_classes and data.held_out_classes leave"
    elif any((~record.ignore).any() for record in splits.validation.records):
        why = ": all boxes lie in the photographs for validation"
    raise InputError(f"{config.data} has no box to learn from in its {len(training)} training photographs{why}.")
