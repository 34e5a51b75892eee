"""What runs a model: pixels in, candidate boxes out, before non-maximum suppression.

N boxes. A model file describes itself; its graph takes an image of any size.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError

METADATA_KEY = "objectness"
FORMAT = 1

_INPUT = "pixels"
_OUTPUTS = ("boxes_xyxy", "scores", "levels")


@dataclass(frozen=True)
class ModelDescription:
    """What a model file says of itself.

    Attributes:
        name: For people: recipe, backbone, data.
        short_side: The image's short side is resized to this many pixels ...
        long_side: ... unless its long side would then pass this.
        nms_iou: The worse of two boxes of one level whose IoU is above this is dropped.
        top: How many proposals it gives. A user may ask for another ``nms_iou`` and ``top``.
        details: Everything else that was written into the file (training data, measured recall).
    """

    name: str
    short_side: int
    long_side: int
    nms_iou: float = 0.7
    top: int = 300
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str, where: str) -> ModelDescription:
        """Read the description that an export wrote.

        Args:
            text: JSON object with ``format``, ``name``, ``short_side``, ``long_side``, ``nms_iou``, ``top``.
            where: The file, for messages.

        Raises:
            InputError: It is of a newer format, or not such an object.
        """
        try:
            data = dict(json.loads(text))
            if data.pop("format") != FORMAT:
                raise InputError(f"{where}: its format is not {FORMAT}; upgrade objectness or export it again.")
            description = cls(
                name=str(data.pop("name")),
                short_side=int(data.pop("short_side")),
                long_side=int(data.pop("long_side")),
                nms_iou=float(data.pop("nms_iou")),
                top=int(data.pop("top")),
                details=data,
            )
            if min(description.short_side, description.long_side, description.top) < 1:
                raise ValueError("a size below 1")
        except InputError:
            raise
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{where}: its description is damaged ({error!r}); export it again.") from None
        return description

    def to_json(self) -> str:
        """The text that goes into an exported file (see :meth:`from_json`)."""
        return json.dumps(
            {
                **self.details,
                "format": FORMAT,
                "name": self.name,
                "short_side": self.short_side,
                "long_side": self.long_side,
                "nms_iou": self.nms_iou,
                "top": self.top,
            },
            allow_nan=False,
        )


@dataclass(frozen=True, eq=False)
class Candidates:
    """What a network proposes before non-maximum suppression.

    Attributes:
        boxes_xyxy: ``float32 (N, 4)`` in pixels of the resized image.
        scores: ``float32 (N,)`` probabilities in [0, 1], in any order.
        levels: ``int64 (N,)``: the feature level of each box; levels are suppressed on their own.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    levels: NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.scores)
        shapes = (self.boxes_xyxy.shape, self.scores.shape, self.levels.shape)
        if shapes != ((count, 4), (count,), (count,)):
            raise ValueError(f"Candidates have shapes {shapes}, expected (N, 4), (N,) and (N,).")


class Engine(Protocol):
    """A loaded network. One call at a time; the same pixels always give the same candidates."""

    @property
    def description(self) -> ModelDescription:
        """What the model file says of itself."""

    def candidates(self, pixels: NDArray[np.uint8]) -> Candidates:
        """Candidate boxes of a resized RGB image ``uint8 (H, W, 3)``.

        Raises:
            InputError: It cannot look at this image; the file is named by the caller.
        """


class OnnxEngine:
    """A network exported to ONNX, run by ONNX Runtime.

    Args:
        model: The file, or its bytes.
        where: What to call it in messages.
        threads: Processor threads; None for every core this process may use.
        device: "cpu" or "cuda" (which needs the onnxruntime-gpu package).

    Raises:
        InputError: Not an ONNX file, damaged, or not a graph that objectness exported.
    """

    def __init__(self, model: Path | bytes, where: str, *, threads: int | None = None, device: str = "cpu") -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        # Named, as ONNX Runtime would otherwise pin one thread to each core of the machine, allowed or not.
        options.intra_op_num_threads = threads or _own_cores()
        options.log_severity_level = 3  # errors only: its warnings speak to the author of a graph
        try:
            self._session = ort.InferenceSession(
                model if isinstance(model, bytes) else str(model), options, providers=_providers(device)
            )
        except _failures() as error:
            raise InputError(
                f"{where}: is damaged, or no ONNX model that runs here ({_reason(error)}); export it again."
            ) from None
        self._check_graph(where)
        text = self._session.get_modelmeta().custom_metadata_map[METADATA_KEY]
        self.description = ModelDescription.from_json(text, where)

    def candidates(self, pixels: NDArray[np.uint8]) -> Candidates:
        """Candidate boxes of a resized RGB image ``uint8 (H, W, 3)``."""
        try:
            boxes_xyxy, scores, levels = self._session.run(list(_OUTPUTS), {_INPUT: pixels})
        except _failures() as error:  # memory, mostly: the next photograph may be smaller
            height, width = pixels.shape[:2]
            raise InputError(f"the model failed on {width} x {height} pixels ({_reason(error)}).") from None
        return Candidates(boxes_xyxy, scores, levels)

    def _check_graph(self, where: str) -> None:
        inputs = [(value.name, value.type, value.shape) for value in self._session.get_inputs()]
        outputs = [value.name for value in self._session.get_outputs()]
        fits = [value[:2] for value in inputs] == [(_INPUT, "tensor(uint8)")] and set(_OUTPUTS) <= set(outputs)
        if fits and METADATA_KEY in self._session.get_modelmeta().custom_metadata_map:
            return
        found = ", ".join(f"{name} {kind} {shape}" for name, kind, shape in inputs)
        raise InputError(
            f"{where}: is an ONNX model, but not one that `objectness export` wrote: its inputs are "
            f"[{found}] and its outputs [{', '.join(outputs)}], expected {_INPUT} tensor(uint8) and "
            f"{', '.join(_OUTPUTS)}, with a description under the metadata key {METADATA_KEY!r}."
        )


def _failures() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: siblings without a common parent."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NotImplemented")
    return (*(getattr(state, name) for name in names), state.RuntimeException)


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200].removesuffix(".")


def _own_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _providers(device: str) -> list[str]:
    import onnxruntime as ort

    if device == "cpu":
        return ["CPUExecutionProvider"]
    if device.split(":")[0] != "cuda":
        raise InputError(f"The device {device!r} is unknown; known are cpu and cuda.")
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        raise InputError("The device cuda needs ONNX Runtime for GPUs: pip install onnxruntime-gpu.")
    return ["CUDAExecutionProvider", "CPUExecutionProvider"]
