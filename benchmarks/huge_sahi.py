"""SAHI's slicing around the bundled model: what people use for huge images today. Runs where SAHI is installed.

    pip install sahi objectness
    python benchmarks/huge_sahi.py IMAGE OUT.npz [--slice 512] [--overlap 0.2] [--confidence 0.3]
                                   [--postprocess GREEDYNMM] [--metric IOS] [--threshold 0.5]

The defaults are those of SAHI's ``get_sliced_prediction`` and of its models; a slice is a photograph to our own
``Proposer``. OUT.npz holds ``boxes_xyxy``, ``scores``, ``slices_xyxy``, ``seconds`` (reading the file included).
``huge.py`` runs this file as a process of its own, so that memory can be compared.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from objectness import load
from objectness.inference.proposer import Proposer

_CATEGORY = "object"


def detection_model(proposer: Proposer, confidence: float) -> Any:
    """A SAHI model that proposes for a slice.

    Args:
        proposer: Ours.
        confidence: Boxes of a slice below this are left out, as SAHI's models do.
    """
    from sahi.models.base import DetectionModel
    from sahi.prediction import ObjectPrediction

    class ProposalModel(DetectionModel):  # type: ignore[misc]  # SAHI is not installed where types are checked
        """SAHI's interface asks for a subclass."""

        def set_device(self, device: str | None = None) -> None:
            self.device = "cpu"

        def load_model(self) -> None:
            self.model = proposer
            self.category_mapping = {"0": _CATEGORY}

        def perform_inference(self, image: np.ndarray) -> None:
            self._original_predictions = self.model(image)

        def _create_object_prediction_list_from_original_predictions(
            self, shift_amount_list: Any = ((0, 0),), full_shape_list: Any = None
        ) -> None:
            shift = shift_amount_list[0] if isinstance(shift_amount_list[0], list | tuple) else shift_amount_list
            shape = full_shape_list
            if shape is not None and isinstance(shape[0], list | tuple):
                shape = shape[0]
            found = self._original_predictions.above(self.confidence_threshold)
            self._object_prediction_list_per_image = [
                [
                    ObjectPrediction(
                        bbox=box,
                        category_id=0,
                        category_name=_CATEGORY,
                        score=score,
                        shift_amount=list(shift),
                        full_shape=None if shape is None else list(shape),
                    )
                    for box, score in zip(found.boxes_xyxy.tolist(), found.scores.tolist(), strict=True)
                ]
            ]

    return ProposalModel(confidence_threshold=confidence)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--slice", type=int, default=512, help="side in pixels")
    parser.add_argument("--overlap", type=float, default=0.2, help="share of the side")
    parser.add_argument("--confidence", type=float, default=0.3)
    parser.add_argument("--postprocess", default="GREEDYNMM", choices=("GREEDYNMM", "NMM", "NMS", "LSNMS"))
    parser.add_argument("--metric", default="IOS", choices=("IOS", "IOU"))
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--top", type=int, help="proposals of a slice; default: the model's own number")
    parser.add_argument("--threads", type=int, help="of the network")
    words = parser.parse_args()

    from PIL import Image
    from sahi.predict import get_sliced_prediction
    from sahi.slicing import get_slice_bboxes

    Image.MAX_IMAGE_PIXELS = None
    model = detection_model(load(top=words.top, threads=words.threads, max_pixels=None), words.confidence)
    start = perf_counter()
    result = get_sliced_prediction(
        str(words.image),
        model,
        slice_height=words.slice,
        slice_width=words.slice,
        overlap_height_ratio=words.overlap,
        overlap_width_ratio=words.overlap,
        postprocess_type=words.postprocess,
        postprocess_match_metric=words.metric,
        postprocess_match_threshold=words.threshold,
        verbose=0,
    )
    seconds = perf_counter() - start
    found = result.object_prediction_list
    scores = np.array([one.score.value for one in found], dtype=np.float32)
    boxes = np.array([one.bbox.to_xyxy() for one in found], dtype=np.float32).reshape(-1, 4)
    order = np.argsort(-scores, kind="stable")
    slices = get_slice_bboxes(
        image_height=result.image_height,
        image_width=result.image_width,
        slice_height=words.slice,
        slice_width=words.slice,
        overlap_height_ratio=words.overlap,
        overlap_width_ratio=words.overlap,
        auto_slice_resolution=False,
    )
    places = np.array(slices, dtype=np.float32)
    np.savez(words.out, boxes_xyxy=boxes[order], scores=scores[order], slices_xyxy=places, seconds=seconds)


if __name__ == "__main__":
    main()
