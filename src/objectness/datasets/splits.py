"""Names of splits, in the spellings of different tools."""

from __future__ import annotations

import re
from collections.abc import Iterable

from objectness.errors import InputError, did_you_mean

SPLITS = ("train", "val", "test")
ALL = "all"
_WORDS = {
    "train": "train",
    "training": "train",
    "trainval": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "minival": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def split_of(name: str) -> str | None:
    """Read the split out of a file or folder name: "instances_val2017" is "val", "street" is None."""
    words = re.findall(r"[a-z]+", name.lower())
    found = {_WORDS[word] for word in words if word in _WORDS}
    return found.pop() if len(found) == 1 else None


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """The splits among ``names``: train, val, test."""
    present = set(names)
    return tuple(split for split in SPLITS if split in present)


def requested_split(requested: str | None, present: tuple[str, ...], where: str) -> str | None:
    """The split to read; None for everything.

    Raises:
        InputError: the data set at ``where`` has no such split.
    """
    if requested is None or requested == ALL:
        return None
    split = _WORDS.get(requested.lower())
    if split in present:
        return split
    if not present:
        raise InputError(
            f"{where} has no splits, so there is no {requested!r} in it: leave the split out to read it all."
        )
    hint = did_you_mean(requested, present)
    there = "" if hint.startswith("known") else f" it has {', '.join(present)};"
    raise InputError(f"{where} has no split {requested!r};{there} {hint}")
