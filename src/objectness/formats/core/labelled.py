"""The step from a parsed file to a ``DetectionSet``, and back to what a writer takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from objectness.detection_set import DetectionSet
from objectness.detections import Detections
from objectness.errors import InputError
from objectness.formats.core.classes import KnownClasses, Labels, find_classes, own_classes
from objectness.formats.core.parsed import ParsedFile, best_first, prepared
from objectness.formats.core.spec import Format, adapt_ids
from objectness.proposal_set import ImageId, ProposalSet


def to_detection_set(
    path: Path | str, raw: ParsedFile, known: KnownClasses | None = None, *, repair: bool = False
) -> DetectionSet:
    """Check and sort as :func:`objectness.formats.core.parsed.to_proposal_set`, and give every box its class.

    Args:
        path: For messages.
        raw: As read.
        known: The classes of the data set; boxes of others are left out, with a sentence in ``notes``. None for those
            of the file itself.
        repair: Drop boxes that cannot be used, and say so, instead of refusing the file.

    Raises:
        InputError: as that function; a box has no class, or the data set has none of the classes.
    """
    raw, ids, numbered, notes = prepared(path, raw, repair=repair)
    for image in raw.images:
        if (image.classes < 0).any():
            number = image.numbers[int(np.argmax(image.classes < 0))]
            raise InputError(f"{path}: {raw.unit} {number} of image {image.label} has no class: it is a proposal.")
    used = np.unique(np.concatenate([np.zeros(0, np.int64), *(image.classes for image in raw.images)]))
    if known is None:
        positions, known = own_classes(path, raw.classes)
    else:
        positions = np.full(len(raw.classes), -1, dtype=np.int64)
        positions[used], sentence = find_classes(path, [raw.classes[one] for one in used.tolist()], known)
        notes = (*notes, *sentence)
    images: dict[ImageId, Detections] = {}
    for image_id, image in zip(ids, raw.images, strict=True):
        order = best_first(image)
        labels = positions[image.classes[order]]
        order, labels = order[labels >= 0], labels[labels >= 0]
        images[image_id] = Detections(
            image.boxes_xyxy[order].astype(np.float32),
            image.scores[order].astype(np.float32),
            labels,
            known.names,
            image.size_hw or (0, 0),
            image.name,
        )
    return DetectionSet(images, known.names, known.category_ids, raw.metadata, numbered, notes)


def to_labelled_proposals(found: DetectionSet, target: Format) -> tuple[ProposalSet, Labels, tuple[str, ...]]:
    """The boxes with ids that the target takes, their classes, and a sentence if ids had to be made up."""
    adapted, notes = adapt_ids(found.to_proposals(), target)
    by_image = {image_id: one.labels for image_id, one in zip(adapted, found.values(), strict=True)}
    return replace(adapted, notes=()), Labels(found.class_names, found.category_ids, by_image), notes
