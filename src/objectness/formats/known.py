"""What a data set, or a folder of images, tells about images: ids, files, sizes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath

import numpy as np

from objectness.datasets import load_dataset
from objectness.errors import InputError
from objectness.formats.raw import RawFile, RawImage, assemble
from objectness.images.opening import PHOTO_SUFFIXES
from objectness.images.sizes import images_below, read_sizes
from objectness.proposal_set import ImageId, ProposalSet
from objectness.proposals import Proposals


@dataclass(frozen=True)
class KnownImage:
    """One image.

    Attributes:
        image_id: Its id in the data set; None where only a folder is known.
        path: Its file.
        size_hw: (height, width) after EXIF orientation; None where nobody says and the file cannot be read.
    """

    image_id: int | None
    path: Path
    size_hw: tuple[int, int] | None


@dataclass(frozen=True)
class KnownImages:
    """All of them, in the order of the data set; ``where`` is for messages."""

    images: tuple[KnownImage, ...]
    where: str

    @cached_property
    def _by_name(self) -> dict[str, list[KnownImage]]:
        """File name, and file name without its suffix -> the images that are called so."""
        index: dict[str, list[KnownImage]] = defaultdict(list)
        for image in self.images:
            index[image.path.name].append(image)
            index[image.path.stem].append(image)
        return index

    @cached_property
    def _by_id(self) -> dict[str, KnownImage]:
        return {str(image.image_id): image for image in self.images if image.image_id is not None}

    def named(self, name: str) -> KnownImage | None:
        """The image that a file calls ``name``: by file name, with as many folders as it takes to be one."""
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts:
            return None
        found = self._by_name.get(parts[-1]) or self._by_name.get(_stem(parts[-1]), [])
        depth = 2
        while len(found) > 1 and depth <= len(parts):
            narrower = [image for image in found if image.path.parts[-depth:-1] == parts[-depth:-1]]
            found, depth = narrower or found, depth + 1
        return found[0] if len(found) == 1 else None

    def with_id(self, image_id: ImageId) -> KnownImage | None:
        """The image of this id, whether it is written as number or as text."""
        return self._by_id.get(str(image_id))

    def size_of(self, name: str) -> tuple[int, int] | None:
        """(height, width) of the image that a file calls ``name``, or None."""
        image = self.named(name)
        return image.size_hw if image else None


def known_images(
    data: str | Path | None = None, images: str | Path | None = None, split: str | None = None
) -> KnownImages | None:
    """What the user can tell about the images: a data set (ids, files, sizes) or a folder (files, sizes).

    Raises:
        InputError: there is no such data set or folder; both are given.
    """
    if data is not None and images is not None:
        raise InputError("Give the data set (--data) or the folder of images (--images), not both.")
    if data is not None:
        records = load_dataset(data, split).records
        listed = [KnownImage(record.image_id, record.path, record.size_hw) for record in records]
        return KnownImages(tuple(_with_sizes(listed)), str(data))
    if images is not None:
        folder = Path(images)
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder: --images takes the folder that holds the images.")
        return KnownImages(
            tuple(_with_sizes([KnownImage(None, path, None) for path in images_below(folder)])), str(folder)
        )
    return None


def need_data(path: Path, what: str) -> InputError:
    """The error for a format that lacks what only a data set can tell."""
    return InputError(f"{path}: {what}; give the data set that the proposals were made for (--data).")


def adopt(path: Path | str, raw: RawFile, known: KnownImages) -> RawFile:
    """Give each image the id, the file and the size that the data set has for it.

    Images are found by name; where no name occurs in the data set (its files were renamed), by id. An image
    that is not found stays as it is.

    Raises:
        InputError: two images of the file are one image of the data set; some are found and others have no id.
    """
    by_name = [known.named(image.name) if image.name else None for image in raw.images]
    names_count = any(by_name)
    pairs: list[KnownImage | None] = []
    for image, found in zip(raw.images, by_name, strict=True):
        by_id = known.with_id(image.image_id) if image.image_id is not None else None
        pairs.append(found or (by_id if image.name is None or not names_count else None))
    taken: dict[Path, str] = {}
    for image, found in zip(raw.images, pairs, strict=True):
        if found is not None and taken.setdefault(found.path, image.label) != image.label:
            raise InputError(
                f"{path}: images {taken[found.path]} and {image.label} are both for {found.path.name}: "
                "keep one of them."
            )
    others = [
        image.label
        for image, found in zip(raw.images, pairs, strict=True)
        if found and found.size_hw and image.size_hw and image.size_hw != found.size_hw
    ]
    notes = list(raw.notes)
    if others:
        notes.append(
            f"{len(others)} images, {others[0]} among them, have another size in the file than in {known.where}, "
            "as if the proposals were made on resized copies"
        )
    if any(pairs) and not names_count and any(image.name for image in raw.images):
        notes.append(f"no file name of the file occurs in {known.where}: images were matched by id")
    strangers = [image.label for image, found in zip(raw.images, pairs, strict=True) if found is None]
    if strangers:
        notes.append(f"{len(strangers)} images, {strangers[0]} among them, are not in {known.where}")
    images = tuple(_adopted(image, found) for image, found in zip(raw.images, pairs, strict=True))
    return replace(raw, images=images, notes=tuple(notes))


def finished(path: Path | str, raw: RawFile, known: KnownImages | None = None, *, repair: bool = False) -> ProposalSet:
    """From what a file says to proposals: ``adopt`` what is known of the images, then ``assemble``."""
    return assemble(path, raw if known is None else adopt(path, raw, known), repair=repair)


def complete(proposals: ProposalSet, known: KnownImages) -> tuple[ProposalSet, int, int]:
    """One entry for each image of the data set, in its order; the others come last.

    Returns:
        The set, how many images it had none for (they get no proposals), and how many are not in the data set.
    """
    wanted = [image for image in known.images if image.image_id is not None]
    images: dict[ImageId, Proposals] = {}
    added = 0
    for image in wanted:
        assert image.image_id is not None
        if image.image_id in proposals:
            images[image.image_id] = proposals[image.image_id]
        else:
            images[image.image_id] = Proposals(_NO_BOXES, _NO_SCORES, image.size_hw or (0, 0), str(image.path))
            added += 1
    strangers = {image_id: found for image_id, found in proposals.items() if image_id not in images}
    return replace(proposals, images={**images, **strangers}), added, len(strangers)


_NO_BOXES = np.empty((0, 4), dtype=np.float32)
_NO_SCORES = np.empty(0, dtype=np.float32)


def _adopted(image: RawImage, found: KnownImage | None) -> RawImage:
    if found is None:
        return image
    image_id = image.image_id if found.image_id is None else found.image_id
    return replace(image, image_id=image_id, name=str(found.path), size_hw=found.size_hw or image.size_hw)


def _with_sizes(images: Sequence[KnownImage]) -> Iterable[KnownImage]:
    missing = [image.path for image in images if image.size_hw is None]
    sizes = dict(zip(missing, read_sizes(missing), strict=True))
    for image in images:
        size = image.size_hw or sizes[image.path]
        yield replace(image, size_hw=None if isinstance(size, str) else size)


def _stem(name: str) -> str:
    """Without an image's suffix only: "a.v2" is a whole name."""
    suffix = PurePath(name).suffix
    return name[: -len(suffix)] if suffix.lower() in PHOTO_SUFFIXES else name
