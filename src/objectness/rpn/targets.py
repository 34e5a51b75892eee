"""Ground truth, and the predictions that an objective compares with it. M anchors of all levels, K logits an anchor."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from objectness.rpn.matching import Matches


@dataclass(frozen=True, eq=False)
class Target:
    """Ground truth of one image, in resized pixels.

    Attributes:
        boxes_xyxy: ``float32 (G, 4)`` objects; may be empty.
        ignore_xyxy: ``float32 (R, 4)`` crowd and ignore regions.
        size_hw: (height, width) of the image without the batch's padding.
    """

    boxes_xyxy: Float[Tensor, "G 4"]
    ignore_xyxy: Float[Tensor, "R 4"]
    size_hw: tuple[int, int]


@dataclass(frozen=True, eq=False)
class ImagePredictions:
    """Predictions of one image, all levels in one row, with their anchors and the image's ground truth.

    Attributes:
        anchors_xyxy: ``(M, 4)``, finest level first.
        strides: ``(M,)`` stride of each anchor's level in pixels.
        logits: ``(M, K)`` objectness.
        deltas: ``(M, 4)`` box regression.
        valid: ``(M,)`` anchors that take part in training.
        locations: N_reg of the paper: cells of all levels that show the image.
        target: Ground truth.
        quality: ``(M,)`` localization-quality logits, where the network has that layer.
        features: ``(C, H, W)`` the finest map, for samplers that look at it.
        pixels: ``(3, H, W)`` the padded image, for samplers that look at it; None where it is not known.
    """

    anchors_xyxy: Float[Tensor, "M 4"]
    strides: Float[Tensor, " M"]
    logits: Float[Tensor, "M K"]
    deltas: Float[Tensor, "M 4"]
    valid: Bool[Tensor, " M"]
    locations: int
    target: Target
    quality: Float[Tensor, " M"] | None = None
    features: Float[Tensor, "C _ _"] | None = None
    pixels: Tensor | None = None

    def regression_pairs(
        self, matches: Matches, positives: Int[Tensor, " P"]
    ) -> tuple[Float[Tensor, "P 4"], Float[Tensor, "P 4"]]:
        """The positive anchors and the box that each is matched to, row by row."""
        positive_anchors = self.anchors_xyxy[positives]
        if not len(positives):  # an index into an empty ground truth would fail
            return positive_anchors, positive_anchors
        return positive_anchors, self.target.boxes_xyxy[matches.box_index[positives]]
