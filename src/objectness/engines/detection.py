"""One protocol for detectors: resized pixels in, named boxes out; a file for each runtime implements it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

DETECTOR_KEY = "objectness_detector"
"""Metadata key of an exported detector's description."""

DETECTION_OUTPUTS = ("boxes_xyxy", "scores", "labels")
"""Outputs of an exported detector."""


@dataclass(frozen=True)
class DetectorDescription:
    """What a detector's file says about itself.

    Attributes:
        name: For people.
        short_side: The photograph is scaled so that its short side has this many pixels ...
        long_side: ... unless its long side would pass this one.
        class_names: Classes, without the background.
        proposes: It proposes by itself; else boxes must be given.
        details: Recipe, data, mAP, ... (plain data).
    """

    name: str
    short_side: int
    long_side: int
    class_names: tuple[str, ...]
    proposes: bool = True
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class NamedBoxes:
    """Detections on a resized image, best first.

    Attributes:
        boxes_xyxy: ``float32 (N, 4)``.
        scores: ``float32 (N,)``.
        labels: ``int64 (N,)`` positions in the class names.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]


class DetectionEngine(Protocol):
    """A loaded detector."""

    description: DetectorDescription
    device: str

    def detect(self, pixels: NDArray[np.uint8], proposals_xyxy: NDArray[np.float32] | None = None) -> NamedBoxes:
        """Detections on a resized RGB image ``uint8 (H, W, 3)``.

        Args:
            pixels: The image.
            proposals_xyxy: ``(P, 4)`` in its pixels; None for those of the detector itself.

        Raises:
            InputError: it fails on this image.
        """
        ...
