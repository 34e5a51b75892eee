"""Names of images, and of their files, in formats that know images by name alone.

Names come from proposals files, which are untrusted: parts that lead out of the folder that is written ("..", a root, a
drive) are taken off, and names that no file can have are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from objectness.errors import InputError
from objectness.images.finding import PHOTO_SUFFIXES
from objectness.proposal_set import ImageId, ProposalSet

_DRIVE = re.compile("[A-Za-z]:")


def short_names(proposals: ProposalSet) -> dict[ImageId, str]:
    """Image id -> its file name, or the shortest end of its path that is unique; its id where it has no file.

    Names are relative, separated by "/", and never lead upwards; without suffixes no two are equal.

    Raises:
        InputError: two images have one file; a name is none that a file can have.
    """
    parts = {image_id: _parts(found.source or str(image_id)) for image_id, found in proposals.items()}
    names = {image_id: own[-1] for image_id, own in parts.items()}
    if _first_double(names) is None:
        return names
    depth = _common_depth(list(parts.values()))
    longer = {image_id: "/".join(own[depth:]) for image_id, own in parts.items()}
    refuse_doubles(longer)
    return longer


def refuse_doubles(names: Mapping[ImageId, str]) -> None:
    """Refuse names that are equal without their suffixes, as one file would overwrite the other.

    Raises:
        InputError: with the name.
    """
    double = _first_double(names)
    if double is not None:
        raise InputError(f"Two images are called {double}, so that this format cannot tell them apart: rename one.")


def stem(name: str) -> str:
    """A name without an image's suffix, folders kept; "a.v2" is a whole name."""
    suffix = PurePath(name).suffix
    bare = name[: -len(suffix)] if suffix.lower() in PHOTO_SUFFIXES else name
    return name if bare.rpartition("/")[2] in (".", "..") else bare  # "...jpg" must not become ".."


def _parts(source: str) -> list[str]:
    """Folders and name; Windows separates them by another sign."""
    if "\0" in source:
        raise InputError(f"An image is called {source[:80]!r}, which no file can be: correct its name.")
    words = source.replace("\\", "/").split("/")
    kept = [word for word in words if word not in ("", ".", "..") and not _DRIVE.fullmatch(word)]
    if not kept or words[-1] in (".", ".."):
        raise InputError(f"An image is called {source[:80]!r}, which is no name of a file: correct it.")
    return kept


def _first_double(names: Mapping[ImageId, str]) -> str | None:
    seen: set[str] = set()
    for name in names.values():
        if stem(name) in seen:
            return name
        seen.add(stem(name))
    return None


def _common_depth(parts: Sequence[Sequence[str]]) -> int:
    """Number of leading folders that all names share."""
    depth = min(len(own) for own in parts) - 1
    same = [len(set(folders)) == 1 for folders in zip(*(own[:depth] for own in parts), strict=True)]
    return same.index(False) if False in same else depth
