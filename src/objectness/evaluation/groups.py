"""Groups of objects: by size, aspect ratio, objects in the image and class.

M objects, I images. A group is a ``bool (M,)`` mask; the groups of one question are a dict from label to mask.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from objectness.datasets.records import LARGE_FROM, SMALL_BELOW
from objectness.errors import InputError, did_you_mean

Mask = NDArray[np.bool_]
Groups = dict[str, Mask]

SIZES = {"small": (0.0, SMALL_BELOW), "medium": (SMALL_BELOW, LARGE_FROM), "large": (LARGE_FROM, np.inf)}
"""Annotated areas in square pixels, both ends included as in COCO: an area of 1024 is small and medium."""

_USUAL = 640 * 480
RELATIVE_SIZES = {name: (low / _USUAL, high / _USUAL) for name, (low, high) in SIZES.items()}
"""Annotated area as a share of the image: COCO's borders on a photograph of 640 x 480 pixels."""

ASPECTS = {
    "under 1:3": (0.0, 1 / 3),
    "1:3 to 2:3": (1 / 3, 2 / 3),
    "2:3 to 3:2": (2 / 3, 3 / 2),
    "3:2 to 3:1": (3 / 2, 3.0),
    "over 3:1": (3.0, np.inf),
}
"""Height : width, the lower end included."""

OBJECTS_PER_IMAGE = {"1": (1, 1), "2 to 3": (2, 3), "4 to 7": (4, 7), "8 to 15": (8, 15), "16 or more": (16, np.inf)}
"""Objects in the image, both ends included."""

SEEN, UNSEEN = "seen", "unseen"

# The twenty classes of Pascal VOC by their names in COCO and in VOC itself: the usual split into seen and unseen.
VOC_CLASSES = frozenset(
    {"airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "dining table", "dog"}
    | {"horse", "motorcycle", "person", "potted plant", "sheep", "couch", "train", "tv"}
    | {"aeroplane", "diningtable", "motorbike", "pottedplant", "sofa", "tvmonitor"}
)


def by_size(areas: NDArray[np.floating]) -> Groups:
    """COCO's sizes by annotated area ``(M,)`` in square pixels."""
    return {name: (areas >= low) & (areas <= high) for name, (low, high) in SIZES.items()}


def by_relative_size(areas: NDArray[np.floating], image_areas: NDArray[np.floating]) -> Groups:
    """Sizes relative to the image; an object whose image has no known size (NaN) is in none.

    Args:
        areas: ``(M,)`` annotated, square pixels.
        image_areas: ``(M,)`` of each object's image, square pixels.
    """
    share = np.divide(areas, image_areas, out=np.full(len(areas), np.nan), where=image_areas > 0)
    return {name: (share >= low) & (share <= high) for name, (low, high) in RELATIVE_SIZES.items()}


def by_aspect(boxes_xyxy: NDArray[np.floating]) -> Groups:
    """Height : width of the boxes ``(M, 4)``; a box without area is in none."""
    wide, high = boxes_xyxy[:, 2] - boxes_xyxy[:, 0], boxes_xyxy[:, 3] - boxes_xyxy[:, 1]
    ratio = np.divide(high, wide, out=np.full(len(wide), np.nan), where=(wide > 0) & (high > 0))
    return {name: (ratio >= low) & (ratio < upper) for name, (low, upper) in ASPECTS.items()}


def by_objects_per_image(image_of: NDArray[np.integer]) -> Groups:
    """Number of objects in the object's image, without ignore regions.

    Args:
        image_of: ``(M,)`` the position of each object's image.
    """
    together = np.bincount(image_of)[image_of] if len(image_of) else np.zeros(0, np.int64)
    return {name: (together >= low) & (together <= high) for name, (low, high) in OBJECTS_PER_IMAGE.items()}


def by_class(class_ids: NDArray[np.integer], class_names: Sequence[str]) -> Groups:
    """The classes that occur, most frequent first; a class that has no name is called by its number."""
    ids, counts = np.unique(class_ids, return_counts=True)
    names = {int(i): class_names[i] if i < len(class_names) else f"class {i}" for i in ids.tolist()}
    doubled = {name for name in names.values() if list(names.values()).count(name) > 1}
    order = np.lexsort((ids, -counts))
    return {
        f"{names[i]} ({i})" if names[i] in doubled else names[i]: class_ids == i
        for i in ids[order].astype(int).tolist()
    }


def by_seen(class_ids: NDArray[np.integer], class_names: Sequence[str], seen: Collection[str]) -> Groups:
    """Objects of the classes that training saw, and of the others.

    Args:
        class_ids: ``(M,)``.
        class_names: Names by class id.
        seen: Names, or the one word "voc" for the twenty classes of Pascal VOC.

    Raises:
        InputError: a name that no class has, or "voc" where no class is one of them.
    """
    wanted = VOC_CLASSES.intersection(class_names) if set(seen) == {"voc"} else set(seen)
    unknown = sorted(wanted.difference(class_names))
    if unknown:
        raise InputError(f"The data set has no class {unknown[0]!r}: {did_you_mean(unknown[0], class_names)}")
    if not wanted:
        raise InputError("None of the data set's classes is one of Pascal VOC: name the seen classes themselves.")
    ids = np.array([i for i, name in enumerate(class_names) if name in wanted], dtype=np.int64)
    is_seen = np.isin(class_ids, ids)
    return {SEEN: is_seen, UNSEEN: ~is_seen}
