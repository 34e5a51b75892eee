"""What to call an image in formats that know images by name alone."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import PurePath

from objectness.errors import InputError
from objectness.proposal_set import ImageId, ProposalSet


def short_names(proposals: ProposalSet) -> dict[ImageId, str]:
    """Image id -> its file name, or as much of its path as tells it from the others; its id where it has no file.

    Raises:
        InputError: two images have one file.
    """
    sources = {image_id: found.source or str(image_id) for image_id, found in proposals.items()}
    names = {image_id: PurePath(source).name for image_id, source in sources.items()}
    stems = Counter(PurePath(name).stem for name in names.values())
    if all(count == 1 for count in stems.values()):
        return names
    common = _common_folder(list(sources.values()))
    longer = {image_id: source[len(common) :].lstrip("/") for image_id, source in sources.items()}
    times = Counter(str(PurePath(name).with_suffix("")) for name in longer.values())
    for name in longer.values():
        if times[str(PurePath(name).with_suffix(""))] > 1:
            raise InputError(f"Two images are called {name}, so that this format cannot tell them apart: rename one.")
    return longer


def stem(name: str) -> str:
    """A name without its suffix, folders kept."""
    return os.path.splitext(name)[0]  # noqa: PTH122


def need_sizes(proposals: ProposalSet, title: str) -> None:
    """Refuse to write what is relative to the size of the image where that is unknown.

    Raises:
        InputError: with the number of such images.
    """
    unknown = [image_id for image_id, found in proposals.items() if min(found.size_hw) < 1]
    if unknown:
        first = proposals[unknown[0]].source or unknown[0]
        raise InputError(
            f"{title} gives boxes as fractions of the image, and the size of {len(unknown)} images, "
            f"{first} among them, is unknown: give the data set (--data) or the folder of images (--images)."
        )


def _common_folder(sources: list[str]) -> str:
    folders = [source.split("/")[:-1] for source in sources]
    depth = min(len(folder) for folder in folders)
    same = [len(set(names)) == 1 for names in zip(*folders, strict=False)]
    return "/".join(folders[0][: same.index(False) if False in same else depth])
