"""Records built from rows of plain numbers, as all readers produce them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from objectness.datasets.records import Record


class Row(NamedTuple):
    """One annotated box: corners in pixels, class, ignore flag, annotated area or None, crowd and difficult flags."""

    box_xyxy: tuple[float, float, float, float]
    class_id: int
    ignore: bool = False
    area: float | None = None
    crowd: bool = False
    difficult: bool = False


def build_record(
    image_id: int,
    path: Path,
    size_hw: tuple[int, int] | None,
    rows: Sequence[Row],
    given_id: int | str | None = None,
) -> Record:
    """Put the boxes of one image into arrays; a box without an annotated area gets its own."""
    with np.errstate(over="ignore", invalid="ignore"):  # absurd numbers become infinite: the rules name them
        boxes64 = np.array([row.box_xyxy for row in rows], dtype=np.float64).reshape(-1, 4)
        wh = np.clip(boxes64[:, 2:] - boxes64[:, :2], 0, None)
        own = wh[:, 0] * wh[:, 1]
        annotated = np.array([np.nan if row.area is None else row.area for row in rows], dtype=np.float64)
        areas = np.where(np.isnan(annotated), own, annotated).astype(np.float32)
        boxes_xyxy = boxes64.astype(np.float32)
    return Record(
        image_id=image_id,
        path=path,
        size_hw=size_hw,
        boxes_xyxy=boxes_xyxy,
        class_ids=np.array([row.class_id for row in rows], dtype=np.int64),
        ignore=np.array([row.ignore for row in rows], dtype=np.bool_),
        areas=areas,
        crowd=np.array([row.crowd for row in rows], dtype=np.bool_),
        difficult=np.array([row.difficult for row in rows], dtype=np.bool_),
        given_id=given_id,
    )


class ClassNames:
    """Class names in the order in which they turn up; each key has a position and a name."""

    def __init__(self, known: Iterable[tuple[object, str]] = ()) -> None:
        self._position: dict[object, int] = {}
        self._names: list[str] = []
        for key, name in known:
            self.add(key, name)

    def __contains__(self, key: object) -> bool:
        return key in self._position

    def add(self, key: object, name: str) -> int:
        """Position of ``key``, which is called ``name`` when it is new."""
        if key not in self._position:
            self._position[key] = len(self._names)
            self._names.append(name)
        return self._position[key]

    @property
    def keys(self) -> tuple[object, ...]:
        """The keys in the order of their positions."""
        return tuple(self._position)

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the order of their positions."""
        return tuple(self._names)
