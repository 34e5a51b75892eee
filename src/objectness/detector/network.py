"""Faster R-CNN: a Region Proposal Network and the Fast R-CNN that names its proposals, on the same feature maps.

``forward`` computes, ``classify`` names boxes, ``detect`` selects. Its loss is in ``criterion``. B images, R boxes of
all images, K = classes + 1 outputs, of which 0 is the background; it is never visible outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import RoIHeads

from objectness.detector.heads import build_layers, build_predictor
from objectness.detector.pooling import build_pool
from objectness.detector.settings import DetectorSettings
from objectness.rpn.backbones import Backbone
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.outputs import Outputs


@dataclass(frozen=True, eq=False)
class Detected:
    """Detections of one image, best first.

    Attributes:
        boxes_xyxy: ``(D, 4)`` in resized pixels.
        scores: ``(D,)`` probabilities.
        class_ids: ``(D,)`` positions in ``FasterRCNN.class_names``.
    """

    boxes_xyxy: Float[Tensor, "D 4"]
    scores: Float[Tensor, " D"]
    class_ids: Int[Tensor, " D"]


class FasterRCNN(nn.Module):
    """A Region Proposal Network with a detector on its feature maps.

    Args:
        rpn: Gives the feature maps and the proposals.
        settings: Every number of the detector.
        class_names: Classes, without the background.
        foreign_proposals: The RPN has not been trained: proposals come from elsewhere (Fast R-CNN).

    Attributes:
        roi: torchvision's box head: pooling, layers, predictor, box coder and selection.

    Raises:
        InputError: settings that do not fit together.
    """

    def __init__(
        self,
        rpn: RegionProposalNetwork,
        settings: DetectorSettings,
        class_names: Sequence[str],
        *,
        foreign_proposals: bool = False,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.class_names = tuple(class_names)
        self.foreign_proposals = foreign_proposals
        self.rpn = rpn
        width = rpn.settings.backbone.pyramid_channels or rpn.backbone.channels[0]
        sample, select = settings.sample, settings.select
        self.roi = RoIHeads(
            build_pool(settings.pool, rpn.strides),
            build_layers(width * settings.pool.size**2, settings.head),
            build_predictor(len(self.class_names), settings.head),
            sample.positive_iou,
            sample.negative_iou[1],
            sample.size,
            sample.positive_fraction,
            settings.loss.regression_weights,
            select.score,
            select.nms_iou,
            select.detections,
        )

    @property
    def backbone(self) -> Backbone:
        """The layers that both parts share; so they do the pyramid on top of it."""
        return self.rpn.backbone

    def train(self, mode: bool = True) -> FasterRCNN:
        """Training mode, except for batch norms that are frozen, which keep their statistics."""
        super().train(mode)
        if mode:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    tuned = any(parameter.requires_grad for parameter in module.parameters())
                    module.train(module.training and tuned)
        return self

    def forward(self, pixels: Tensor) -> Outputs:
        """Outputs of the RPN, its feature maps among them, of RGB pixels ``(B, 3, H, W)`` in [0, 255]."""
        return self.rpn(pixels)

    def propose(self, outputs: Outputs, sizes_hw: Sequence[tuple[int, int]]) -> list[Float[Tensor, "_ 4"]]:
        """The RPN's proposals of each image that are classified, best first."""
        count = self.settings.select.proposals
        return [found.boxes_xyxy[:count] for found in self.rpn.propose(outputs, sizes_hw)]

    def classify(
        self, outputs: Outputs, boxes: Sequence[Float[Tensor, "_ 4"]]
    ) -> tuple[Float[Tensor, "R K"], Float[Tensor, "R K4"]]:
        """Class logits and box regression, relative to the boxes, of boxes of each image."""
        levels = {str(level): feature_map.float() for level, feature_map in enumerate(outputs.features)}
        pooled = self.roi.box_roi_pool(levels, list(boxes), [])
        return self.roi.box_predictor(self.roi.box_head(pooled))

    @torch.no_grad()
    def detect(
        self,
        outputs: Outputs,
        sizes_hw: Sequence[tuple[int, int]],
        proposals: Sequence[Float[Tensor, "_ 4"]] | None = None,
    ) -> list[Detected]:
        """Detections of each image, clipped to its (height, width).

        Args:
            outputs: Of the batch.
            sizes_hw: Of each image.
            proposals: Boxes of each image in resized pixels; None for those of the RPN.
        """
        boxes = self.propose(outputs, sizes_hw) if proposals is None else list(proposals)
        logits, deltas = self.classify(outputs, boxes)
        found = self.roi.postprocess_detections(logits, deltas, boxes, list(sizes_hw))
        return [Detected(kept, scores, labels - 1) for kept, scores, labels in zip(*found, strict=True)]
