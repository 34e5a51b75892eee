"""Proposals from a file, whatever its format: the one place that knows which formats can be read."""

from __future__ import annotations

from pathlib import Path

from objectness.formats import coco_results
from objectness.proposals import Proposals

SUFFIXES = frozenset({".json"})


def holds_proposals(word: str) -> bool:
    """Whether ``word`` names a file of proposals, going by its suffix."""
    return Path(word).suffix.lower() in SUFFIXES


def read_proposals(path: Path | str) -> dict[int, Proposals]:
    """Read the proposals of a file: image id -> proposals, best first.

    Raises:
        InputError: a file that cannot be read, with what is wrong and where.
    """
    return coco_results.read(path)
