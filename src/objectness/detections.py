"""Detections: proposals that a classifier has named."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from objectness.proposals import Proposals


@dataclass(frozen=True, eq=False)
class Detections:
    """The named boxes of one photograph, best first.

    Attributes:
        boxes_xyxy: ``float32 (N, 4)``: x1, y1, x2, y2 in pixels of the original photograph after EXIF
            orientation; right and bottom are exclusive (width = x2 - x1).
        scores: ``float32 (N,)`` probabilities in [0, 1], descending.
        labels: ``int64 (N,)`` positions in ``class_names``, from 0; the background is no class.
        class_names: Names of the classes that the detector knows.
        size_hw: (height, width) of that photograph.
        source: The file that the photograph came from, where there was one.

    Raises:
        ValueError: shapes that do not belong together, or a label that is no position in ``class_names``.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    size_hw: tuple[int, int]
    source: str | None = None

    def __post_init__(self) -> None:
        boxes = np.asarray(self.boxes_xyxy, dtype=np.float32)
        scores = np.asarray(self.scores, dtype=np.float32)
        labels = np.asarray(self.labels, dtype=np.int64)
        if boxes.size == 0:
            boxes = boxes.reshape(0, 4)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f"Detections need boxes of shape (N, 4), not {boxes.shape}.")
        for name, values in (("score", scores), ("label", labels)):
            if values.shape != (len(boxes),):
                raise ValueError(
                    f"Detections need one {name} for each box: {len(boxes)} boxes came with {name}s of shape "
                    f"{values.shape}."
                )
        classes = len(self.class_names)
        if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
            wrong = int(labels[(labels < 0) | (labels >= classes)][0])
            raise ValueError(f"Labels of detections count the {classes} class names from 0: there is no {wrong}.")
        object.__setattr__(self, "boxes_xyxy", boxes)
        object.__setattr__(self, "scores", scores)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "class_names", tuple(self.class_names))
        object.__setattr__(self, "size_hw", (int(self.size_hw[0]), int(self.size_hw[1])))

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def names(self) -> list[str]:
        """The name of each box."""
        return [self.class_names[label] for label in self.labels.tolist()]

    def keep(self, mask: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Detections:
        """Keep some of the boxes.

        Args:
            mask: ``bool (N,)``, a slice, or positions in the order wanted.
        """
        return Detections(
            self.boxes_xyxy[mask], self.scores[mask], self.labels[mask], self.class_names, self.size_hw, self.source
        )

    def top(self, count: int) -> Detections:
        """Keep the best ``count`` detections, whatever their class."""
        return self.keep(slice(count))

    def above(self, score: float) -> Detections:
        """Keep the detections with a score of at least ``score``."""
        return self.keep(self.scores >= score)

    def to_proposals(self) -> Proposals:
        """The same boxes without their names."""
        return Proposals(self.boxes_xyxy, self.scores, self.size_hw, self.source)
