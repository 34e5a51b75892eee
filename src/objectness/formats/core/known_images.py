"""What a data set, or a folder of images, tells about images: ids, files, sizes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from objectness.datasets import Dataset, Record, load_dataset
from objectness.errors import InputError, MissingContextError
from objectness.files import json_values
from objectness.formats.core.parsed import RawFile, RawImage, assemble, in_fractions
from objectness.formats.core.sniffing import peek
from objectness.image_index import ImageIndex, Match, Named
from objectness.image_spelling import plain_id
from objectness.images.finding import walk
from objectness.images.sizes import read_sizes
from objectness.proposal_set import ImageId, ProposalSet
from objectness.proposals import Proposals


@dataclass(frozen=True)
class KnownImage:
    """One image.

    Attributes:
        image_id: The id to give it: the data set's own where it is COCO, else a running number; None where only a
            folder is known.
        path: Its file.
        size_hw: (height, width) after EXIF orientation; None where nobody says and the file cannot be read.
        own_id: The id by which files may speak of it: COCO's own, or the stem of a VOC or YOLO image; None where
            only a folder is known.
    """

    image_id: ImageId | None
    path: Path
    size_hw: tuple[int, int] | None
    own_id: ImageId | None = None


@dataclass(frozen=True)
class KnownImages:
    """All of them, in the order of the data set.

    Attributes:
        images: In that order.
        where: For messages.
        layout: "coco", "voc" or "yolo"; empty for a folder or a list of images.
        only: Files may speak of no other images.
    """

    images: tuple[KnownImage, ...]
    where: str
    layout: str = ""
    only: bool = False

    @property
    def has_own_ids(self) -> bool:
        """Whether every image goes by the id that the data set itself gives it."""
        return self.layout == "coco" and all(image.image_id == image.own_id for image in self.images)

    @cached_property
    def _index(self) -> ImageIndex:
        return ImageIndex(Named(image.own_id, str(image.path)) for image in self.images)

    def named(self, name: str) -> KnownImage | None:
        """The image that a file calls ``name``, where there is one and no other may be meant."""
        found = self._index.named(name)
        return self.images[found[0]] if len(found) == 1 else None

    def size_of(self, name: str) -> tuple[int, int] | None:
        """(height, width) of the image that a file calls ``name``, or None."""
        image = self.named(name)
        return image.size_hw if image else None

    def match(self, raw: RawFile) -> Match:
        """Which of them the images of a file are."""
        return self._index.match([Named(image.image_id, image.name) for image in raw.images])


def known_images(
    data: str | Path | None = None,
    images: str | Path | None = None,
    split: str | None = None,
    *,
    allow_outside: bool = False,
) -> KnownImages | None:
    """What the user can tell about the images: a data set (ids, files, sizes) or a folder (files, sizes).

    Args:
        data: A data set, or the table of images that lies beside proposals (``proposals.images.json``).
        images: A folder.
        split: The part of ``data``.
        allow_outside: The names in ``data``'s files may lead out of its folder.

    Raises:
        InputError: there is no such data set or folder; both are given.
    """
    if data is not None and images is not None:
        raise InputError("Give the data set or the folder of images, not both.", arguments=("data", "images"))
    if data is not None:
        listed = _listed(Path(data))
        return (
            of_dataset(load_dataset(data, split, allow_outside=allow_outside), str(data)) if listed is None else listed
        )
    if images is not None:
        folder = Path(images)
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder: give the folder that holds the images.", arguments=("images",))
        walked = walk(folder)
        closed = f" (without {', '.join(map(str, walked.closed))}, which cannot be read)" if walked.closed else ""
        known = _with_sizes([KnownImage(None, path, None) for path in walked.images])
        return KnownImages(tuple(known), f"{folder}{closed}")
    return None


def of_dataset(dataset: Dataset, where: str) -> KnownImages:
    """The images of a data set, under the ids that COCO gives them; those of other layouts are numbered."""
    records = dataset.records
    own = {str(plain_id(record.own_id)) for record in records}
    has_ids = dataset.layout == "coco" and len(own) == len(records)
    listed = [
        KnownImage(record.own_id if has_ids else record.image_id, record.path, record.size_hw, record.own_id)
        for record in records
    ]
    return KnownImages(tuple(_with_sizes(listed)), where, dataset.layout)


def of_records(records: Sequence[Record], where: str = "the data set") -> KnownImages:
    """The images of records under the records' ``image_id``; files for other images are refused."""
    images = (KnownImage(record.image_id, record.path, record.size_hw, record.own_id) for record in records)
    return KnownImages(tuple(images), where, only=True)


