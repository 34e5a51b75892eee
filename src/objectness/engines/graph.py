"""An exported graph as an engine, whatever runs it. B images, N rows of the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from objectness.engines.description import Candidates, ModelDescription, Ranked
from objectness.errors import InputError

INPUT = "pixels"
NMS_INPUT = "nms_iou"
TOP_INPUT = "top"
PROPOSAL_OUTPUTS = ("boxes_xyxy", "scores", "counts")
CANDIDATE_OUTPUTS = ("boxes_xyxy", "scores", "levels", "counts")


_PROMISED: dict[str, tuple[type, int]] = {  # element type and number of axes
    "boxes_xyxy": (np.float32, 3),
    "scores": (np.float32, 2),
    "levels": (np.int64, 2),
    "counts": (np.int64, 1),
}


class Runtime(Protocol):
    """Something that runs a graph."""

    @property
    def device(self) -> str:
        """What it runs on, in the runtime's own words once the model is loaded."""

    def run(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """The named outputs, in their order.

        Raises:
            InputError: It fails on these inputs.
        """


class GraphEngine:
    """A graph that ends before suppression: ``boxes_xyxy (B, N, 4)``, ``scores``, ``levels`` and ``counts``."""

    def __init__(self, runtime: Runtime, description: ModelDescription) -> None:
        self._runtime = runtime
        self.description = description
        self.device = runtime.device

    def candidates(self, pixels: NDArray[np.uint8]) -> Candidates:
        """Candidate boxes of a resized RGB image ``uint8 (H, W, 3)``."""
        return self.batch(pixels[None])[0]

    def batch(self, pixels: NDArray[np.uint8]) -> list[Candidates]:
        """The candidates of each image of a batch ``uint8 (B, H, W, 3)``."""
        outputs = self._runtime.run({INPUT: pixels}, CANDIDATE_OUTPUTS)
        boxes_xyxy, scores, levels, counts = _checked(outputs, CANDIDATE_OUTPUTS, len(pixels))
        return [
            Candidates(boxes_xyxy[image, :own], scores[image, :own], levels[image, :own])
            for image, own in enumerate(counts.tolist())
        ]


class GraphRanker:
    """A graph with suppression inside: ``boxes_xyxy (B, N, 4)``, ``scores`` and ``counts``.

    Args:
        runtime: What runs it.
        description: What the file says of itself.
        fixed: Its thresholds are the description's and cannot be asked to be others.
    """

    def __init__(self, runtime: Runtime, description: ModelDescription, *, fixed: bool = False) -> None:
        self._runtime = runtime
        self.description = description
        self.device = runtime.device
        self._fixed = fixed

    def require(self, *, nms: float, top: int) -> None:
        """Say before the first photograph what it could not be asked.

        Raises:
            InputError: Its thresholds are fixed, and others than these.
        """
        own = self.description
        if self._fixed and (nms != own.nms_iou or top > own.top):
            raise InputError(
                f"OpenVINO runs this .onnx file only with nms {own.nms_iou:g} and up to {own.top} proposals; "
                "export it with --format openvino, or leave the engine to the file."
            )

    def ranked(self, pixels: NDArray[np.uint8], *, nms: float, top: int) -> Ranked:
        """The best ``top`` boxes of a resized RGB image ``uint8 (H, W, 3)``."""
        return self.batch(pixels[None], nms=nms, top=top)[0]

    def batch(self, pixels: NDArray[np.uint8], *, nms: float, top: int) -> list[Ranked]:
        """The same for each image of a batch ``uint8 (B, H, W, 3)``."""
        self.require(nms=nms, top=top)
        limits: dict[str, NDArray[Any]] = {
            NMS_INPUT: np.array([float32_at_most(nms)], np.float32),
            TOP_INPUT: np.array([top], np.int64),
        }
        if self._fixed:
            limits = {}
        outputs = self._runtime.run({INPUT: pixels, **limits}, PROPOSAL_OUTPUTS)
        boxes_xyxy, scores, counts = _checked(outputs, PROPOSAL_OUTPUTS, len(pixels))
        kept = np.minimum(counts, top).tolist()
        return [Ranked(boxes_xyxy[image, :own], scores[image, :own]) for image, own in enumerate(kept)]


def _checked(outputs: Sequence[Any], names: Sequence[str], images: int) -> Sequence[NDArray[Any]]:
    """The outputs, if they are what their names promise; a file of somebody else's may give anything.

    Raises:
        InputError: It names the output, and says what was expected.
    """
    for name, value in zip(names, outputs, strict=True):
        kind, sides = _PROMISED[name]
        if not isinstance(value, np.ndarray):
            raise InputError(f"the model gives no array as {name}; export it again.")
        known = (images, "N", 4)[:sides]
        fits = value.ndim == sides and value.shape[0] == images and value.shape[2:] == known[2:]
        if not (fits and value.dtype == kind):
            raise InputError(
                f"the model gives {name} as {value.dtype} {value.shape}, expected {np.dtype(kind)} "
                f"({', '.join(map(str, known))}{',' if sides == 1 else ''}); export it again."
            )
    rows = {value.shape[1] for name, value in zip(names, outputs, strict=True) if name != "counts"}
    counts = outputs[-1]
    if len(rows) != 1 or counts.min(initial=0) < 0 or counts.max(initial=0) > min(rows):
        raise InputError("the model gives boxes, scores and counts that do not belong together; export it again.")
    return outputs


def float32_at_most(number: float) -> np.float32:
    """The largest ``float32`` that is not above ``number``.

    A ``float32`` IoU is above ``number`` exactly where it is above this one; the nearest ``float32`` of 0.2 would
    let through an overlap that is a little more.
    """
    nearest = np.float32(number)
    return np.nextafter(nearest, np.float32(-np.inf)) if float(nearest) > number else nearest
