"""Ground truth as values: one record a photograph, one data set a split."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALL_BELOW, LARGE_FROM = 32.0**2, 96.0**2
"""COCO's size classes by area in square pixels: small below the first, large from the second."""


class ProblemKind(StrEnum):
    """Kinds of problems, in the order of reports."""

    EMPTY = "no images"
    MISSING_IMAGE = "missing image"
    UNREADABLE_IMAGE = "unreadable image"
    UNREADABLE_ANNOTATION = "unreadable annotation"
    MALFORMED = "malformed annotation"
    UNKNOWN_IMAGE = "annotation of an unknown image"
    UNKNOWN_CLASS = "class out of range"
    NON_FINITE = "non-finite box"
    DEGENERATE = "degenerate box"
    OUTSIDE = "box wholly outside the image"
    STICKS_OUT = "box partly outside the image"
    DUPLICATE_BOX = "duplicate box"
    DUPLICATE_ID = "duplicate image id"
    DUPLICATE_NAME = "duplicate file name"
    DUPLICATE_IMAGE = "duplicate image"
    SIZE_DIFFERS = "declared size differs"
    NO_ANNOTATION = "image without annotation"
    LEAK = "image shared between splits"


@dataclass(frozen=True)
class Problem:
    """One problem of a data set.

    Attributes:
        file: The file it is about (image, label file or annotation file), as a path.
        detail: The problem; reads on after the file's name.
        box: Number of the box within its image, in the annotation's order from 1; None if it is about no box.
    """

    kind: ProblemKind
    file: str
    detail: str
    box: int | None = None

    def __str__(self) -> str:
        return f"{self.file}{f', box {self.box}' if self.box is not None else ''}: {self.detail}"


@dataclass(frozen=True, eq=False)
class Record:
    """One photograph and the boxes drawn on it, exactly as its annotation says (nothing repaired).

    Attributes:
        image_id: Unique in the data set. The annotation's own id, if every image has a whole number below 2^63;
            otherwise a running number, which means nothing outside of the data set.
        path: The image file (it may be missing: ``objectness check`` names it).
        size_hw: (height, width) after EXIF orientation as the annotation declares it; None if it does not.
        boxes_xyxy: ``float32 (N, 4)``, right and bottom exclusive, pixels of the upright photograph.
        class_ids: ``int64 (N,)`` positions in ``Dataset.class_names``.
        ignore: ``bool (N,)``: crowd or ignore regions: never a positive, never a missed object.
        areas: ``float32 (N,)`` annotated areas (COCO: the mask's), which size splits go by; else the box's.
        crowd: ``bool (N,)``: the part of ``ignore`` that marks a crowd (COCO's ``iscrowd``); None: not known.
        difficult: ``bool (N,)``: marked difficult (Pascal VOC); an object like others. None: not known.
        given_id: The id in other files, where ``image_id`` is a running number: COCO's own id, the stem of
            VOC's XML file or of YOLO's image.
    """

    image_id: int
    path: Path
    size_hw: tuple[int, int] | None
    boxes_xyxy: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    ignore: NDArray[np.bool_]
    areas: NDArray[np.float32]
    crowd: NDArray[np.bool_] | None = None
    difficult: NDArray[np.bool_] | None = None
    given_id: int | str | None = None

    @property
    def own_id(self) -> int | str:
        """The id by which other files may refer to the image."""
        return self.image_id if self.given_id is None else self.given_id

    def __post_init__(self) -> None:
        count = len(self.boxes_xyxy)
        if self.boxes_xyxy.shape != (count, 4):
            raise ValueError(f"{self.path}: boxes have shape {self.boxes_xyxy.shape}, expected (N, 4).")
        known = [name for name in ("crowd", "difficult") if getattr(self, name) is not None]
        for name in ("class_ids", "ignore", "areas", *known):
            if getattr(self, name).shape != (count,):
                raise ValueError(f"{self.path}: {name} has shape {getattr(self, name).shape}, expected ({count},).")

    def keep(self, mask: NDArray[np.bool_] | NDArray[np.intp]) -> Record:
        """The record with some of its boxes, and with everything that belongs to them.

        Args:
            mask: ``bool (N,)``, or positions in the order wanted.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        kept: dict[str, Any] = {name: array[mask] for name, array in values.items() if isinstance(array, np.ndarray)}
        return replace(self, **kept)


@dataclass(frozen=True, eq=False)
class Dataset:
    """The records of one split.

    Attributes:
        root: The folder or file that was read.
        layout: Name of its row in ``objectness.datasets.layouts``.
        split: "train", "val", "test" or "all".
        class_names: Kept for grouping; proposals never need them.
        records: In the annotation's order.
        problems: Parts that could not be read and were left out, and doubled entries.
        notes: Deviations from the files as written that are no problems, in sentences.
        category_ids: COCO's own id of each class; empty where the layout has none, or its parts differ.
    """

    root: Path
    layout: str
    split: str
    class_names: tuple[str, ...]
    records: tuple[Record, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    category_ids: tuple[int | str, ...] = ()

    def __len__(self) -> int:
        return len(self.records)
