"""Image index of a data set or a folder, and the images of a proposals file matched with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from objectness.datasets import Dataset, Record, load_dataset
from objectness.errors import InputError
from objectness.files import json_values
from objectness.formats.core.classes import KnownClasses
from objectness.formats.core.parsed import ParsedFile, ParsedImage, in_fractions
from objectness.formats.core.sniffing import file_head
from objectness.formats.core.spec import Coverage, Format, ids_for
from objectness.image_index import ImageIndex, ImageReference, IndexedImage, Match
from objectness.image_spelling import plain_id
from objectness.images.finding import walk
from objectness.images.sizes import read_sizes
from objectness.proposal_set import ImageId, ProposalSet
from objectness.proposals import Proposals


def index_images(
    data: str | Path | None = None,
    images: str | Path | None = None,
    split: str | None = None,
    *,
    allow_outside: bool = False,
) -> ImageIndex | None:
    """Index the images of a data set (ids, files, sizes) or of a folder (files, sizes); None where neither is given.

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
        return _index_table(Path(data)) or index_dataset(
            load_dataset(data, split, allow_outside=allow_outside), str(data)
        )
    if images is None:
        return None
    folder = Path(images)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: give the folder that holds the images.", arguments=("images",))
    walked = walk(folder)
    closed = f" (without {', '.join(map(str, walked.closed))}, which cannot be read)" if walked.closed else ""
    return ImageIndex(_with_sizes([IndexedImage(None, path) for path in walked.images]), f"{folder}{closed}")


def index_with_classes(
    data: str | Path, split: str | None = None, *, allow_outside: bool = False
) -> tuple[ImageIndex, KnownClasses | None]:
    """Index the images of a data set, and its classes; a table of images has none.

    Raises:
        InputError: there is no such data set.
    """
    table = _index_table(Path(data))
    if table is not None:
        return table, None
    dataset = load_dataset(data, split, allow_outside=allow_outside)
    return index_dataset(dataset, str(data)), KnownClasses.of(dataset, str(data))


def index_dataset(dataset: Dataset, where: str) -> ImageIndex:
    """Index the images of a data set under the ids that COCO gives them; those of other layouts are numbered."""
    records = dataset.records
    own = {str(plain_id(record.own_id)) for record in records}
    has_ids = dataset.layout == "coco" and len(own) == len(records)
    images = [
        IndexedImage(record.own_id if has_ids else record.image_id, record.path, record.size_hw, record.own_id)
        for record in records
    ]
    return ImageIndex(_with_sizes(images), where, dataset.layout)


def index_records(records: Sequence[Record], where: str = "the data set") -> ImageIndex:
    """Index records under their ``image_id``; files for other images are refused."""
    images = (IndexedImage(record.image_id, record.path, record.size_hw, record.own_id) for record in records)
    return ImageIndex(tuple(images), where, is_complete=True)


def require_own_ids(image_index: ImageIndex) -> None:
    """Refuse to write ids that no data set has: parts of a COCO data set may number their images alike.

    Raises:
        InputError: with what to give.
    """
    if image_index.layout == "coco" and not image_index.has_own_ids:
        raise InputError(
            f"{image_index.where} has one id for several images, in its parts or as number and as text: "
            "give one part, or its JSON file, so that ids are told apart."
        )


def find_images(parsed: ParsedFile, image_index: ImageIndex) -> Match:
    """The images of the index that the images of a file are."""
    return image_index.match([ImageReference(image.image_id, image.name) for image in parsed.images])


def require_all(image_index: ImageIndex, references: Sequence[ImageReference]) -> list[int]:
    """The position of every image that is referred to.

    Raises:
        InputError: it is not clear which image is meant, two references mean one, or an image is not in the index.
    """
    match = image_index.match(references)
    if match.doubt:
        raise InputError(f"It is not clear which image is meant: {match.doubt}.")
    unmatched = [one for one, place in zip(references, match.places, strict=True) if place is None]
    if unmatched:
        sentence = _unmatched(unmatched, len(references))
        raise InputError(f"{sentence[0].upper()}{sentence[1:]}")
    return [place for place in match.places if place is not None]


def match_images(path: Path | str, parsed: ParsedFile, image_index: ImageIndex) -> ParsedFile:
    """Give each image the id, the file and the size that the data set has for it.

    An image that is not found stays as it is, unless its id would make it one of the data set.

    Raises:
        InputError: it is not clear which image is meant, or two images of the file are one of the data set; the
            index is complete and the file has other images, or boxes that are fractions.
    """
    match = find_images(parsed, image_index)
    if match.doubt:
        raise InputError(f"{path}: it is not clear which image is meant: {match.doubt}.")
    found = [None if place is None else image_index.images[place] for place in match.places]
    unmatched = [image for image, own in zip(parsed.images, found, strict=True) if own is None]
    if unmatched and image_index.is_complete:
        raise InputError(f"{path}: {_unmatched(unmatched, len(parsed.images))}")
    ids = {str(image.image_id) for image in image_index.images if image.image_id is not None}
    dropped = [image for image in unmatched if ids and (image.image_id is None or str(image.image_id) in ids)]
    images = tuple(
        _matched(image, own)
        for image, own in zip(parsed.images, found, strict=True)
        if own is not None or not any(image is one for one in dropped)
    )
    notes = (*parsed.notes, *_match_notes(parsed, image_index, match, found))
    if unmatched:
        note = f"{len(unmatched)} images, {unmatched[0].label} among them, are not in {image_index.where}"
        left_out = f"; {len(dropped)} of them were left out, as they have no id of their own" if dropped else ""
        notes = (*notes, f"{note}{left_out}")
    matched = replace(parsed, images=images, notes=notes)
    if image_index.is_complete and in_fractions(matched):
        raise InputError(
            f"{path}: every box lies between 0 and 1, as a fraction of its image: pixels are due, so multiply x by "
            "the image's width and y by its height."
        )
    return matched


