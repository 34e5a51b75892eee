"""How well a box fits its object, as a score (FCOS, arXiv 1904.01355, section 3.2; OLN, arXiv 2108.06753).

N anchors, P positives among them, K logits an anchor.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from objectness.rpn.box_coder import decode
from objectness.rpn.extensions.settings import LocalizationQualitySettings
from objectness.rpn.losses import objectness_logit
from objectness.rpn.settings import RPNSettings
from objectness.rpn.targets import ImagePredictions


def paired_iou(boxes_xyxy: Float[Tensor, "P 4"], others_xyxy: Float[Tensor, "P 4"]) -> Float[Tensor, " P"]:
    """IoU of each box with the other one on its row; 0 for empty ones."""
    top_left = torch.maximum(boxes_xyxy[:, :2], others_xyxy[:, :2])
    bottom_right = torch.minimum(boxes_xyxy[:, 2:], others_xyxy[:, 2:])
    common = (bottom_right - top_left).clamp(min=0).prod(dim=1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=1) for boxes in (boxes_xyxy, others_xyxy)]
    union = areas[0] + areas[1] - common
    return common / union.clamp(min=torch.finfo(union.dtype).tiny)


def centerness(anchors_xyxy: Float[Tensor, "P 4"], boxes_xyxy: Float[Tensor, "P 4"]) -> Float[Tensor, " P"]:
    """How near the middle of its box each anchor's centre lies (FCOS, equation 3).

    sqrt(min(l, r) / max(l, r) * min(t, b) / max(t, b)) of its distances to the four sides: 1 in the middle, 0 from the
    sides on outwards.
    """
    centre = (anchors_xyxy[:, :2] + anchors_xyxy[:, 2:]) / 2
    before, after = centre - boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - centre
    near, far = torch.minimum(before, after).clamp(min=0), torch.maximum(before, after)
    return (near / far.clamp(min=torch.finfo(far.dtype).tiny)).prod(dim=1).sqrt()


def quality_target(
    measure: Literal["iou", "centerness"],
    deltas: Float[Tensor, "P 4"],
    anchors_xyxy: Float[Tensor, "P 4"],
    boxes_xyxy: Float[Tensor, "P 4"],
    delta_clamp: float,
) -> Float[Tensor, " P"]:
    """What the score of each positive is to say, in [0, 1]; no gradient flows through it."""
    match measure:
        case "iou":
            return paired_iou(decode(deltas.detach(), anchors_xyxy, delta_clamp), boxes_xyxy).clamp(max=1)
        case "centerness":
            return centerness(anchors_xyxy, boxes_xyxy)


def score_losses(
    margin: Float[Tensor, " N"], wanted: Float[Tensor, " N"], kind: Literal["log", "l1"]
) -> Float[Tensor, " N"]:
    """How far each score, the sigmoid of ``margin``, is from the one wanted."""
    margin = margin.float()
    match kind:
        case "log":
            return F.binary_cross_entropy_with_logits(margin, wanted, reduction="none")
        case "l1":
            return (torch.sigmoid(margin) - wanted).abs()


def quality_loss(
    answer: ImagePredictions,
    positives: Int[Tensor, " P"],
    anchors_xyxy: Float[Tensor, "P 4"],
    boxes_xyxy: Float[Tensor, "P 4"],
    settings: RPNSettings,
) -> Float[Tensor, ""]:
    """The weighted sum over the positives of what the third layer is to learn; 0 for a network that has none.

    Args:
        answer: Of the image.
        positives: Indices of its anchors.
        anchors_xyxy: Of the positives.
        boxes_xyxy: That they stand for.
        settings: Measure, loss, weight.
    """
    if answer.quality is None:
        return anchors_xyxy.new_zeros(())
    own = settings.localization_quality
    clamp = settings.head.delta_clamp
    wanted = quality_target(own.measure, answer.deltas[positives], anchors_xyxy, boxes_xyxy, clamp)
    return own.weight * score_losses(answer.quality[positives], wanted, own.loss).sum()


def ranking_scores(
    logits: Float[Tensor, "N K"], quality: Float[Tensor, "N 1"] | None, settings: LocalizationQualitySettings
) -> Float[Tensor, " N"]:
    """The probabilities that boxes are ranked by.

    Args:
        logits: Objectness.
        quality: Logits of the fit; None for a network without that layer.
        settings: How the two are joined.
    """
    objectness = torch.sigmoid(objectness_logit(logits))
    if quality is None or settings.use == "none":
        return objectness
    fit = torch.sigmoid(quality[:, 0].float())
    return fit if settings.use == "alone" else (objectness * fit).sqrt()
