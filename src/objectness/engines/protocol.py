"""The one interface of everything that runs a model: resized pixels in, ranked boxes out. N boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from objectness.engines.dense import DenseEngine
from objectness.engines.description import ModelDescription
from objectness.errors import InputError


@dataclass(frozen=True, eq=False)
class RankedBoxes:
    """Boxes after non-maximum suppression, best first.

    Attributes:
        boxes_xyxy: ``float32 (N, 4)`` in pixels of the resized image.
        scores: ``float32 (N,)`` probabilities in [0, 1], falling.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]


class ProposalEngine(Protocol):
    """A loaded model. One call at a time; equal pixels give equal boxes."""

    @property
    def description(self) -> ModelDescription:
        """Description of the model, from its file."""

    @property
    def device(self) -> str:
        """Device in the runtime's own words, once the model is loaded: "cpu", "cuda:0", "gpu"."""

    def propose(
        self, pixels: NDArray[np.uint8], *, nms: float, top: int, smallest_hw: tuple[float, float] = (0.0, 0.0)
    ) -> RankedBoxes:
        """The best ``top`` boxes of a resized RGB image.

        Args:
            pixels: ``uint8 (H, W, 3)``.
            nms: A box is dropped when its IoU with a better one of its level is above this.
            top: At most this many boxes.
            smallest_hw: Height and width in pixels below which the caller drops boxes. An engine that suppresses
                outside its graph leaves them out first, so that they take no place among ``top``.

        Raises:
            InputError: The model fails on this image; the caller adds the file's name.
        """

    def dense(self, threads: int | None = None) -> DenseEngine:
        """The same network for its maps, opened at the first call and kept.

        Args:
            threads: Processor threads inside one call of ``maps``; several threads may call it at once, and 1 is then
                the quickest. None for as many as this engine has.

        Raises:
            InputError: The file holds no network whose maps can be read.
        """


def no_finite_box() -> InputError:
    """The error for boxes of which none is finite with a finite score: a broken model, not an image without objects."""
    return InputError("the model gives no box and score that are finite numbers; export it again, or take another.")
