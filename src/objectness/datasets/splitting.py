"""Random splits of a data set: parts that are alike in object sizes and share no file; a part held out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from objectness.datasets.records import LARGE_FROM, SMALL_BELOW, Dataset, Record
from objectness.errors import InputError
from objectness.images.sizes import digest, in_threads

STRATA = ("small", "medium", "large", "images")


@dataclass(frozen=True)
class Split:
    """A data set in parts.

    Attributes:
        parts: Part -> its records, in the order of the data set.
        strata: Part -> number of small, medium and large objects (COCO areas) and of images.
        duplicates: How many images have the same bytes as an earlier one; they lie in its part.
        notes: The data set's own notes, and sentences about duplicates and parts that could not be read.
    """

    parts: Mapping[str, tuple[Record, ...]]
    strata: Mapping[str, Mapping[str, int]]
    duplicates: int
    notes: tuple[str, ...] = ()


def split(dataset: Dataset, shares: Mapping[str, float], seed: int = 0) -> Split:
    """Give each image to a part so that the shares hold for images and for small, medium and large objects.

    Images with the same bytes stay together, so that nothing leaks from one part into another. The images that
    weigh most in a stratum are assigned first, each to the part that lacks most of its objects; chance decides among
    equals, and the same seed gives the same parts.

    Args:
        dataset: As read.
        shares: Part -> its share, above 0; all together 1.
        seed: Any whole number.

    Raises:
        InputError: shares that are no such numbers, or fewer different images than parts.
    """
    wanted = np.array(list(shares.values()), dtype=np.float64)
    if len(wanted) < 2 or not (wanted > 0).all() or abs(wanted.sum() - 1) > 1e-6:
        given = ", ".join(f"{name} {share:g}" for name, share in shares.items())
        raise InputError(f"The shares must be above 0 and add up to 1 for two parts or three, but are {given}.")
    groups = _groups(dataset.records)
    if len(groups) < len(wanted):
        raise InputError(f"{dataset.root} has {len(groups)} different images, too few for {len(wanted)} parts.")
    counts = np.array([_strata([dataset.records[index] for index in group]) for group in groups], dtype=np.float64)
    part_of = _assign(counts, wanted, np.random.default_rng(seed))
    members = {
        name: sorted(index for group, part in zip(groups, part_of, strict=True) if part == number for index in group)
        for number, name in enumerate(shares)
    }
    parts = {name: tuple(dataset.records[index] for index in indices) for name, indices in members.items()}
    duplicates = len(dataset.records) - len(groups)
    notes = list(dataset.notes)
    if duplicates:
        same = "images have the same bytes as another; each lies in the part of the one it repeats"
        notes.append(f"{duplicates} {same}.")
    if dataset.problems:
        notes.append(f"{len(dataset.problems)} parts of {dataset.root} could not be read: objectness check names them.")
    return Split(
        parts,
        {name: dict(zip(STRATA, map(int, _strata(records)), strict=True)) for name, records in parts.items()},
        duplicates,
        tuple(notes),
    )


def hold_out(dataset: Dataset, fraction: float = 0.1, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Set a random part of a data set aside for validation.

    Args:
        dataset: Two images or more.
        fraction: Share of the images for validation, above 0 and below 1; each part gets at least one.
        seed: The same seed gives the same parts.

    Returns:
        (train, val); the records keep their order.

    Raises:
        InputError: too few images, or a fraction that leaves one part empty.
    """
    count = len(dataset)
    if not 0 < fraction < 1:
        raise InputError(f"The share held out for validation must lie between 0 and 1, not {fraction}.")
    if count < 2:
        raise InputError(f"{dataset.root} has {count} image(s): at least 2 are needed to hold one out for validation.")
    held = min(count - 1, max(1, round(count * fraction)))
    chosen = set(np.random.default_rng(seed).permutation(count)[:held].tolist())

    def part(split: str, is_held: bool) -> Dataset:
        records = tuple(record for index, record in enumerate(dataset.records) if (index in chosen) == is_held)
        return replace(
            dataset,
            split=split,
            records=records,
            problems=() if is_held else dataset.problems,
            notes=() if is_held else dataset.notes,
        )

    return part("train", False), part("val", True)


def _groups(records: Sequence[Record]) -> list[list[int]]:
    """Positions of records whose files have the same bytes; a file that cannot be read is its own."""
    digests = in_threads(digest, [record.path for record in records])
    groups: dict[object, list[int]] = defaultdict(list)
    for index, (record, own) in enumerate(zip(records, digests, strict=True)):
        groups[own or record.path].append(index)
    return list(groups.values())


def _strata(records: Sequence[Record]) -> NDArray[np.int64]:
    """Number of small, medium and large objects and of images ``(4,)``; ignore regions do not count."""
    areas = np.concatenate([np.empty(0, np.float32), *(record.areas[~record.ignore] for record in records)])
    small, large = int((areas < SMALL_BELOW).sum()), int((areas >= LARGE_FROM).sum())
    return np.array([small, len(areas) - small - large, large, len(records)], dtype=np.int64)


def _assign(counts: NDArray[np.float64], shares: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Part of each group; ``counts (groups, strata)``, ``shares (parts,)``."""
    weights = counts / np.maximum(counts.sum(axis=0), 1)
    chance = rng.permutation(len(counts))
    order = chance[np.argsort(-weights[chance].max(axis=1), kind="stable")]
    lacking = np.ones((len(shares), counts.shape[1]))  # of each stratum, as a fraction of the part's share
    part_of = np.zeros(len(counts), dtype=np.int64)
    for group in order:
        part = int(np.argmax(lacking @ weights[group]))
        part_of[group] = part
        lacking[part] -= weights[group] / shares[part]
    return part_of
