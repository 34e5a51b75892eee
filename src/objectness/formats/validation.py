"""Faults of a proposals file, and reactions of its consumers to them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError, MissingContextError, NotInstalledError
from objectness.formats.core.image_lookup import find_images, index_images
from objectness.formats.core.parsed import ParsedFile, ParsedImage, describe, in_fractions, unusable
from objectness.formats.core.sniffing import existing_path
from objectness.formats.core.spec import Fault, Format, Reaction, ids_for
from objectness.formats.registry import format_named, guess_source_format
from objectness.image_index import ImageIndex
from objectness.proposal_set import ImageId

_TOLERANCE_PX = 1.0
_Fact = tuple[Fault, str | None, int | None, str]  # kind, image, number of the entry, end of a sentence

# Of every consumer, unless the format declares another reaction.
_GENERAL = {
    Fault.UNREADABLE: Reaction("every reader", "fails"),
    Fault.DOUBLE_IMAGE: Reaction("every reader", "takes one of the two, or both"),
    Fault.MISSING_IMAGE: Reaction("an evaluator", "must count its objects as missed", breaks=False),
    Fault.UNKNOWN_IMAGE: Reaction("an evaluator", "cannot use the image", breaks=False),
    Fault.UNCLEAR_IMAGE: Reaction("every reader", "gives images the boxes of others"),
    Fault.OTHER_ID: Reaction("readers by id", "give images the boxes of others, or stop"),
    Fault.OTHER_ORDER: Reaction("readers by id or name", "do not care", breaks=False),
    Fault.NO_SIZE: Reaction("objectness", "cannot tell which boxes lie outside", breaks=False),
    Fault.OTHER_SIZE: Reaction(
        "every consumer", "puts the boxes at the wrong place, if they were made on resized copies"
    ),
    Fault.NOT_FINITE: Reaction("every consumer", "sorts or compares it wrongly, or stops"),
    Fault.SWAPPED: Reaction("every consumer", "computes negative areas and overlaps, or stops"),
    Fault.FRACTIONS: Reaction("every consumer", "takes the fractions of the image for pixels"),
    Fault.NO_SCORE: Reaction("every consumer", "has to go by the order of the file", breaks=False),
    Fault.NO_AREA: Reaction("most consumers", "drop boxes without area", breaks=False),
    Fault.OUTSIDE: Reaction("most consumers", "clip the box to nothing", breaks=False),
    Fault.STICKS_OUT: Reaction("most consumers", "clip the box to the image", breaks=False),
    Fault.SCORE_RANGE: Reaction("consumers of probabilities", "take it for one; it looks like a logit", breaks=False),
    Fault.UNSORTED: Reaction("consumers that take the first ones", "take others than the best", breaks=False),
    Fault.DUPLICATE: Reaction("every consumer", "spends two places on one box", breaks=False),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault.

    Attributes:
        kind: The kind of fault.
        image: Its image, or None.
        number: Number of the entry (line, row ...) in the file, or None.
        detail: The end of a sentence.
        reaction: Reaction of the format's consumer.
    """

    kind: Fault
    image: str | None
    number: int | None
    detail: str
    reaction: Reaction


@dataclass(frozen=True)
class Validation:
    """Report on a whole file.

    Attributes:
        path: The file or folder.
        format: Its format.
        unit: What the numbers count.
        images: Number of images.
        proposals: Number of proposals.
        findings: In the order of ``Fault``.
        notes: What the reader left out or took otherwise, in sentences.
    """

    path: str
    format: Format
    unit: str
    images: int
    proposals: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def breaks(self) -> bool:
        """Whether a consumer would fail or get wrong results."""
        return any(finding.reaction.breaks for finding in self.findings)

    @property
    def by_kind(self) -> Mapping[Fault, tuple[Finding, ...]]:
        """The findings of each kind that occurs."""
        grouped = {kind: tuple(finding for finding in self.findings if finding.kind is kind) for kind in Fault}
        return {kind: found for kind, found in grouped.items() if found}


