"""Localization quality: a score of how well a box fits (FCOS, arXiv 1904.01355, section 3.2; OLN, arXiv 2108.06753).

N anchors, P positives among them, K logits an anchor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from objectness.rpn.box_coder import decode
from objectness.rpn.extensions.settings import LocalizationQualitySettings
from objectness.rpn.losses import LossOutput, objectness_scores
from objectness.rpn.outputs import ImagePredictions
from objectness.rpn.settings import RPNSettings


def paired_iou(boxes_xyxy: Float[Tensor, "P 4"], others_xyxy: Float[Tensor, "P 4"]) -> Float[Tensor, " P"]:
    """IoU of each box with the other one on its row; 0 for empty ones."""
    top_left = torch.maximum(boxes_xyxy[:, :2], others_xyxy[:, :2])
    bottom_right = torch.minimum(boxes_xyxy[:, 2:], others_xyxy[:, 2:])
    common = (bottom_right - top_left).clamp(min=0).prod(dim=1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=1) for boxes in (boxes_xyxy, others_xyxy)]
    union = areas[0] + areas[1] - common
    return common / union.clamp(min=torch.finfo(union.dtype).tiny)


def centerness(anchors_xyxy: Float[Tensor, "P 4"], boxes_xyxy: Float[Tensor, "P 4"]) -> Float[Tensor, " P"]:
    """Closeness of each anchor's centre to the middle of its box (FCOS, equation 3).

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
    """Target score of each positive in [0, 1]; no gradient flows through it."""
    match measure:
        case "iou":
            return paired_iou(decode(deltas.detach(), anchors_xyxy, delta_clamp), boxes_xyxy).clamp(max=1)
        case "centerness":
            return centerness(anchors_xyxy, boxes_xyxy)


def score_losses(
    logits: Float[Tensor, " N"], target_scores: Float[Tensor, " N"], kind: Literal["log", "l1"]
) -> Float[Tensor, " N"]:
    """Loss of each score, the sigmoid of its logit, against its target."""
    logits = logits.float()
    match kind:
        case "log":
            return F.binary_cross_entropy_with_logits(logits, target_scores, reduction="none")
        case "l1":
            return (torch.sigmoid(logits) - target_scores).abs()


def quality_loss(
    predictions: Sequence[ImagePredictions], output: LossOutput, settings: RPNSettings
) -> Float[Tensor, ""]:
    """The weighted loss of the quality layer on the positives that an objective chose; 0 without positives.

    It is the mean over the positives of the batch; with the "faster-rcnn" objective, as its other losses, the mean of
    each image and then of the images.

    Args:
        predictions: One for each image, with ``quality``.
        output: Of the objective: samples and matches.
        settings: Measure, loss, weight.
    """
    own = settings.localization_quality
    losses, counts = [], []
    for image, sample, matches in zip(predictions, output.samples, output.matches, strict=True):
        assert image.quality is not None
        pairs = image.regression_pairs(matches, sample.positives)
        deltas, logits = image.deltas[sample.positives], image.quality[sample.positives]
        target_scores = quality_target(own.measure, deltas, *pairs, settings.head.delta_clamp)
        losses.append(own.weight * score_losses(logits, target_scores, own.loss).sum())
        counts.append(len(sample.positives))
    if settings.loss.objective == "faster-rcnn":
        return torch.stack([loss / max(1, count) for loss, count in zip(losses, counts, strict=True)]).mean()
    return torch.stack(losses).sum() / max(1, sum(counts))


def ranking_scores(
    logits: Float[Tensor, "N K"], quality: Float[Tensor, "N 1"] | None, settings: LocalizationQualitySettings
) -> Float[Tensor, " N"]:
    """The probabilities that rank boxes.

    Args:
        logits: Objectness.
        quality: Localization-quality logits; None for a network without that layer.
        settings: How the two are joined.
    """
    objectness = objectness_scores(logits)
    if quality is None or settings.use == "none":
        return objectness
    fit = torch.sigmoid(quality[:, 0].float())
    return fit if settings.use == "alone" else (objectness * fit).sqrt()
