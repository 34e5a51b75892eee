"""EdgeBoxes (Zitnick and Dollár, 2014), as OpenCV has it; the edge detector's model is the user's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objectness.boxes import xywh_to_xyxy
from objectness.errors import InputError
from objectness.evaluation.baselines import Baseline
from objectness.evaluation.baselines.opencv import contrib
from objectness.proposals import Proposals


def edge_boxes(model: Path, top: int, threads: int | None = None) -> Baseline:
    """EdgeBoxes on structured edges; scores are its own, divided by the largest of the image.

    Args:
        model: The random forest of the structured edge detector (``.yml`` or ``.yml.gz``).
        top: Boxes, at most.
        threads: For OpenCV.

    Raises:
        InputError: OpenCV or its contributed modules are missing, or the model cannot be read.
    """
    cv2 = contrib("EdgeBoxes", threads)
    if not model.is_file():
        raise InputError(f"edge-boxes: there is no model file {model}; check the path.")
    try:
        detector = cv2.ximgproc.createStructuredEdgeDetection(str(model))
    except cv2.error as error:
        reason = str(error.err or error).strip()
        raise InputError(f"edge-boxes: {model} is no structured edge model that OpenCV can read ({reason}).") from None

    def propose(image: NDArray[np.uint8]) -> Proposals:
        size_hw = (image.shape[0], image.shape[1])
        edges = detector.detectEdges(np.ascontiguousarray(image, dtype=np.float32) / np.float32(255))
        orientation = detector.computeOrientation(edges)
        thin = detector.edgesNms(edges, orientation)
        finder = cv2.ximgproc.createEdgeBoxes()
        finder.setMaxBoxes(top)
        found, scores = finder.getBoundingBoxes(thin, orientation)
        boxes_xyxy = xywh_to_xyxy(np.asarray(found, dtype=np.float64).reshape(-1, 4))
        scores = np.asarray(scores, dtype=np.float64).reshape(-1)
        order = np.argsort(-scores, kind="stable")[:top]
        return Proposals(boxes_xyxy[order], scores[order] / max(scores.max(initial=0), 1e-12), size_hw)

    return propose
