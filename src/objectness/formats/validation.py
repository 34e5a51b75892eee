"""What is wrong with a proposals file, and what its consumers would do about it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError, MissingContextError, NotInstalledError
from objectness.formats.core.known_images import KnownImages
from objectness.formats.core.parsed import RawFile, RawImage, describe, in_fractions, unusable
from objectness.formats.core.sniffing import present
from objectness.formats.core.spec import Format, Kind, Rule, ids_for
from objectness.proposal_set import ImageId

_TOLERANCE_PX = 1.0

# What holds for every consumer, unless the format says otherwise.
_GENERAL = {
    Kind.UNREADABLE: Rule("every reader", "fails"),
    Kind.DOUBLE_IMAGE: Rule("every reader", "takes one of the two, or both"),
    Kind.MISSING_IMAGE: Rule("an evaluator", "must count its objects as missed", breaks=False),
    Kind.UNKNOWN_IMAGE: Rule("an evaluator", "cannot use the image", breaks=False),
    Kind.UNCLEAR_IMAGE: Rule("every reader", "gives images the boxes of others"),
    Kind.OTHER_ID: Rule("readers by id", "give images the boxes of others, or stop"),
    Kind.OTHER_ORDER: Rule("readers by id or name", "do not care", breaks=False),
    Kind.NO_SIZE: Rule("objectness", "cannot tell which boxes lie outside", breaks=False),
    Kind.OTHER_SIZE: Rule("every consumer", "puts the boxes at the wrong place, if they were made on resized copies"),
    Kind.NOT_FINITE: Rule("every consumer", "sorts or compares it wrongly, or stops"),
    Kind.SWAPPED: Rule("every consumer", "computes negative areas and overlaps, or stops"),
    Kind.FRACTIONS: Rule("every consumer", "takes the fractions of the image for pixels"),
    Kind.NO_SCORE: Rule("every consumer", "has to go by the order of the file", breaks=False),
    Kind.NO_AREA: Rule("most consumers", "drop boxes without area", breaks=False),
    Kind.OUTSIDE: Rule("most consumers", "clip the box to nothing", breaks=False),
    Kind.STICKS_OUT: Rule("most consumers", "clip the box to the image", breaks=False),
    Kind.SCORE_RANGE: Rule("consumers of probabilities", "take it for one; it looks like a logit", breaks=False),
    Kind.UNSORTED: Rule("consumers that take the first ones", "take others than the best", breaks=False),
    Kind.DUPLICATE: Rule("every consumer", "spends two places on one box", breaks=False),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: What sort of thing.
        image: The image it is about, or None.
        number: Number of the entry (line, row ...) in the file, or None.
        detail: A sentence's end.
        rule: What the format's consumer does about it.
    """

    kind: Kind
    image: str | None
    number: int | None
    detail: str
    rule: Rule


@dataclass(frozen=True)
class Validation:
    """A whole file.

    Attributes:
        path: The file or folder.
        format: Its format.
        unit: What the numbers count.
        images: Number of images.
        proposals: Number of proposals.
        findings: In the order of ``Kind``.
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
        return any(finding.rule.breaks for finding in self.findings)

    @property
    def by_kind(self) -> Mapping[Kind, tuple[Finding, ...]]:
        """The findings of each kind that occurs."""
        grouped = {kind: tuple(finding for finding in self.findings if finding.kind is kind) for kind in Kind}
        return {kind: found for kind, found in grouped.items() if found}


def validate(path: Path, source: Format, known: KnownImages | None = None) -> Validation:
    """Name everything that a consumer of the format would choke on, and what it only copes with.

    Args:
        path: The file or folder.
        source: Its format.
        known: The data set, for missing images, ids, order and sizes.

    Raises:
        InputError: only where the file cannot be read without being told more (a data set, an extra).
    """
    rules = {**_GENERAL, **source.rules}
    findings: list[tuple[Kind, str | None, int | None, str]] = []
    try:
        raw = source.parse(present(path), known)
    except InputError as error:
        if isinstance(error, (MissingContextError, NotInstalledError)):
            raise
        unreadable = Finding(Kind.UNREADABLE, None, None, str(error), rules[Kind.UNREADABLE])
        return Validation(str(path), source, "entry", 0, 0, (unreadable,))
    if known is not None:
        match = known.match(raw)
        if match.doubt:
            kind = Kind.DOUBLE_IMAGE if match.is_double else Kind.UNCLEAR_IMAGE
            findings.append((kind, None, None, match.doubt))
        else:
            findings.extend(_against(raw, match.places, known, source))
            raw = replace(
                raw,
                images=tuple(
                    _sized(image, known, place) for image, place in zip(raw.images, match.places, strict=True)
                ),
            )
    times = Counter(image.image_id for image in raw.images if image.image_id is not None)
    findings.extend((Kind.DOUBLE_IMAGE, str(key), None, f"is there {n} times") for key, n in times.items() if n > 1)
    for image in raw.images:
        findings.extend(_of_image(image))
    if in_fractions(raw):
        findings.append((Kind.FRACTIONS, None, None, "every box lies between 0 and 1"))
    order = list(Kind)
    found = [Finding(kind, image, number, detail, rules[kind]) for kind, image, number, detail in findings]
    return Validation(
        str(path),
        source,
        raw.unit,
        len(raw.images),
        sum(len(image.scores) for image in raw.images),
        tuple(sorted(found, key=lambda finding: order.index(finding.kind))),
        raw.notes,
    )


def _against(
    raw: RawFile, places: Sequence[int | None], known: KnownImages, source: Format
) -> Iterator[tuple[Kind, str | None, int | None, str]]:
    """What the data set has to say about the images."""
    for image, place in zip(raw.images, places, strict=True):
        if place is None:
            yield Kind.UNKNOWN_IMAGE, image.label, None, f"is not in {known.where}"
    present = set(places)
    for position, wanted in enumerate(known.images):
        if position not in present:
            yield Kind.MISSING_IMAGE, wanted.path.name, None, "has no entry in the file"
    found = [place for place in places if place is not None]
    if found != sorted(found):
        first = next(index for index, (a, b) in enumerate(zip(found, sorted(found), strict=True)) if a != b)
        yield Kind.OTHER_ORDER, known.images[found[first]].path.name, None, f"comes where {known.where} has another"
    due = ids_for(source, known) if Kind.OTHER_ID in source.rules and _has_ids(source, known) else None
    for image, place in zip(raw.images, places, strict=True):
        if place is None:
            continue
        wanted = known.images[place]
        if due is not None and not _is_id(image.image_id, due[place], source):
            detail = f"has the id {_shown_id(image.image_id)} where {_shown_id(due[place])} is due"
            yield Kind.OTHER_ID, image.label, None, detail
        if image.size_hw and wanted.size_hw and image.size_hw != wanted.size_hw:
            (h, w), (height, width) = image.size_hw, wanted.size_hw
            yield Kind.OTHER_SIZE, image.label, None, f"is {w} x {h} in the file and {width} x {height} in the data"


def _has_ids(source: Format, known: KnownImages) -> bool:
    """Whether the format's consumers look for the images of such a data set by ids that are known."""
    return known.has_own_ids or (known.layout == "voc" and bool(source.stems))


