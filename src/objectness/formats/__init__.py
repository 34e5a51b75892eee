"""Proposals in and out, one file a format, each with ``read`` and ``write``; here the entry to all of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from objectness.formats.core.known_images import KnownImages
    from objectness.proposal_set import ProposalSet
    from objectness.proposals import Proposals

__all__ = ["read", "write"]


def read(
    path: str | Path,
    format: str | None = None,
    *,
    data: str | Path | None = None,
    images: str | Path | None = None,
    split: str | None = None,
    known: KnownImages | None = None,
    repair: bool = False,
    allow_outside: bool = False,
) -> ProposalSet:
    """Read proposals from any supported file or folder.

    Args:
        path: The file or folder.
        format: One of ``objectness.formats.registry.NAMES``; default: what it looks like.
        data: The data set that the proposals were made for: it gives ids, files and sizes.
        images: In its place, the folder of images: it gives files and sizes.
        split: The part of ``data``.
        known: In the place of all three, what ``objectness.formats.core.known_images.known_images`` gave for them.
        repair: Leave proposals out that cannot be used (not finite, swapped corners) instead of refusing the file.
        allow_outside: The names in ``data``'s files may lead out of its folder.

    Returns:
        The set; ``notes`` says what was left out or made up.

    Raises:
        InputError: the file cannot be read or is damaged; the format cannot be guessed; what it lacks (sizes,
            ids) must be given.
    """
    from objectness.formats.core.known_images import finished, known_images
    from objectness.formats.core.sniffing import present
    from objectness.formats.registry import format_named, guess_to_read

    path = present(path)
    source = format_named(format) if format else guess_to_read(path)
    told = known if known is not None else known_images(data, images, split, allow_outside=allow_outside)
    return finished(path, source.parse(path, told), told, repair=repair)


def write(path: str | Path, proposals: Mapping[Any, Proposals], format: str | None = None) -> tuple[str, ...]:
    """Write proposals into any supported file or folder.

    Args:
        path: The file or folder; what is there is replaced when everything was written.
        proposals: A ``ProposalSet``, or image id -> proposals.
        format: One of ``objectness.formats.registry.NAMES``; default: what the path's suffix says.

    Returns:
        What the format cannot hold, in sentences; empty where nothing is lost.

    Raises:
        InputError: the format cannot be guessed, or lacks something (sizes, names); the place cannot be written to.
    """
    from objectness.formats.core.lossiness import fitted, lost
    from objectness.formats.registry import format_named, guess_to_write
    from objectness.proposal_set import as_set

    path = Path(path)
    target = format_named(format) if format else guess_to_write(path)
    fitting, said = fitted(as_set(proposals), target)
    target.write(path, fitting)
    sentence = lost(fitting, target)
    return (*said, sentence) if sentence else said
