"""Classes of the boxes of a file: as it names them, as a data set knows them, and as they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError
from objectness.proposal_set import ImageId

if TYPE_CHECKING:
    from objectness.datasets import Dataset

_OBJECT = "object"
_MOST_CLASSES = 100_000  # where a file numbers them and gives no names
_NAMED = 3


class FileClass(NamedTuple):
    """A class as a file tells it, by one of these or several.

    Attributes:
        name: Its name.
        category_id: COCO's id, which only the data set explains.
        position: Its position in a list, from 0.
    """

    name: str | None = None
    category_id: ImageId | None = None
    position: int | None = None

    @property
    def label(self) -> str:
        """The class in a message."""
        if self.name is not None:
            return self.name
        return f"category_id {self.category_id}" if self.category_id is not None else f"class {self.position}"


@dataclass(frozen=True)
class KnownClasses:
    """The classes of a data set.

    Attributes:
        names: Their names.
        category_ids: COCO's ids, as many; 1, 2 ... where the data set has none.
        where: The data set, for messages.
    """

    names: tuple[str, ...]
    category_ids: tuple[int, ...]
    where: str = "the data set"

    @classmethod
    def of(cls, dataset: Dataset, where: str = "the data set") -> KnownClasses:
        """The classes of a data set; those of other layouts than COCO are numbered from 1, as COCO does."""
        ids = tuple(key for key in dataset.category_ids if isinstance(key, int))
        count = len(dataset.class_names)
        return cls(dataset.class_names, ids if len(ids) == count else counted_ids(count), where)


@dataclass(frozen=True, eq=False)
class Labels:
    """Classes of the boxes of a set of proposals, to be written with them.

    Attributes:
        names: Names of the classes.
        category_ids: COCO's ids, as many.
        by_image: Image id -> ``int64 (N,)`` positions in ``names``, aligned with the proposals.
    """

    names: tuple[str, ...]
    category_ids: tuple[int, ...]
    by_image: Mapping[ImageId, NDArray[np.int64]]


def counted_ids(count: int) -> tuple[int, ...]:
    """The category ids of classes that have none: 1, 2 ..."""
    return tuple(range(1, count + 1))


def names_of(labels: Labels | None, image_id: ImageId, count: int) -> list[str]:
    """The name of each box; "object" for boxes without a class."""
    if labels is None:
        return [_OBJECT] * count
    return [labels.names[label] for label in labels.by_image[image_id].tolist()]


def category_ids_of(labels: Labels | None, image_id: ImageId, count: int) -> list[int]:
    """The category id of each box; 1 for boxes without a class."""
    if labels is None:
        return [1] * count
    return [labels.category_ids[label] for label in labels.by_image[image_id].tolist()]


def positions_of(labels: Labels | None, image_id: ImageId, count: int) -> list[int]:
    """The number of each box's class from 0; 0 for boxes without a class."""
    return [0] * count if labels is None else labels.by_image[image_id].tolist()


def all_names(labels: Labels | None) -> tuple[str, ...]:
    """The names of all classes; "object" alone for boxes without a class."""
    return (_OBJECT,) if labels is None else labels.names


def find_classes(
    path: Path | str, listed: Sequence[FileClass], known: KnownClasses
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The data set's class for each class of a file: by name where the file names it, else by id or position.

    Returns:
        ``(L,)`` positions among the known classes, -1 for a class that the data set does not have; and notes.

    Raises:
        InputError: the data set has none of them.
    """
    by_name = {name: position for position, name in reversed(list(enumerate(known.names)))}
    by_id = {str(category): position for position, category in reversed(list(enumerate(known.category_ids)))}

    def find(one: FileClass) -> int:
        if one.name is not None and one.name in by_name:
            return by_name[one.name]
        if one.name is None and one.category_id is not None:
            return by_id.get(str(one.category_id), -1)
        has_place = one.name is None and one.position is not None and 0 <= one.position < len(known.names)
        return one.position if has_place and one.position is not None else -1

    found = np.array([find(one) for one in listed], dtype=np.int64)
    unknown = [one.label for one, place in zip(listed, found.tolist(), strict=True) if place < 0]
    if unknown and len(unknown) == len(listed):
        raise InputError(
            f"{path}: {known.where} has none of the classes of its boxes ({_some(unknown)}): it has "
            f"{_some([f'{name} ({key})' for name, key in zip(known.names, known.category_ids, strict=True)])}."
        )
    few = f"the {len(unknown)} classes" if len(unknown) > 1 else "the class"
    return found, (f"left out boxes of {few} that {known.where} does not have ({_some(unknown)})",) if unknown else ()


def own_classes(path: Path | str, listed: Sequence[FileClass]) -> tuple[NDArray[np.int64], KnownClasses]:
    """The classes of a file as its own list, where no data set says what they are.

    Names stay in the file's order, category ids ascend, positions stay.

    Returns:
        ``(L,)`` positions among the classes; and these.

    Raises:
        InputError: positions without names that are too large to be counted up to.
    """
    if listed and all(one.name is None and one.category_id is None for one in listed):
        positions = [one.position or 0 for one in listed]
        if not 0 <= min(positions) <= max(positions) < _MOST_CLASSES:
            raise InputError(f"{path}: class {max(positions, key=abs)} is no number of a class from 0.")
        names = tuple(f"class {number}" for number in range(max(positions) + 1))
        return np.array(positions, dtype=np.int64), KnownClasses(names, counted_ids(len(names)), str(path))
    ordered = list(listed)
    if all(one.name is None for one in listed):
        ordered.sort(key=lambda one: (isinstance(one.category_id, str), one.category_id))
    words = [one.name if one.name is not None else f"class {one.category_id}" for one in ordered]
    names = tuple(dict.fromkeys(words))
    given = {word: one.category_id for word, one in reversed(list(zip(words, ordered, strict=True)))}
    ids = tuple(key for name in names if isinstance(key := given[name], int))
    if len(ids) < len(names) or len(set(ids)) < len(ids):
        ids = counted_ids(len(names))
    place = {name: position for position, name in enumerate(names)}
    own = [place[one.name if one.name is not None else f"class {one.category_id}"] for one in listed]
    return np.array(own, dtype=np.int64), KnownClasses(names, ids, str(path))


def _some(words: Sequence[str]) -> str:
    shown = ", ".join(words[:_NAMED])
    return shown if len(words) <= _NAMED else f"{shown} and {len(words) - _NAMED} more"
