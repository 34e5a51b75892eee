"""Errors about missing context: ids, names and sizes that only a data set or the images have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from objectness.errors import InputError, MissingContextError
from objectness.proposal_set import ProposalSet

if TYPE_CHECKING:
    from objectness.image_index import ImageIndex


def need_data(path: Path, what: str) -> MissingContextError:
    """The error for a file that cannot be read without its data set."""
    return MissingContextError(
        f"{path}: {what}; give the data set that the proposals were made for.", arguments=("data",)
    )


def unknown_size(path: Path, image: object, image_index: ImageIndex | None) -> MissingContextError:
    """The error for boxes that are fractions of an image of unknown size."""
    what = f"{path} gives boxes as fractions of images, and the size of {image} is unknown"
    if image_index is None:
        return MissingContextError(f"{what}: give the data set or the folder of images.", arguments=("data", "images"))
    return MissingContextError(f"{what}: {image_index.where} does not have this image, or its file cannot be read.")


def need_sizes(proposals: ProposalSet, title: str) -> None:
    """Refuse to write boxes as fractions of images of unknown size.

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
