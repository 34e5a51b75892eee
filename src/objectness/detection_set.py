"""The detections of many photographs as one value, which all formats that hold classes are read into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from objectness.detections import Detections
from objectness.proposal_set import ImageId, ProposalSet


@dataclass(frozen=True, eq=False, repr=False)
class DetectionSet(Mapping[Any, Detections]):
    """Image id -> detections, in the order of the images, all of the same classes.

    It is a mapping: ``len``, ``in``, ``[image_id]`` and ``items()`` work as with a dictionary, and every function that
    takes a dictionary of detections takes it too.

    Attributes:
        images: Image id (a whole number or text) -> ``Detections``, whose ``size_hw`` is (0, 0) where the size is
            unknown and whose ``source`` is the image file.
        class_names: The classes of every image's labels.
        category_ids: The id of each class in COCO files; 1, 2 ... where none are given.
        metadata: Free words about the whole set (model, configuration, code version).
        numbered: The image ids are running numbers from 1 that say nothing about any data set.
        notes: Omissions and assumptions of the reader, in sentences.

    Raises:
        ValueError: an image has other classes than the set, or there is not one category id for each class.
    """

    images: Mapping[ImageId, Detections]
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    numbered: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = tuple(self.class_names)
        for image_id, found in self.images.items():
            if found.class_names != names:
                raise ValueError(
                    f"The set has the classes {', '.join(names)}, but image {image_id!r} has "
                    f"{', '.join(found.class_names)}."
                )
        ids = tuple(int(key) for key in self.category_ids) or tuple(range(1, len(names) + 1))
        if len(ids) != len(names) or len(set(ids)) != len(ids):
            raise ValueError(f"Each of the {len(names)} classes needs a category id of its own, not {ids}.")
        object.__setattr__(self, "class_names", names)
        object.__setattr__(self, "category_ids", ids)
        object.__setattr__(self, "images", dict(self.images))

    def __repr__(self) -> str:
        return f"DetectionSet({len(self)} images, {self.count} detections, {len(self.class_names)} classes)"

    def __getitem__(self, image_id: ImageId) -> Detections:
        return self.images[image_id]

    def __iter__(self) -> Iterator[ImageId]:
        return iter(self.images)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def count(self) -> int:
        """Number of detections of all images together."""
        return sum(len(found) for found in self.images.values())

    def above(self, score: float) -> DetectionSet:
        """Keep the detections with a score of at least ``score``; every image stays."""
        return replace(self, images={image_id: found.above(score) for image_id, found in self.images.items()})

    def to_proposals(self) -> ProposalSet:
        """The same boxes without their names."""
        images = {image_id: found.to_proposals() for image_id, found in self.images.items()}
        return ProposalSet(images, {}, {}, self.metadata, self.numbered, self.notes)


def as_detection_set(detections: Mapping[Any, Detections]) -> DetectionSet:
    """Take any mapping from image ids to detections of the same classes as a set; ids of NumPy become plain ones.

    Raises:
        ValueError: two images have different classes.
    """
    if isinstance(detections, DetectionSet):
        return detections
    names = next((found.class_names for found in detections.values()), ())
    return DetectionSet(
        {image_id if isinstance(image_id, str) else int(image_id): found for image_id, found in detections.items()},
        names,
    )
