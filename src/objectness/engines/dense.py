"""The interface of a network whose maps are wanted, not its boxes: for images that are computed in tiles.

L levels, h x w cells of a level, k anchors a cell, c channels, R boxes, G grid points of a box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from objectness.calibration import Calibration
from objectness.engines.description import ModelDescription


@dataclass(frozen=True)
class Refinement:
    """How the refinement head reads its maps (``objectness.rpn.extensions.refinement_head``).

    Attributes:
        grid: Points on a side of the grid inside a box.
        margin: The grid spans this multiple of the box.
        finer: A box of level l is read from the map of level ``max(0, l - finer)``.
        boxes: The best of each level that are refined, for an image of the working size.
    """

    grid: int
    margin: float
    finer: int
    boxes: int


@dataclass(frozen=True)
class Geometry:
    """What tiles must know of a network.

    Attributes:
        strides: Pixels between cells of each level, finest first.
        reach: Pixels around a part of whole coarsest cells that its maps depend on, on the farthest side, a multiple of
            the coarsest stride; None where there is no such number.
        why_no_reach: One sentence where ``reach`` is None: why, and what to do.
        pre_nms_top_n: Best of each level that enter suppression, for an image of the working size.
        min_size: Shortest side of a box in resized pixels.
        delta_clamp: Largest change of a side's logarithm in decoding.
        refinement: None without a refinement head.
        calibration: Of the scores; None where the network's own are given.
    """

    strides: tuple[int, ...]
    reach: int | None
    pre_nms_top_n: int
    min_size: float
    delta_clamp: float
    refinement: Refinement | None
    calibration: Calibration | None
    why_no_reach: str = ""

    @property
    def single_level(self) -> bool:
        """Whether the network has one level, without a pyramid, as the paper's."""
        return len(self.strides) == 1


@dataclass(frozen=True, eq=False)
class Maps:
    """A network's maps of one window, level by level.

    Attributes:
        scores: ``float32 (h, w, k)`` each: ranking probabilities in [0, 1], not calibrated.
        deltas: ``float32 (h, w, k, 4)`` each.
        anchors_xyxy: ``float32 (h, w, k, 4)`` each, in pixels of the window.
        features: ``float32 (h, w, c)`` each: what the refinement head reads; levels that it never reads may be absent
            at the end; empty without that head.
    """

    scores: Sequence[NDArray[np.float32]]
    deltas: Sequence[NDArray[np.float32]]
    anchors_xyxy: Sequence[NDArray[np.float32]]
    features: Sequence[NDArray[np.float32]] = ()


class DenseEngine(Protocol):
    """A loaded network. Several threads may call it at once; equal windows give equal maps."""

    @property
    def description(self) -> ModelDescription:
        """Description of the model, from its file."""

    @property
    def geometry(self) -> Geometry:
        """What tiles must know."""

    def maps(self, pixels: NDArray[np.uint8]) -> Maps:
        """The maps of a window ``uint8 (H, W, 3)``.

        Raises:
            InputError: The network fails on it, e.g. for want of memory.
        """

    def rest(self) -> None:
        """Give back the memory that the last windows took; the next one takes it again."""

    def refine(
        self, features: NDArray[np.float32], scores: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Corrections of boxes, by the features at their grid points.

        Args:
            features: ``(R, G, c)``, row by row of the grid.
            scores: ``(R,)`` of the first stage.

        Returns:
            Deltas ``(R, 4)`` relative to these boxes, and corrected scores ``(R,)``.
        """
