"""What the second stage is taught: to move a box onto its object, and to say how well the moved box fits.

R boxes of an image after the first stage, all levels one after the other. It comes on top of whichever objective
teaches the first stage, and no gradient passes from one to the other except through the features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torchvision.ops import box_iou, generalized_box_iou_loss

from objectness.rpn.losses import RPNLoss
from objectness.rpn.matching import inside_fraction
from objectness.rpn.settings import RefineSettings
from objectness.rpn.truth import Target


@dataclass(frozen=True, eq=False)
class SecondLook:
    """What the second stage says of one image.

    Attributes:
        before_xyxy: ``(R, 4)`` boxes of the first stage.
        after_xyxy: ``(R, 4)`` what became of them.
        margins: ``(R,)`` logits of the new scores.
        target: The truth.
    """

    before_xyxy: Float[Tensor, "R 4"]
    after_xyxy: Float[Tensor, "R 4"]
    margins: Float[Tensor, " R"]
    target: Target


def refined_loss(looks: Sequence[SecondLook], settings: RefineSettings, ignore_iof: float) -> RPNLoss:
    """The loss of a batch: generalised IoU of the boxes that were near an object, and of all boxes the log loss of
    the score against the overlap that the new box has, weighted by its distance from it.

    Both are divided by the sum of the first overlaps of the boxes that were near an object.

    Args:
        looks: One for each image.
        settings: What is near, and the weights.
        ignore_iof: A box with more than this fraction of itself in an ignore region, and on no object, is not asked.
    """
    score, box, asked = [], [], []
    for look in looks:
        boxes, target = look.target.boxes_xyxy, look.target
        near = torch.zeros_like(look.margins, dtype=torch.bool)
        overlap = torch.zeros_like(look.margins)
        if len(boxes) and len(near):
            before, belongs = box_iou(look.before_xyxy, boxes).max(dim=1)
            near = before >= settings.positive_iou
            overlap = box_iou(look.after_xyxy.detach(), boxes).amax(dim=1).nan_to_num()
            fits = generalized_box_iou_loss(look.after_xyxy[near], boxes[belongs[near]])
            box.append((fits * before[near]).sum())
            asked.append(before[near].sum())
        losses = F.binary_cross_entropy_with_logits(look.margins, overlap, reduction="none")
        losses = losses * (overlap - torch.sigmoid(look.margins.detach())).abs()
        score.append(losses[near | ~_ignored(look.before_xyxy, target, ignore_iof)].sum())
    scores = torch.stack(score).sum()
    boxes_part = torch.stack(box).sum() if box else 0 * scores
    total = torch.stack(asked).sum().clamp(min=1) if asked else 1
    return RPNLoss(settings.score_weight * scores / total, settings.box_weight * boxes_part / total)


def _ignored(boxes_xyxy: Float[Tensor, "R 4"], target: Target, ignore_iof: float) -> Bool[Tensor, " R"]:
    if not len(target.ignore_xyxy):
        return torch.zeros(len(boxes_xyxy), dtype=torch.bool, device=boxes_xyxy.device)
    return inside_fraction(boxes_xyxy, target.ignore_xyxy) > ignore_iof
