"""ONNX Runtime: runs exported detectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.engines.detection import DETECTION_OUTPUTS, DETECTOR_KEY, DetectorDescription, NamedBoxes
from objectness.engines.graph import INPUT
from objectness.engines.onnx_runtime import open_session
from objectness.engines.settings import EngineSettings
from objectness.errors import InputError
from objectness.files.untrusted import parse_json


class OnnxDetector:
    """An exported detector as a ``DetectionEngine``.

    Args:
        model: The .onnx file, or its bytes.
        where: Name of the file, for messages.
        settings: Device and threads.

    Raises:
        InputError: Not an exported detector, damaged, or a device that is not there.
    """

    def __init__(self, model: Path | bytes, where: str, settings: EngineSettings) -> None:
        self._run, texts, self.device = open_session(model, where, settings)
        if DETECTOR_KEY not in texts:
            raise InputError(
                f"{where}: is no detector that objectness exported, and names nothing: give one of these, or a run "
                "folder of the recipe faster-rcnn."
            )
        self.description = _description(texts[DETECTOR_KEY], where)

    def detect(self, pixels: NDArray[np.uint8], proposals_xyxy: NDArray[np.float32] | None = None) -> NamedBoxes:
        """Detections on a resized RGB image ``uint8 (H, W, 3)``; see ``DetectionEngine``.

        Raises:
            InputError: boxes are given, which this file takes from its own network alone; or it fails on the image.
        """
        if proposals_xyxy is not None:
            raise InputError("an exported detector names its own proposals, and takes no others.")
        boxes, scores, labels = self._run({INPUT: pixels[None]}, DETECTION_OUTPUTS)
        known = (labels >= 0) & (labels < len(self.description.class_names))
        return NamedBoxes(boxes[known], scores[known], labels[known])


def to_json(description: DetectorDescription) -> str:
    """The text that an exported file carries."""
    return json.dumps(
        {
            "name": description.name,
            "short_side": description.short_side,
            "long_side": description.long_side,
            "class_names": list(description.class_names),
            "details": dict(description.details),
        }
    )


def _description(text: str, where: str) -> DetectorDescription:
    damaged = InputError(f"{where}: its description is damaged; export it again.")
    try:
        known: dict[str, Any] = parse_json(text, where)
        names = known["class_names"]
        sides = known["short_side"], known["long_side"]
    except (KeyError, TypeError):
        raise damaged from None
    whole = all(type(side) is int and 1 <= side <= 65_536 for side in sides)
    if not whole or not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise damaged
    details = known.get("details")
    return DetectorDescription(
        str(known.get("name", where)), *sides, tuple(names), details=details if isinstance(details, dict) else {}
    )
