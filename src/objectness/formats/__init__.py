"""Proposals in and out: one file a format, listed in ``registry``; here the functions for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objectness.formats.core.conversion import Conversion
from objectness.formats.detections import convert_detections, read_detections, write_detections

if TYPE_CHECKING:
    from objectness.formats.core.spec import Format
    from objectness.image_index import ImageIndex
    from objectness.proposal_set import ProposalSet
    from objectness.proposals import Proposals

__all__ = [
    "Conversion",
    "convert_detections",
    "convert_proposals",
    "read_detections",
    "read_proposals",
    "write_detections",
    "write_proposals",
]


def read_proposals(
    path: str | Path,
    source_format: str | None = None,
    *,
    data: str | Path | None = None,
    images: str | Path | None = None,
    split: str | None = None,
    image_index: ImageIndex | None = None,
    repair: bool = False,
    allow_outside: bool = False,
) -> ProposalSet:
    """Read proposals from any supported file or folder.

    Args:
        path: The file or folder.
        source_format: One of ``objectness.formats.registry.NAMES``; default: guessed from the contents.
        data: The data set that the proposals were made for: it gives ids, files and sizes.
        images: In its place, the folder of images: it gives files and sizes.
        split: The part of ``data``.
        image_index: In the place of all three, the images themselves
            (``objectness.formats.core.image_lookup.index_images``).
        repair: Leave proposals out that cannot be used (not finite, swapped corners) instead of refusing the file.
        allow_outside: The names in ``data``'s files may lead out of its folder.

    Returns:
        The set; its ``notes`` name contents that were left out or made up.

    Raises:
        InputError: the file cannot be read or is damaged; the format cannot be guessed; what it lacks (sizes,
            ids) must be given.
    """
    from objectness.formats.core.parsed import to_proposal_set
    from objectness.formats.core.sniffing import existing_path
    from objectness.formats.registry import format_named, guess_source_format

    path = existing_path(path)
    source = format_named(source_format) if source_format else guess_source_format(path)
    if image_index is None and (data is not None or images is not None):
        from objectness.formats.core.image_lookup import index_images

        image_index = index_images(data, images, split, allow_outside=allow_outside)
    parsed = source.parse(path, image_index)
    if image_index is not None:
        from objectness.formats.core.image_lookup import match_images

        parsed = match_images(path, parsed, image_index)
    return to_proposal_set(path, parsed, repair=repair)


def write_proposals(
    path: str | Path, proposals: Mapping[Any, Proposals], target_format: str | None = None, *, scores: bool = True
) -> tuple[str, ...]:
    """Write proposals into any supported file or folder.

    Args:
        path: The file or folder; what is there is replaced when everything was written, and a new folder appears
            whole.
        proposals: A ``ProposalSet``, or image id -> proposals.
        target_format: One of ``objectness.formats.registry.NAMES``; default: guessed from the path's suffix.
        scores: Write the scores; only YOLO can leave them out, as its training wants.

    Returns:
        What the format cannot hold, in sentences; empty where nothing is lost.

    Raises:
        InputError: the format cannot be guessed, or lacks something (sizes, names); the place cannot be written to.
    """
    from objectness.formats.core.spec import adapt_ids, describe_loss
    from objectness.formats.registry import format_named, guess_target_format
    from objectness.proposal_set import as_set

    path = Path(path)
    target = format_named(target_format) if target_format else guess_target_format(path)
    adapted, notes = adapt_ids(as_set(proposals), target)
    if not scores and target.write_without_scores is not None:
        with target.place(path) as place:
            target.write_without_scores(place, adapted)
        return (f"{adapted.count} scores were left out, as asked.",)
    with target.place(path) as place:
        target.write(place, adapted)
    sentence = describe_loss(adapted, target)
    return (*notes, sentence) if sentence else notes


def convert_proposals(
    source: str | Path,
    target: str | Path,
    source_format: str | None = None,
    target_format: str | None = None,
    *,
    data: str | Path | None = None,
    images: str | Path | None = None,
    split: str | None = None,
    top: int | None = None,
    scores: bool = True,
    repair: bool = False,
    allow_outside: bool = False,
) -> Conversion:
    """Read proposals in one format and write them in another, as its readers need them for the data set.

    The arguments are those of :func:`read_proposals` and :func:`write_proposals`, and ``top``: keep the best this many
    proposals of each image. ``data`` also gives the order, and the images without proposals.

    Raises:
        InputError: as those two; the data set has one id for several images.
    """
    from objectness.formats.registry import format_named, guess_source_format, guess_target_format

    source, target = Path(source), Path(target)
    reading = format_named(source_format) if source_format else guess_source_format(source)
    writing = format_named(target_format) if target_format else guess_target_format(target)
    image_index = None
    if data is not None or images is not None:
        from objectness.formats.core.image_lookup import index_images

        image_index = index_images(data, images, split, allow_outside=allow_outside)
    found = read_proposals(source, reading.name, image_index=image_index, repair=repair)
    notes = list(found.notes)
    if top is not None:
        found = found.top(top)
    if image_index is not None:
        from objectness.formats.core.image_lookup import fit_to_data

        found, more = fit_to_data(found, image_index, writing)
        notes.extend(more)
    lacking = _lacking_data(found, reading, writing, has_data=image_index is not None)
    losses = write_proposals(target, found, writing.name, scores=scores)
    return Conversion(reading, writing, found, tuple(notes), lacking, losses)


def _lacking_data(found: ProposalSet, reading: Format, writing: Format, *, has_data: bool) -> tuple[str, ...]:
    from objectness.proposal_set import are_running_numbers

    if found.numbered and writing.holds.ids:
        return (f"{reading.title} has no image ids: images are numbered from 1; a data set gives its own",)
    if has_data or writing.holds.names:
        return ()
    if not writing.holds.ids:
        return (f"{writing.title} knows images by their order alone, which must be the data set's",)
    if are_running_numbers(list(found)):
        return (f"{writing.title} knows images by id alone, and these are numbered from 1; a data set gives its own",)
    return ()
