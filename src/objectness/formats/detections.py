"""Boxes with classes in and out, through the formats that hold classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objectness.formats.core.conversion import Conversion

if TYPE_CHECKING:
    from objectness.detection_set import DetectionSet
    from objectness.detections import Detections
    from objectness.errors import InputError
    from objectness.formats.core.classes import KnownClasses
    from objectness.image_index import ImageIndex


def read_detections(
    path: str | Path,
    source_format: str | None = None,
    *,
    data: str | Path | None = None,
    images: str | Path | None = None,
    split: str | None = None,
    image_index: ImageIndex | None = None,
    classes: KnownClasses | None = None,
    repair: bool = False,
    allow_outside: bool = False,
) -> DetectionSet:
    """Read boxes with their classes from any supported file or folder that holds classes.

    A class is found by its name in the data set; where the file gives only numbers, by the data set's category ids
    (COCO results) or by its position (YOLO). Boxes of classes that the data set does not have are left out, with a
    sentence in ``notes``. Without a data set the classes are the file's own.

    Args:
        path: The file or folder.
        source_format: One of ``objectness.formats.registry.NAMES``; default: guessed from the contents.
        data: The data set that the detections were made for: it gives classes, ids, files and sizes.
        images: In its place, the folder of images: it gives files and sizes.
        split: The part of ``data``.
        image_index: In the place of all three, the images themselves.
        classes: With it, the classes (``objectness.formats.core.classes.KnownClasses``).
        repair: Leave boxes out that cannot be used (not finite, swapped corners) instead of refusing the file.
        allow_outside: The names in ``data``'s files may lead out of its folder.

    Raises:
        InputError: as :func:`read_proposals`; a box has no class, or the data set has none of the classes.
    """
    from objectness.formats.core.image_lookup import index_images, index_with_classes, match_images
    from objectness.formats.core.labelled import to_detection_set
    from objectness.formats.core.sniffing import existing_path
    from objectness.formats.registry import format_named, guess_source_format

    path = existing_path(path)
    source = format_named(source_format) if source_format else guess_source_format(path)
    if source.write_labelled is None:
        raise _classless(f"{path} is read as {source.title}, which holds no classes")
    if image_index is None and data is not None and images is None:
        image_index, classes = index_with_classes(data, split, allow_outside=allow_outside)
    elif image_index is None:
        image_index = index_images(data, images, split, allow_outside=allow_outside)
    parsed = source.parse(path, image_index)
    if image_index is not None:
        parsed = match_images(path, parsed, image_index)
    return to_detection_set(path, parsed, classes, repair=repair)


def write_detections(
    path: str | Path, detections: Mapping[Any, Detections], target_format: str | None = None
) -> tuple[str, ...]:
    """Write boxes with their classes into any supported file or folder that holds classes.

    Args:
        path: The file or folder; what is there is replaced when everything was written, and a new folder appears
            whole. COCO results have tables of the images and of the classes beside them (``detections.images.json``,
            ``detections.categories.json``).
        detections: A ``DetectionSet``, which also has category ids, or image id -> detections.
        target_format: One of ``objectness.formats.registry.NAMES``; default: guessed from the path's suffix.

    Returns:
        What the format cannot hold, in sentences; empty where nothing is lost.

    Raises:
        InputError: the format cannot be guessed, holds no classes, or lacks something (sizes, names); the place cannot
            be written to.
    """
    from objectness.detection_set import as_detection_set
    from objectness.formats.core.labelled import to_labelled_proposals
    from objectness.formats.core.spec import describe_loss
    from objectness.formats.registry import format_named, guess_target_format

    path = Path(path)
    target = format_named(target_format) if target_format else guess_target_format(path)
    if target.write_labelled is None:
        raise _classless(f"{target.title} holds no classes")
    proposals, labels, notes = to_labelled_proposals(as_detection_set(detections), target)
    with target.place(path) as place:
        target.write_labelled(place, proposals, labels)
    sentence = describe_loss(proposals, target)
    return (*notes, sentence) if sentence else notes


def convert_detections(
    source: str | Path,
    target: str | Path,
    source_format: str | None = None,
    target_format: str | None = None,
    *,
    data: str | Path | None = None,
    images: str | Path | None = None,
    split: str | None = None,
    top: int | None = None,
    repair: bool = False,
    allow_outside: bool = False,
) -> Conversion:
    """Read boxes with classes in one format and write them in another, images in the order of the data set.

    The arguments are those of :func:`read_detections` and :func:`write_detections`, and ``top``: keep the best this
    many boxes of each image. Classes of ``data`` replace those of the file, so that numbers become names.

    Raises:
        InputError: as those two.
    """
    from objectness.formats.core.image_lookup import index_images, index_with_classes
    from objectness.formats.registry import format_named, guess_source_format, guess_target_format

    source, target = Path(source), Path(target)
    reading = format_named(source_format) if source_format else guess_source_format(source)
    writing = format_named(target_format) if target_format else guess_target_format(target)
    classes = None
    if data is not None and images is None:
        image_index, classes = index_with_classes(data, split, allow_outside=allow_outside)
    else:
        image_index = index_images(data, images, split, allow_outside=allow_outside)  # type: ignore[assignment]
    found = read_detections(source, reading.name, image_index=image_index, classes=classes, repair=repair)
    notes = found.notes
    if image_index is not None:
        listed = [image.image_id for image in image_index.images if image.image_id in found]
        order = {image_id: found[image_id] for image_id in (*listed, *found)}
        found = replace(found, images=order)
    if top is not None:
        found = replace(found, images={image_id: one.top(top) for image_id, one in found.items()})
    losses = write_detections(target, found, writing.name)
    return Conversion(reading, writing, found.to_proposals(), notes, (), losses)


def _classless(sentence: str) -> InputError:
    """The error about a format without classes, which names those that have some."""
    from objectness.errors import InputError
    from objectness.formats.registry import all_formats

    names = ", ".join(entry.name for entry in all_formats() if entry.write_labelled is not None)
    return InputError(f"{sentence}; these formats do: {names}.")