def need_own_ids(known: KnownImages) -> None:
    """Refuse to write ids that would be nobody's: parts of a COCO data set may number their images alike.

    Raises:
        InputError: with what to give.
    """
    if known.layout == "coco" and not known.has_own_ids:
        raise InputError(
            f"{known.where} has one id for several images, in its parts or as number and as text: "
            "give one part, or its JSON file, so that ids are told apart."
        )


def need_data(path: Path, what: str) -> MissingContextError:
    """The error for a format that lacks what only a data set can tell."""
    return MissingContextError(
        f"{path}: {what}; give the data set that the proposals were made for.", arguments=("data",)
    )


def adopt(path: Path | str, raw: RawFile, known: KnownImages) -> RawFile:
    """Give each image the id, the file and the size that the data set has for it.

    An image that is not found stays as it is, unless its id would make it one of the data set.

    Raises:
        InputError: it is not clear which image is meant, or two images of the file are one of the data set; the
            file speaks of images that it may not speak of.
    """
    match = known.match(raw)
    if match.doubt:
        raise InputError(f"{path}: it is not clear which image is meant: {match.doubt}.")
    pairs = [None if place is None else known.images[place] for place in match.places]
    strangers = [image for image, found in zip(raw.images, pairs, strict=True) if found is None]
    if strangers and known.only:
        raise InputError(f"{path}: {_unknown(strangers, len(raw.images))}")
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
    if match.way == "id" and any(image.name for image in raw.images):
        notes.append(f"no file name of the file occurs in {known.where}: images were matched by id")
    if match.way in ("stem", "number"):
        what = {"stem": "names of its files", "number": "numbers in the names of its files"}[match.way]
        notes.append(f"the ids are not those of {known.where} but the {what}: images were matched so")
    ids = {str(image.image_id) for image in known.images if image.image_id is not None}
    lost = [image for image in strangers if ids and (image.image_id is None or str(image.image_id) in ids)]
    if strangers:
        what = f"{len(strangers)} images, {strangers[0].label} among them, are not in {known.where}"
        notes.append(f"{what}; {len(lost)} of them were left out, as they have no id of their own" if lost else what)
    images = tuple(
        _adopted(image, found)
        for image, found in zip(raw.images, pairs, strict=True)
        if found is not None or not any(image is one for one in lost)
    )
    return replace(raw, images=images, notes=tuple(notes))


def finished(path: Path | str, raw: RawFile, known: KnownImages | None = None, *, repair: bool = False) -> ProposalSet:
    """From what a file says to proposals: ``adopt`` what is known of the images, then ``assemble``.

    Raises:
        InputError: as those two; boxes to be measured are fractions of their images.
    """
    if known is not None:
        raw = adopt(path, raw, known)
        if known.only and in_fractions(raw):
            raise InputError(
                f"{path}: every box lies between 0 and 1, as a fraction of its image: pixels are due, so multiply x by "
                "the image's width and y by its height."
            )
    return assemble(path, raw, repair=repair)


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


def _unknown(strangers: Sequence[RawImage], count: int) -> str:
    if strangers[0].name is None and strangers[0].image_id is None:
        return "nothing in the file says which image its boxes are of: give it the ids or the names of the images."
    named = strangers[0].name or f"image {strangers[0].image_id}"
    more = f" and {len(strangers) - 1} more of its {count} images" if len(strangers) > 1 else ""
    return (
        f"there are proposals for {named}{more}, which the data set does not have: "
        "measure them on the data set and the split that they were made for (all, if for several)."
    )


def _listed(path: Path) -> KnownImages | None:
    """A table of images, as it lies beside proposals; None where the path is something else."""
    if path.suffix.lower() != ".json" or not path.is_file() or peek(path).json_shape[0] != "[{":
        return None
    document = json_values.load(path)
    images = []
    for position, entry in enumerate(document, start=1):
        image_id = json_values.image_id(entry.get("id")) if isinstance(entry, dict) else None
        name = json_values.text(entry.get("file_name")) if isinstance(entry, dict) else None
        if image_id is None or name is None:
            raise InputError(
                f'{path} is no data set and no table of images: its entry {position} has no "id" and "file_name".'
            )
        images.append(KnownImage(image_id, Path(name), json_values.size_hw(entry), image_id))
    if len({str(image.image_id) for image in images}) < len(images):
        raise InputError(f"{path}: two images have one id; number them anew.")
    return KnownImages(tuple(_with_sizes(images)), str(path), "coco")


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
