"""The proposals of many photographs as one value, which all formats are read into and written from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.proposals import Proposals

ImageId = int | str


@dataclass(frozen=True, eq=False, repr=False)
class ProposalSet(Mapping[Any, Proposals]):
    """Image id -> proposals, in the order of the images, with the values that only some formats have.

    It is a mapping: ``len``, ``in``, ``[image_id]``, ``items()`` and a comparison with ``{}`` work as with a
    dictionary, and every function that takes a dictionary of proposals takes it too. N proposals an image.

    Attributes:
        images: Image id (a whole number or text) -> ``Proposals``, whose ``size_hw`` is (0, 0) where the size is
            unknown and whose ``source`` is the image file.
        logits: Image id -> ``float32 (N,)`` objectness before the sigmoid, aligned with the proposals; only
            images whose logits are known.
        levels: Image id -> ``int64 (N,)`` pyramid levels, aligned with the proposals; only where known.
        metadata: Free words about the whole set (model, configuration, code version).
        numbered: The ids are running numbers from 1 that say nothing about any data set.
        notes: Omissions and assumptions of the reader, in sentences.

    Raises:
        ValueError: logits or levels of an image that is not there, or of another length than its proposals.
    """

    images: Mapping[ImageId, Proposals]
    logits: Mapping[ImageId, NDArray[np.float32]] = field(default_factory=dict)
    levels: Mapping[ImageId, NDArray[np.int64]] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    numbered: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, dtype in (("logits", np.float32), ("levels", np.int64)):
            columns: dict[ImageId, NDArray[Any]] = {}
            for image_id, given in getattr(self, name).items():
                values = np.asarray(given, dtype=dtype)
                if image_id not in self.images:
                    raise ValueError(f"There are {name} of image {image_id!r}, which has no proposals.")
                if values.shape != (len(self.images[image_id]),):
                    raise ValueError(
                        f"Image {image_id!r} has {len(self.images[image_id])} proposals, "
                        f"but {name} of shape {values.shape}."
                    )
                columns[image_id] = values
            object.__setattr__(self, name, columns)
        object.__setattr__(self, "images", dict(self.images))

    def __repr__(self) -> str:
        return f"ProposalSet({len(self)} images, {self.count} proposals)"

    def __getitem__(self, image_id: ImageId) -> Proposals:
        return self.images[image_id]

    def __iter__(self) -> Iterator[ImageId]:
        return iter(self.images)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def count(self) -> int:
        """Number of proposals of all images together."""
        return sum(len(found) for found in self.images.values())

    def top(self, count: int) -> ProposalSet:
        """Keep the best ``count`` proposals of each image."""
        return replace(
            self,
            images={image_id: found.top(count) for image_id, found in self.images.items()},
            logits={image_id: values[:count] for image_id, values in self.logits.items()},
            levels={image_id: values[:count] for image_id, values in self.levels.items()},
        )

    def renamed(self, ids: Mapping[ImageId, ImageId]) -> ProposalSet:
        """The set with the ids of ``ids``, in that order."""

        def moved(columns: Mapping[ImageId, Any]) -> dict[ImageId, Any]:
            return {new: columns[old] for old, new in ids.items() if old in columns}

        return replace(self, images=moved(self.images), logits=moved(self.logits), levels=moved(self.levels))


def as_set(proposals: Mapping[Any, Proposals]) -> ProposalSet:
    """Take any mapping from image ids to proposals as a set; ids that are NumPy integers become plain ones."""
    if isinstance(proposals, ProposalSet):
        return proposals
    return ProposalSet(
        {image_id if isinstance(image_id, str) else int(image_id): found for image_id, found in proposals.items()}
    )


def are_running_numbers(ids: Iterable[ImageId | None]) -> bool:
    """Whether ids may be running numbers of a tool: whole numbers from 0 or 1, without a gap."""
    numbers = sorted(image_id for image_id in ids if isinstance(image_id, int))
    if not numbers or len(numbers) < len(list(ids) if not isinstance(ids, Sequence) else ids):
        return False
    return numbers[0] in (0, 1) and numbers[-1] - numbers[0] == len(numbers) - 1