def _is_id(image_id: ImageId | None, due: ImageId | None, source: Format) -> bool:
    return image_id == due if source.strict_ids else str(image_id) == str(due)


def _shown_id(image_id: ImageId | None) -> str:
    return "none" if image_id is None else json.dumps(image_id, ensure_ascii=False)


def _sized(image: RawImage, known: KnownImages, place: int | None) -> RawImage:
    found = None if place is None else known.images[place]
    return image if found is None else replace(image, name=str(found.path), size_hw=found.size_hw or image.size_hw)


def _of_image(image: RawImage) -> Iterator[tuple[Kind, str | None, int | None, str]]:
    faults = unusable(image)
    for fault, mask in faults.items():
        kind = Kind.SWAPPED if fault == "swapped" else Kind.NOT_FINITE
        for index in np.flatnonzero(mask).tolist():
            yield kind, image.label, int(image.numbers[index]), describe(image, index, fault)
    sound = ~(faults["box"] | faults["swapped"])
    boxes = np.where(sound[:, None], image.boxes_xyxy, 0)
    flat = sound & (boxes[:, 2:] <= boxes[:, :2]).any(axis=1)
    yield from _each(image, Kind.NO_AREA, flat, "has a box without area")
    yield from _outside(image, boxes, sound & ~flat)
    yield from _each(image, Kind.NO_SCORE, ~image.scored, "has no score")
    given = image.scored & ~faults["score"]
    if image.logits is None:
        with np.errstate(invalid="ignore"):
            beyond = given & ((image.scores < 0) | (image.scores > 1))
        yield from _each(image, Kind.SCORE_RANGE, beyond, "has a score that is no probability")
    scores = image.scores[given] if image.logits is None else image.logits
    rising = np.flatnonzero(np.diff(scores) > 0)
    if len(rising):
        yield Kind.UNSORTED, image.label, None, f"has scores that rise at {len(rising)} places"
    yield from _doubles(image)


def _outside(
    image: RawImage, boxes: NDArray[np.float64], sound: NDArray[np.bool_]
) -> Iterator[tuple[Kind, str | None, int | None, str]]:
    if image.size_hw is None:
        if len(boxes):
            yield Kind.NO_SIZE, image.label, None, "has no width and height in the file"
        return
    height, width = image.size_hw
    inside = np.clip(boxes, 0, [width, height, width, height])
    gone = sound & (inside[:, 2:] <= inside[:, :2]).any(axis=1)
    sticks = sound & ~gone & (np.abs(inside - boxes) > _TOLERANCE_PX).any(axis=1)
    yield from _each(image, Kind.OUTSIDE, gone, f"lies outside of {width} x {height}")
    yield from _each(image, Kind.STICKS_OUT, sticks, f"sticks out of {width} x {height} by more than a pixel")


def _each(
    image: RawImage, kind: Kind, mask: NDArray[np.bool_], detail: str
) -> Iterable[tuple[Kind, str | None, int | None, str]]:
    for index in np.flatnonzero(mask).tolist():
        yield kind, image.label, int(image.numbers[index]), detail


def _doubles(image: RawImage) -> Iterator[tuple[Kind, str | None, int | None, str]]:
    first: dict[bytes, int] = {}
    for box, number in zip(image.boxes_xyxy, image.numbers.tolist(), strict=True):
        same = first.setdefault(box.tobytes(), number)
        if same != number:
            yield Kind.DUPLICATE, image.label, number, f"has the same box as {same}"
