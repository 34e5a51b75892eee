"""A data set as if only some classes had been labelled: for open-world training and measuring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from objectness.datasets.records import Dataset, Record
from objectness.errors import InputError, did_you_mean


def filter_classes(dataset: Dataset, only: Sequence[str] = (), held_out: Sequence[str] = ()) -> Dataset:
    """Leave out the boxes of other classes; every photograph stays, also one without boxes left.

    Args:
        dataset: Its class names stay as they are, so that class ids do.
        only: Classes whose boxes stay; empty means all.
        held_out: Classes whose boxes go.

    Raises:
        InputError: a class that the data set does not have, or both lists at once.
    """
    if not only and not held_out:
        return dataset
    if only and held_out:
        raise InputError("Classes are either named to stay or named to be held out, not both: give one list.")
    for name in (*only, *held_out):
        if name not in dataset.class_names:
            raise InputError(f"{dataset.root} has no class {name!r}: {did_you_mean(name, dataset.class_names)}")
    stay = [(name in only) if only else (name not in held_out) for name in dataset.class_names]
    kept = np.flatnonzero(stay)
    return replace(dataset, records=tuple(record.keep(np.isin(record.class_ids, kept)) for record in dataset.records))


def with_class_names(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """The data set with these class names, in this order; boxes of other classes are left out."""
    if dataset.class_names == tuple(names):
        return dataset
    places = {name: place for place, name in enumerate(names)}
    table = np.array([places.get(name, -1) for name in dataset.class_names], dtype=np.int64)

    def renamed(record: Record) -> Record:
        moved = replace(record, class_ids=table[record.class_ids])
        return moved.keep(moved.class_ids >= 0)

    ids = dict(zip(dataset.class_names, dataset.category_ids, strict=False))
    category_ids = tuple(ids[name] for name in names) if ids.keys() >= set(names) else ()
    records = tuple(map(renamed, dataset.records))
    return replace(dataset, class_names=tuple(names), records=records, category_ids=category_ids)
