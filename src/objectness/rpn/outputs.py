"""Raw outputs of a network for a batch, and the predictions of one image that an objective compares with ground truth.

B images, C channels, N anchors of a level, M of all levels, K logits an anchor.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from objectness.rpn.matching import Matches
from objectness.rpn.targets import Target


@dataclass(frozen=True, eq=False)
class Outputs:
    """Raw outputs for a batch, level by level.

    Attributes:
        logits: ``(B, N, K)`` each.
        deltas: ``(B, N, 4)`` each.
        features: ``(B, C, H, W)`` each: the maps that the head was given.
        quality: ``(B, N, 1)`` each: localization-quality logits; None without that layer.
        refinement_maps: ``(B, H, W, c)`` each: the maps that the refinement head reads; None without that head.
        pixels: ``(B, 3, H, W)`` as given; None where only the outputs are known.
    """

    logits: list[Float[Tensor, "B _ K"]]
    deltas: list[Float[Tensor, "B _ 4"]]
    features: list[Float[Tensor, "B C _ _"]]
    quality: list[Float[Tensor, "B _ 1"]] | None = None
    refinement_maps: list[Float[Tensor, "B _ _ c"]] | None = None
    pixels: Tensor | None = None

    @property
    def maps_hw(self) -> list[tuple[int, int]]:
        """(H, W) of each level's map."""
        return [(level.shape[2], level.shape[3]) for level in self.features]


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
        positive_anchors_xyxy = self.anchors_xyxy[positives]
        if not len(positives):  # an index into an empty ground truth would fail
            return positive_anchors_xyxy, positive_anchors_xyxy
        return positive_anchors_xyxy, self.target.boxes_xyxy[matches.box_index[positives]]
