"""Ground truth of an evaluation: read, checked, and where wished drawn from."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path

import numpy as np

from objectness.datasets import Dataset, available_splits, load_dataset
from objectness.datasets.repair import refuse_fractions, unreachable_boxes, without_endless_boxes
from objectness.evaluation.reporter import Reporter


def read_ground_truth(
    data: str | PathLike[str] | Dataset, split: str | None, allow_outside: bool, reporter: Reporter
) -> Dataset:
    """Read the ground truth: by default the validation split, else the test split, else everything.

    Args:
        data: A path, or a data set that has been read.
        split: Its split; None for the default.
        allow_outside: File names in the data set may lead out of its folder.
        reporter: Hears of boxes that are left out or cannot be reached, and of missing objects.

    Raises:
        InputError: there is no such data set or split; boxes are fractions where pixels are due.
    """
    if isinstance(data, Dataset):
        whole = data
    else:
        splits = available_splits(Path(data), allow_outside=allow_outside)
        usual = next((name for name in ("val", "test") if name in splits), None)
        whole = load_dataset(Path(data), split or usual, allow_outside=allow_outside)
    dataset, left_out = without_endless_boxes(whole)
    reporter.note(f"Measuring on {title(dataset)}: {len(dataset)} images.")
    for note in dataset.notes:
        reporter.note(note)
    refuse_fractions(dataset)
    if dataset.records and not any((~record.ignore).any() for record in dataset.records):
        reporter.warn(f"{title(dataset)} has no objects that count: there is no recall to measure.")
    for sentence in (left_out, unreachable_boxes(dataset)):
        if sentence:
            reporter.warn(sentence)
    if dataset.problems:
        reporter.warn(
            f"{len(dataset.problems)} parts of {name_of(data)} could not be read or are doubled: "
            "objectness check names them."
        )
    return dataset


def title(dataset: Dataset) -> str:
    """Folder and split, for headings."""
    return str(dataset.root) if dataset.split == "all" else f"{dataset.root}, split {dataset.split}"


def limited(dataset: Dataset, limit: int | None, seed: int) -> Dataset:
    """``limit`` images drawn by the seed, in the order of the data set."""
    if limit is None or limit >= len(dataset):
        return dataset
    chosen = np.random.default_rng(seed).permutation(len(dataset))[:limit]
    return replace(dataset, records=tuple(dataset.records[index] for index in sorted(chosen.tolist())))


def name_of(data: str | PathLike[str] | Dataset) -> str:
    """The data set as the user named it."""
    return str(data.root) if isinstance(data, Dataset) else fspath(data)
