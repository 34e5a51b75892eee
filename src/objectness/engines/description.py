"""What a model says of itself, and what every engine gives: candidates, or proposals that are already ranked.

N boxes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError
from objectness.files.untrusted import parse_json

METADATA_KEY = "objectness"
FORMAT = 2
_MOST_SIDE = 16_384  # pixels, as many as an exported graph takes
_MOST_TOP = 1_000_000


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

    @property
    def calibrated(self) -> bool:
        """Whether its scores are probabilities that were measured, rather than what the network says."""
        return self.details.get("calibration") is not None

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
            data = dict(parse_json(text, f"{where}: its description"))
            if data.pop("format") != FORMAT:
                raise InputError(
                    f"{where}: its format is not {FORMAT}, the one that this version reads; upgrade objectness or "
                    "export it again."
                )
            description = cls(
                name=str(data.pop("name")),
                short_side=int(data.pop("short_side")),
                long_side=int(data.pop("long_side")),
                nms_iou=float(data.pop("nms_iou")),
                top=int(data.pop("top")),
                details=data,
            )
            sides = (description.short_side, description.long_side)
            if min(*sides, description.top) < 1 or max(sides) > _MOST_SIDE or description.top > _MOST_TOP:
                raise ValueError("a size or number outside its range")
            if not (math.isfinite(description.nms_iou) and 0 <= description.nms_iou <= 1):
                raise ValueError("a threshold outside 0 to 1")
        except InputError:
            raise
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise InputError(f"{where}: its description is damaged ({str(error)[:200]!a}); export it again.") from None
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


@dataclass(frozen=True, eq=False)
class Ranked:
    """What is left after non-maximum suppression, best first.

    Attributes:
        boxes_xyxy: ``float32 (N, 4)`` in pixels of the resized image.
        scores: ``float32 (N,)`` probabilities in [0, 1], falling.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]


class Engine(Protocol):
    """A loaded network. One call at a time; the same pixels always give the same candidates."""

    @property
    def description(self) -> ModelDescription:
        """What the model file says of itself."""

    @property
    def device(self) -> str:
        """What it runs on, as the runtime says once the model is loaded: "cpu", "cuda:0", "gpu"."""

    def candidates(self, pixels: NDArray[np.uint8]) -> Candidates:
        """Candidate boxes of a resized RGB image ``uint8 (H, W, 3)``.

        Raises:
            InputError: It cannot look at this image; the file is named by the caller.
        """


@runtime_checkable
class Ranker(Protocol):
    """A loaded network that suppresses and ranks by itself. One call at a time."""

    @property
    def description(self) -> ModelDescription:
        """What the model file says of itself."""

    @property
    def device(self) -> str:
        """What it runs on, as the runtime says once the model is loaded: "cpu", "cuda:0", "gpu"."""

    def ranked(self, pixels: NDArray[np.uint8], *, nms: float, top: int) -> Ranked:
        """The best ``top`` boxes of a resized RGB image ``uint8 (H, W, 3)``.

        A box is dropped when its IoU with a better one of its level is above ``nms``.

        Raises:
            InputError: It cannot look at this image; the file is named by the caller.
        """
