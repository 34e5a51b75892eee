"""An exported graph as a proposal engine, for every runtime. B images, N rows of the output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.engines.candidates import Candidates, select
from objectness.engines.dense import DenseEngine
from objectness.engines.description import METADATA_KEY, ModelDescription
from objectness.engines.protocol import RankedBoxes
from objectness.errors import InputError

INPUT = "pixels"
NMS_INPUT = "nms_iou"
TOP_INPUT = "top"
PROPOSAL_OUTPUTS = ("boxes_xyxy", "scores", "counts")
CANDIDATE_OUTPUTS = ("boxes_xyxy", "scores", "levels", "counts")

OpenDense = Callable[[ModelDescription, int | None], DenseEngine]
Run = Callable[[Mapping[str, NDArray[Any]], Sequence[str]], list[NDArray[Any]]]

_PROMISED: dict[str, tuple[type, int]] = {  # element type and number of axes
    "boxes_xyxy": (np.float32, 3),
    "scores": (np.float32, 2),
    "levels": (np.int64, 2),
    "counts": (np.int64, 1),
}


@dataclass(frozen=True)
class GraphSignature:
    """Inputs ("name: type shape") and outputs of a graph, and its description; None where the file has none."""

    inputs: Mapping[str, str]
    outputs: Sequence[str]
    description: str | None


class GraphEngine:
    """An exported graph as a ``ProposalEngine``, with suppression inside it or after it.

    Args:
        run: Runs the graph: inputs and names of outputs to the outputs, in their order. Raises InputError where it
            fails on these inputs.
        signature: The graph's inputs and outputs.
        device: As of ``ProposalEngine``.
        where: The file, for messages.
        open_dense: Opens the network alone, by the description of the file, with so many threads inside a call
            (None: as the engine); None where this cannot be done.

    Raises:
        InputError: The graph is not one that objectness exported.
    """

    def __init__(
        self, run: Run, signature: GraphSignature, device: str, where: str, open_dense: OpenDense | None = None
    ) -> None:
        self._run = run
        self._where = where
        self.device = device
        self.description, self._has_nms = _recognised(signature, where)
        self._open_dense = open_dense
        self._dense: dict[int | None, DenseEngine] = {}

    def dense(self, threads: int | None = None) -> DenseEngine:
        """The network alone, for its maps; see ``ProposalEngine``."""
        if self._open_dense is None:
            raise InputError(f"{self._where}: gives boxes only, so it runs on whole images; export it again.")
        if threads not in self._dense:
            self._dense[threads] = self._open_dense(self.description, threads)
        return self._dense[threads]

    def propose(
        self, pixels: NDArray[np.uint8], *, nms: float, top: int, smallest_hw: tuple[float, float] = (0.0, 0.0)
    ) -> RankedBoxes:
        """The best ``top`` boxes of a resized RGB image ``uint8 (H, W, 3)``; see ``ProposalEngine``."""
        if self._has_nms:
            return self.batch(pixels[None], nms=nms, top=top)[0]
        size_hw = (pixels.shape[0], pixels.shape[1])
        return select(self.candidates(pixels[None])[0], size_hw, nms=nms, top=top, smallest_hw=smallest_hw)

    def batch(self, pixels: NDArray[np.uint8], *, nms: float, top: int) -> list[RankedBoxes]:
        """The best boxes of each image of a batch ``uint8 (B, H, W, 3)``, of a graph with suppression."""
        self.description.require(nms=nms, top=top)
        inputs: dict[str, NDArray[Any]] = {INPUT: pixels}
        if not self.description.fixed:
            inputs[NMS_INPUT] = np.array([float32_at_most(nms)], np.float32)
            inputs[TOP_INPUT] = np.array([top], np.int64)
        outputs = self._run(inputs, PROPOSAL_OUTPUTS)
        boxes_xyxy, scores, counts = _checked(outputs, PROPOSAL_OUTPUTS, len(pixels))
        kept = np.minimum(counts, top).tolist()
        return [RankedBoxes(boxes_xyxy[image, :own], scores[image, :own]) for image, own in enumerate(kept)]

    def candidates(self, pixels: NDArray[np.uint8]) -> list[Candidates]:
        """The candidates of each image of a batch ``uint8 (B, H, W, 3)``, of a graph without suppression."""
        outputs = self._run({INPUT: pixels}, CANDIDATE_OUTPUTS)
        boxes_xyxy, scores, levels, counts = _checked(outputs, CANDIDATE_OUTPUTS, len(pixels))
        return [
            Candidates(boxes_xyxy[image, :own], scores[image, :own], levels[image, :own])
            for image, own in enumerate(counts.tolist())
        ]


def _recognised(signature: GraphSignature, where: str) -> tuple[ModelDescription, bool]:
    """The description of a graph that objectness exported, and whether suppression is inside it."""
    inputs, outputs = set(signature.inputs), set(signature.outputs)
    if signature.inputs.get(INPUT, "").startswith("uint8") and signature.description is not None:
        description = ModelDescription.from_json(signature.description, where)
        if outputs == set(CANDIDATE_OUTPUTS) and inputs == {INPUT}:
            return description, False
        if outputs == set(PROPOSAL_OUTPUTS) and inputs == {INPUT, NMS_INPUT, TOP_INPUT}:
            return description, True
        if outputs == set(PROPOSAL_OUTPUTS) and inputs == {INPUT}:  # OpenVINO runs an .onnx file's as constants
            return replace(description, fixed=True), True
    found = ", ".join(f"{name} {kind}" for name, kind in signature.inputs.items())
    raise InputError(
        f"{where}: is a model, but not one that `objectness export` wrote: its inputs are [{found}] and its outputs "
        f"[{', '.join(signature.outputs)}], expected {INPUT} uint8 and {', '.join(PROPOSAL_OUTPUTS)}, with a "
        f"description under the metadata key {METADATA_KEY!r}."
    )


def _checked(outputs: Sequence[Any], names: Sequence[str], images: int) -> Sequence[NDArray[Any]]:
    """The outputs, if their types and shapes are those of ``_PROMISED``: an untrusted file may give anything.

    Raises:
        InputError: An output differs; the message names it and what was expected.
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