def validate(
    path: str | Path,
    source_format: str | None = None,
    *,
    data: str | Path | None = None,
    images: str | Path | None = None,
    split: str | None = None,
    image_index: ImageIndex | None = None,
    allow_outside: bool = False,
) -> Validation:
    """Name all faults of a file, with the reaction of the consumers of its format to each.

    Args:
        path: The file or folder.
        source_format: One of ``objectness.formats.registry.NAMES``; default: guessed from the contents.
        data: The data set, for missing images, ids, order and sizes.
        images: In its place, the folder of images, for sizes.
        split: The part of ``data``.
        image_index: In the place of all three, the images themselves.
        allow_outside: The names in ``data``'s files may lead out of its folder.

    Raises:
        InputError: only where the file cannot be read without context (a data set, an extra), or no format fits.
    """
    source = format_named(source_format) if source_format else guess_source_format(Path(path))
    image_index = image_index or index_images(data, images, split, allow_outside=allow_outside)
    reactions = {**_GENERAL, **source.reactions}
    findings: list[_Fact] = []
    try:
        parsed = source.parse(existing_path(path), image_index)
    except InputError as error:
        if isinstance(error, (MissingContextError, NotInstalledError)):
            raise
        unreadable = Finding(Fault.UNREADABLE, None, None, str(error), reactions[Fault.UNREADABLE])
        return Validation(str(path), source, "entry", 0, 0, (unreadable,))
    if image_index is not None:
        match = find_images(parsed, image_index)
        if match.doubt:
            kind = Fault.DOUBLE_IMAGE if match.is_double else Fault.UNCLEAR_IMAGE
            findings.append((kind, None, None, match.doubt))
        else:
            findings.extend(_against(parsed, match.places, image_index, source))
            parsed = replace(
                parsed,
                images=tuple(
                    _sized(image, image_index, place) for image, place in zip(parsed.images, match.places, strict=True)
                ),
            )
    times = Counter(image.image_id for image in parsed.images if image.image_id is not None)
    findings.extend((Fault.DOUBLE_IMAGE, str(key), None, f"is there {n} times") for key, n in times.items() if n > 1)
    for image in parsed.images:
        findings.extend(_of_image(image))
    if in_fractions(parsed):
        findings.append((Fault.FRACTIONS, None, None, "every box lies between 0 and 1"))
    order = list(Fault)
    found = [Finding(kind, image, number, detail, reactions[kind]) for kind, image, number, detail in findings]
    return Validation(
        str(path),
        source,
        parsed.unit,
        len(parsed.images),
        sum(len(image.scores) for image in parsed.images),
        tuple(sorted(found, key=lambda finding: order.index(finding.kind))),
        parsed.notes,
    )


def _against(
    parsed: ParsedFile, places: Sequence[int | None], image_index: ImageIndex, source: Format
) -> Iterator[_Fact]:
    """Findings about the images, from the data set."""
    for image, place in zip(parsed.images, places, strict=True):
        if place is None:
            yield Fault.UNKNOWN_IMAGE, image.label, None, f"is not in {image_index.where}"
    present = set(places)
    for position, wanted in enumerate(image_index.images):
        if position not in present:
            yield Fault.MISSING_IMAGE, wanted.path.name, None, "has no entry in the file"
    found = [place for place in places if place is not None]
    if found != sorted(found):
        first = next(index for index, (a, b) in enumerate(zip(found, sorted(found), strict=True)) if a != b)
        yield (
            Fault.OTHER_ORDER,
            image_index.images[found[first]].path.name,
            None,
            f"comes where {image_index.where} has another",
        )
    due = ids_for(source, image_index) if Fault.OTHER_ID in source.reactions and _has_ids(source, image_index) else None
    for image, place in zip(parsed.images, places, strict=True):
        if place is None:
            continue
        wanted = image_index.images[place]
        if due is not None and not _is_id(image.image_id, due[place], source):
            detail = f"has the id {_shown_id(image.image_id)} where {_shown_id(due[place])} is due"
            yield Fault.OTHER_ID, image.label, None, detail
        if image.size_hw and wanted.size_hw and image.size_hw != wanted.size_hw:
            (h, w), (height, width) = image.size_hw, wanted.size_hw
            yield Fault.OTHER_SIZE, image.label, None, f"is {w} x {h} in the file and {width} x {height} in the data"