def complete(proposals: ProposalSet, image_index: ImageIndex) -> tuple[ProposalSet, int, int]:
    """One entry for each image of the data set, in its order; the others come last.

    Returns:
        The set, the number of its images without an entry before (they get no proposals), and the number of images
        that are not in the data set.
    """
    images: dict[ImageId, Proposals] = {}
    added = 0
    for image in image_index.images:
        if image.image_id is None:
            continue
        found = proposals.get(image.image_id)
        added += found is None
        images[image.image_id] = found or Proposals(_NO_BOXES, _NO_SCORES, image.size_hw or (0, 0), str(image.path))
    others = {image_id: found for image_id, found in proposals.items() if image_id not in images}
    return replace(proposals, images={**images, **others}), added, len(others)


def fit_to_data(found: ProposalSet, image_index: ImageIndex, target: Format) -> tuple[ProposalSet, list[str]]:
    """The images as a format's readers need them: in the order of the data set, none missing, none too many.

    Returns:
        The set, and notes.

    Raises:
        InputError: as :func:`require_own_ids`.
    """
    if target.holds.ids:
        require_own_ids(image_index)
    whole, added, others = complete(found, image_index)
    if target.coverage is Coverage.ANY:
        return replace(whole, images={image_id: image for image_id, image in whole.items() if image_id in found}), []
    notes = []
    if added:
        notes.append(f"{added} images of {image_index.where} have no proposals: they are written as empty")
    if others and target.coverage is Coverage.EXACT:
        ids = {image.image_id for image in image_index.images}
        whole = whole.renamed({image_id: image_id for image_id in whole if image_id in ids})
        notes.append(
            f"{others} images that {image_index.where} does not have are left out, as {target.title} goes by it"
        )
    due = {image.image_id: own for image, own in zip(image_index.images, ids_for(target, image_index), strict=True)}
    if any(image_id != own for image_id, own in due.items()):
        whole = whole.renamed({image_id: own for image_id in whole if (own := due.get(image_id)) is not None})
    return whole, notes


_NO_BOXES = np.empty((0, 4), dtype=np.float32)
_NO_SCORES = np.empty(0, dtype=np.float32)


def _match_notes(
    parsed: ParsedFile, image_index: ImageIndex, match: Match, found: Sequence[IndexedImage | None]
) -> list[str]:
    notes = []
    resized = [
        image.label
        for image, own in zip(parsed.images, found, strict=True)
        if own and own.size_hw and image.size_hw and image.size_hw != own.size_hw
    ]
    if resized:
        notes.append(
            f"{len(resized)} images, {resized[0]} among them, have another size in the file than in "
            f"{image_index.where}, as if the proposals were made on resized copies"
        )
    if match.evidence == "id" and any(image.name for image in parsed.images):
        notes.append(f"no file name of the file occurs in {image_index.where}: images were matched by id")
    if match.evidence in ("stem", "number"):
        what = {"stem": "names of its files", "number": "numbers in the names of its files"}[match.evidence]
        notes.append(f"the ids are not those of {image_index.where} but the {what}: images were matched so")
    return notes


def _unmatched(unmatched: Sequence[ParsedImage | ImageReference], count: int) -> str:
    if unmatched[0].name is None and unmatched[0].image_id is None:
        return "nothing in the file says which image its boxes are of: give it the ids or the names of the images."
    named = unmatched[0].name or f"image {unmatched[0].image_id}"
    more = f" and {len(unmatched) - 1} more of its {count} images" if len(unmatched) > 1 else ""
    return (
        f"there are proposals for {named}{more}, which the data set does not have: "
        "measure them on the data set and the split that they were made for (all, if for several)."
    )


def _index_table(path: Path) -> ImageIndex | None:
    """The index of a table of images, as it lies beside proposals; None where the path is something else."""
    if path.suffix.lower() != ".json" or not path.is_file() or file_head(path).outermost != "[{":
        return None
    images = []
    for position, entry in enumerate(json_values.load(path), start=1):
        image_id = json_values.image_id(entry.get("id")) if isinstance(entry, dict) else None
        name = json_values.text(entry.get("file_name")) if isinstance(entry, dict) else None
        if image_id is None or name is None:
            raise InputError(
                f'{path} is no data set and no table of images: its entry {position} has no "id" and "file_name".'
            )
        images.append(IndexedImage(image_id, Path(name), json_values.size_hw(entry), image_id))
    if len({str(image.image_id) for image in images}) < len(images):
        raise InputError(f"{path}: two images have one id; number them anew.")
    return ImageIndex(_with_sizes(images), str(path), "coco")


def _matched(image: ParsedImage, own: IndexedImage | None) -> ParsedImage:
    if own is None:
        return image
    image_id = image.image_id if own.image_id is None else own.image_id
    return replace(image, image_id=image_id, name=str(own.path), size_hw=own.size_hw or image.size_hw)


def _with_sizes(images: Iterable[IndexedImage]) -> tuple[IndexedImage, ...]:
    """The images, with the sizes that the files have where they are not known."""
    images = tuple(images)
    missing = [image.path for image in images if image.size_hw is None]
    sizes = dict(zip(missing, read_sizes(missing), strict=True))
    own = [image.size_hw or sizes[image.path] for image in images]
    return tuple(
        replace(image, size_hw=None if isinstance(size, str) else size) for image, size in zip(images, own, strict=True)
    )
