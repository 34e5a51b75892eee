"""Proposals: the value that everything passes around."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Proposals:
    """The proposals of one photograph, best first.

    Attributes:
        boxes_xyxy: ``float32 (N, 4)``: x1, y1, x2, y2 in pixels of the original photograph after EXIF
            orientation; right and bottom are exclusive (width = x2 - x1).
        scores: ``float32 (N,)`` probabilities in [0, 1], descending.
        size_hw: (height, width) of that photograph.
        source: The file that the photograph came from, where there was one.

    Raises:
        ValueError: shapes that do not belong together.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    size_hw: tuple[int, int]
    source: str | None = None

    def __post_init__(self) -> None:
        boxes = np.asarray(self.boxes_xyxy, dtype=np.float32)
        scores = np.asarray(self.scores, dtype=np.float32)
        if boxes.size == 0:
            boxes = boxes.reshape(0, 4)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f"Proposals need boxes of shape (N, 4), not {boxes.shape}.")
        if scores.shape != (len(boxes),):
            raise ValueError(
                f"Proposals need one score for each box: {len(boxes)} boxes came with scores of shape {scores.shape}."
            )
        object.__setattr__(self, "boxes_xyxy", boxes)
        object.__setattr__(self, "scores", scores)
        object.__setattr__(self, "size_hw", (int(self.size_hw[0]), int(self.size_hw[1])))

    def __len__(self) -> int:
        return len(self.scores)

    def top(self, count: int) -> Proposals:
        """Keep the best ``count`` proposals."""
        return Proposals(self.boxes_xyxy[:count], self.scores[:count], self.size_hw, self.source)

    def above(self, score: float) -> Proposals:
        """Keep the proposals with a score of at least ``score``."""
        keep = self.scores >= score
        return Proposals(self.boxes_xyxy[keep], self.scores[keep], self.size_hw, self.source)


def images_path(path: Path | str) -> Path:
    """The table of the images beside a proposals file: ``proposals.json`` -> ``proposals.images.json``."""
    path = Path(path)
    return path.with_suffix(f".images{path.suffix or '.json'}")


def categories_path(path: Path | str) -> Path:
    """The table of the classes beside a detections file: ``detections.json`` -> ``detections.categories.json``."""
    path = Path(path)
    return path.with_suffix(f".categories{path.suffix or '.json'}")