def _has_ids(source: Format, image_index: ImageIndex) -> bool:
    """Whether the format's consumers look for the images of such a data set by ids that are known."""
    return image_index.has_own_ids or (image_index.layout == "voc" and source.stem_ids is not None)


def _is_id(image_id: ImageId | None, due: ImageId | None, source: Format) -> bool:
    return image_id == due if source.strict_ids else str(image_id) == str(due)


def _shown_id(image_id: ImageId | None) -> str:
    return "none" if image_id is None else json.dumps(image_id, ensure_ascii=False)


def _sized(image: ParsedImage, image_index: ImageIndex, place: int | None) -> ParsedImage:
    found = None if place is None else image_index.images[place]
    return image if found is None else replace(image, name=str(found.path), size_hw=found.size_hw or image.size_hw)


def _of_image(image: ParsedImage) -> Iterator[_Fact]:
    faults = unusable(image)
    for fault, mask in faults.items():
        kind = Fault.SWAPPED if fault == "swapped" else Fault.NOT_FINITE
        for index in np.flatnonzero(mask).tolist():
            yield kind, image.label, int(image.numbers[index]), describe(image, index, fault)
    sound = ~(faults["box"] | faults["swapped"])
    boxes = np.where(sound[:, None], image.boxes_xyxy, 0)
    flat = sound & (boxes[:, 2:] <= boxes[:, :2]).any(axis=1)
    yield from _each(image, Fault.NO_AREA, flat, "has a box without area")
    yield from _outside(image, boxes, sound & ~flat)
    yield from _each(image, Fault.NO_SCORE, ~image.scored, "has no score")
    given = image.scored & ~faults["score"]
    if image.logits is None:
        with np.errstate(invalid="ignore"):
            beyond = given & ((image.scores < 0) | (image.scores > 1))
        yield from _each(image, Fault.SCORE_RANGE, beyond, "has a score that is no probability")
    scores = image.scores[given] if image.logits is None else image.logits
    rising = np.flatnonzero(np.diff(scores) > 0)
    if len(rising):
        yield Fault.UNSORTED, image.label, None, f"has scores that rise at {len(rising)} places"
    yield from _doubles(image)


def _outside(image: ParsedImage, boxes: NDArray[np.float64], sound: NDArray[np.bool_]) -> Iterator[_Fact]:
    if image.size_hw is None:
        if len(boxes):
            yield Fault.NO_SIZE, image.label, None, "has no width and height in the file"
        return
    height, width = image.size_hw
    inside = np.clip(boxes, 0, [width, height, width, height])
    gone = sound & (inside[:, 2:] <= inside[:, :2]).any(axis=1)
    sticks = sound & ~gone & (np.abs(inside - boxes) > _TOLERANCE_PX).any(axis=1)
    yield from _each(image, Fault.OUTSIDE, gone, f"lies outside of {width} x {height}")
    yield from _each(image, Fault.STICKS_OUT, sticks, f"sticks out of {width} x {height} by more than a pixel")


def _each(image: ParsedImage, kind: Fault, mask: NDArray[np.bool_], detail: str) -> Iterable[_Fact]:
    for index in np.flatnonzero(mask).tolist():
        yield kind, image.label, int(image.numbers[index]), detail


def _doubles(image: ParsedImage) -> Iterator[_Fact]:
    first: dict[bytes, int] = {}
    for box, number in zip(image.boxes_xyxy, image.numbers.tolist(), strict=True):
        same = first.setdefault(box.tobytes(), number)
        if same != number:
            yield Fault.DUPLICATE, image.label, number, f"has the same box as {same}"
