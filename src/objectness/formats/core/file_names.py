"""What to call an image in formats that know images by name alone, and whose files are called so.

A name comes from a proposals file, which may be a stranger's: what leads out of the folder that is written ("..", a
root, a drive) is taken off, and what no file can be called is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from objectness.errors import InputError, MissingContextError
from objectness.images.finding import PHOTO_SUFFIXES
from objectness.proposal_set import ImageId, ProposalSet

if TYPE_CHECKING:
    from objectness.formats.core.known_images import KnownImages

_DRIVE = re.compile("[A-Za-z]:")


def short_names(proposals: ProposalSet) -> dict[ImageId, str]:
    """Image id -> its file name, or as much of its path as tells it from the others; its id where it has no file.

    A name is relative, parted by "/", and never leads upwards; without suffixes no two are equal.

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


def need_sizes(proposals: ProposalSet, title: str) -> None:
    """Refuse to write what is relative to the size of the image where that is unknown.

    Raises:
        InputError: with the number of such images.
    """
    unknown = [image_id for image_id, found in proposals.items() if min(found.size_hw) < 1]
    if unknown:
        first = proposals[unknown[0]].source or unknown[0]
        raise InputError(
            f"{title} gives boxes as fractions of the image, and the size of {len(unknown)} images, {first} among "
            "them, is unknown: give a data set or a folder of images that has them.",
            arguments=("data", "images"),
        )


def unknown_size(path: Path, image: object, known: KnownImages | None) -> MissingContextError:
    """The error for boxes that are fractions of an image whose size nobody tells."""
    what = f"{path} gives boxes as fractions of images, and the size of {image} is unknown"
    if known is None:
        return MissingContextError(f"{what}: give the data set or the folder of images.", arguments=("data", "images"))
    return MissingContextError(f"{what}: {known.where} does not have this image, or its file cannot be read.")


def _parts(source: str) -> list[str]:
    """Folders and name; Windows parts them by another sign."""
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
    """How many folders all names have in common."""
    depth = min(len(own) for own in parts) - 1
    same = [len(set(folders)) == 1 for folders in zip(*(own[:depth] for own in parts), strict=True)]
    return same.index(False) if False in same else depth
