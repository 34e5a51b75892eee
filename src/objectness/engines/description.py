"""The description that every exported file carries: name, image size, thresholds, origin."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from objectness.errors import InputError
from objectness.files.untrusted import parse_json

METADATA_KEY = "objectness"
FORMAT = 2
_MOST_SIDE = 16_384  # pixels, as many as an exported graph takes
_MOST_TOP = 1_000_000


@dataclass(frozen=True)
class ModelDescription:
    """Description of a model, as its file holds it.

    Attributes:
        name: For display: recipe, backbone, data.
        short_side: The image's short side is resized to this many pixels ...
        long_side: ... unless its long side would then pass this.
        nms_iou: The worse of two boxes of one level whose IoU is above this is dropped.
        top: Number of proposals. ``nms_iou`` and ``top`` are defaults; a call may use others, unless ``fixed``.
        details: Everything else in the file (training data, measured recall).
        fixed: Whether the engine runs ``nms_iou`` and ``top`` as constants of the graph.
    """

    name: str
    short_side: int
    long_side: int
    nms_iou: float = 0.7
    top: int = 300
    details: Mapping[str, Any] = field(default_factory=dict)
    fixed: bool = False

    @property
    def calibrated(self) -> bool:
        """Whether scores are calibrated probabilities, not the network's raw outputs."""
        return self.details.get("calibration") is not None

    def require(self, *, nms: float, top: int) -> None:
        """Refuse thresholds that the engine cannot change.

        Raises:
            InputError: The thresholds are fixed, and others were given.
        """
        if self.fixed and (nms != self.nms_iou or top > self.top):
            raise InputError(
                f"This engine runs the file only with nms {self.nms_iou:g} and up to {self.top} proposals; "
                "export it as an OpenVINO file, or leave the engine to the file."
            )

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
