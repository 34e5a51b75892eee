"""EdgeBoxes (Zitnick and Dollár, 2014), as OpenCV has it; the edge detector's model is the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.boxes import xywh_to_xyxy
from objectness.errors import InputError
from objectness.evaluation.baselines.opencv import contrib
from objectness.evaluation.baselines.ranked import Baseline, none
from objectness.proposals import Proposals

_PARTS = ("options", "childs", "featureIds", "thresholds", "edgeBoundaries", "edgeBins")
_OPTIONS = ("stride", "shrinkNumber", "patchSize", "patchInnerSize", "numberOfTrees", "numberOfTreesToEvaluate")
_SMALLEST = 16  # on a thinner image OpenCV's detector asks for a negative amount of memory


def edge_boxes(model: Path, top: int, threads: int | None = None) -> Baseline:
    """EdgeBoxes on structured edges; scores are its own, divided by the largest of the image.

    Args:
        model: The random forest of the structured edge detector (``.yml`` or ``.yml.gz``).
        top: Boxes, at most.
        threads: For OpenCV.

    Raises:
        InputError: OpenCV or its contributed modules are missing, or the model cannot be read.
    """
    if not model.is_file():
        raise InputError(f"edge-boxes: there is no model file {model}; check the path.")
    cv2 = contrib("EdgeBoxes", threads)
    try:
        missing = _missing_parts(cv2, model)
        detector: Any = None if missing else cv2.ximgproc.createStructuredEdgeDetection(str(model))
    except (cv2.error, SystemError) as error:
        missing = (str(getattr(error, "err", "") or error).strip(),)
    if missing:
        raise InputError(
            f"edge-boxes: {model} is no structured edge model that OpenCV can read (no {missing[0]}): "
            "give the model.yml or model.yml.gz of its edge detector."
        )

    def propose(image: NDArray[np.uint8]) -> Proposals:
        size_hw = (image.shape[0], image.shape[1])
        if min(size_hw) < _SMALLEST:
            return none(size_hw)
        edges = detector.detectEdges(np.ascontiguousarray(image, dtype=np.float32) / np.float32(255))
        orientation = detector.computeOrientation(edges)
        thin = detector.edgesNms(edges, orientation)
        finder = cv2.ximgproc.createEdgeBoxes()
        finder.setMaxBoxes(top)
        found, scores = finder.getBoundingBoxes(thin, orientation)
        if not len(found):  # OpenCV then gives no scores at all
            return none(size_hw)
        boxes_xyxy = xywh_to_xyxy(np.asarray(found, dtype=np.float64).reshape(-1, 4)).astype(np.float32)
        strength = np.asarray(scores, dtype=np.float64).reshape(-1)
        order = np.argsort(-strength, kind="stable")[:top]
        best = max(float(strength.max()), 1e-12)
        return Proposals(boxes_xyxy[order], (strength[order] / best).astype(np.float32), size_hw)

    return propose


def _missing_parts(cv2: Any, model: Path) -> tuple[str, ...]:
    """Parts of a random forest that the file lacks: OpenCV divides by missing numbers and crashes Python."""
    storage = cv2.FileStorage(str(model), cv2.FILE_STORAGE_READ)
    try:
        if not storage.isOpened():
            return ("YAML",)
        absent = [part for part in _PARTS if storage.getNode(part).empty()]
        options = storage.getNode("options")
        return (*absent, *(name for name in _OPTIONS if not absent and options.getNode(name).real() <= 0))
    finally:
        storage.release()
