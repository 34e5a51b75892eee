"""Task-aligned objective (TOOD, arXiv 2108.07755; quality focal loss, arXiv 2006.04388): every anchor is trained.

The paper matches by the overlap of the *anchor* with an object; here the overlap of the *predicted box* decides, and
it is the target of the score too, so scores rank boxes by how well they fit. M anchors of all levels, G boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torchvision.ops import box_iou

from objectness.rpn.box_coder import decode
from objectness.rpn.extensions.settings import TaskAlignedSettings
from objectness.rpn.losses import LossOutput, RPNLoss, box_losses, objectness_logit
from objectness.rpn.matching import IGNORED, NEGATIVE, POSITIVE, Matches, inside_fraction, without_ignored
from objectness.rpn.outputs import ImagePredictions
from objectness.rpn.sampling import Sample
from objectness.rpn.settings import MatchSettings, RPNSettings

_SHOWN_NEGATIVES = 128


@dataclass(frozen=True, eq=False)
class Alignment:
    """Targets of each of M anchors.

    Attributes:
        matches: Labels; ``iou`` is the overlap of the *predicted* box with the target box.
        target_scores: ``float32 (M,)`` in [0, 1]; 0 for negatives.
    """

    matches: Matches
    target_scores: Float[Tensor, " M"]


def align(
    scores: Float[Tensor, " M"],
    predicted_xyxy: Float[Tensor, "M 4"],
    anchors_xyxy: Float[Tensor, "M 4"],
    strides: Float[Tensor, " M"],
    boxes_xyxy: Float[Tensor, "G 4"],
    settings: TaskAlignedSettings,
    valid: Bool[Tensor, " M"],
) -> Alignment:
    """Assign anchors to boxes by the alignment metric t = score ** alpha * IoU ** beta (TOOD, section 3.2).

    The ``top_k`` anchors with the highest t of a box are positive; their target score is t, scaled so that the
    highest of a box is its highest IoU. An anchor that several boxes claim is assigned to the one that its predicted
    box overlaps most.

    Args:
        scores: Predicted probabilities, detached.
        predicted_xyxy: Predicted boxes, detached.
        anchors_xyxy: Only an anchor centred in a box can be assigned to it; a box smaller than a cell counts as large
            as the cell, so that every box can be reached.
        strides: Of each anchor's level: the side of its cell.
        boxes_xyxy: Ground truth; may be empty.
        settings: alpha, beta, number of positives.
        valid: Anchors that take part; the others are labelled as ignored.
    """
    count = len(anchors_xyxy)
    labels = torch.full((count,), IGNORED, dtype=torch.int8, device=anchors_xyxy.device)
    labels[valid] = NEGATIVE
    box_index = torch.zeros(count, dtype=torch.int64, device=anchors_xyxy.device)
    iou, target_scores = torch.zeros_like(scores), torch.zeros_like(scores)
    if not len(boxes_xyxy) or not count:
        return Alignment(Matches(labels, box_index, iou), target_scores)

    overlaps = box_iou(boxes_xyxy, predicted_xyxy)  # (G, M)
    reachable = _centred_in(anchors_xyxy, strides, boxes_xyxy) & valid
    t = torch.where(reachable, scores**settings.alpha * overlaps**settings.beta, 0.0)
    best, chosen = t.topk(min(settings.top_k, count), dim=1)  # (G, P)
    claims = torch.zeros_like(t, dtype=torch.bool).scatter_(1, chosen, best > 0)
    iou, box_index = torch.where(claims, overlaps, -1.0).max(dim=0)  # (M,)
    positive = iou >= 0
    claims &= torch.arange(len(boxes_xyxy), device=claims.device)[:, None] == box_index
    t, overlaps = torch.where(claims, t, 0.0), torch.where(claims, overlaps, 0.0)
    scale = overlaps.amax(dim=1) / t.amax(dim=1).clamp(min=torch.finfo(t.dtype).tiny)  # (G,)
    target_scores = (t * scale[:, None]).amax(dim=0).clamp(max=1)
    labels[positive] = POSITIVE
    return Alignment(Matches(labels, box_index.where(positive, 0), iou.clamp(min=0)), target_scores)


def task_aligned_loss(
    predictions: Sequence[ImagePredictions], settings: RPNSettings, generator: torch.Generator | None = None
) -> LossOutput:
    """The loss of a batch in which every anchor takes part.

    Both parts are divided by the sum of the target scores of the whole batch, so that an image without objects trains
    its background without outweighing the others. A negative whose predicted box lies in an ignore region contributes
    no loss.

    Args:
        predictions: One for each image.
        settings: Of the alignment, the box loss and ignore regions.
        generator: Not needed: nothing is drawn.
    """
    own, clamp = settings.task_aligned, settings.head.delta_clamp
    score_sums, box_sums, target_sums, samples, all_matches = [], [], [], [], []
    for image in predictions:
        anchors, target = image.anchors_xyxy, image.target
        logits = objectness_logit(image.logits)
        scores = torch.sigmoid(logits.detach())
        predicted = decode(image.deltas.detach(), anchors, clamp)
        alignment = align(scores, predicted, anchors, image.strides, target.boxes_xyxy, own, image.valid)
        matches = without_ignored(alignment.matches, predicted, target.ignore_xyxy, settings.match.ignore_iof)
        losses = quality_focal_losses(logits, alignment.target_scores, own.gamma) * (matches.labels != IGNORED)
        if own.unlabelled_weight < 1:
            spared = (matches.labels == NEGATIVE) & (scores > own.unlabelled_score)
            spared &= _outside(predicted, target.boxes_xyxy, settings.match)
            losses = torch.where(spared, own.unlabelled_weight * losses, losses)
        positives = torch.nonzero(matches.labels == POSITIVE).flatten()
        pairs = image.regression_pairs(matches, positives)
        regression = box_losses(image.deltas[positives], *pairs, settings.loss, clamp)
        score_sums.append(losses.sum())
        box_sums.append((regression * alignment.target_scores[positives]).sum())
        target_sums.append(alignment.target_scores.sum())
        samples.append(Sample(positives, _hardest(losses.detach(), matches)))
        all_matches.append(matches)
    total = torch.stack(target_sums).sum().clamp(min=1)
    loss = RPNLoss(
        torch.stack(score_sums).sum() / total, settings.loss.box_weight * torch.stack(box_sums).sum() / total
    )
    return LossOutput(loss, [image.anchors_xyxy for image in predictions], samples, all_matches)


def quality_focal_losses(
    logits: Float[Tensor, " M"], target_scores: Float[Tensor, " M"], gamma: float
) -> Float[Tensor, " M"]:
    """The log loss against a target in [0, 1], weighted by the distance to it (generalised focal loss, equation 2)."""
    losses = F.binary_cross_entropy_with_logits(logits, target_scores, reduction="none")
    return losses * (target_scores - torch.sigmoid(logits)).abs() ** gamma if gamma else losses


def _centred_in(
    anchors_xyxy: Float[Tensor, "M 4"], strides: Float[Tensor, " M"], boxes_xyxy: Float[Tensor, "G 4"]
) -> Bool[Tensor, "G M"]:
    away = (
        anchors_xyxy[None, :, :2] + anchors_xyxy[None, :, 2:] - boxes_xyxy[:, None, :2] - boxes_xyxy[:, None, 2:]
    ).abs()
    sides = boxes_xyxy[:, None, 2:] - boxes_xyxy[:, None, :2]
    return (away <= torch.maximum(sides, strides[None, :, None])).all(dim=2)  # twice the distance against whole sides


def _outside(
    predicted_xyxy: Float[Tensor, "M 4"], boxes_xyxy: Float[Tensor, "G 4"], settings: MatchSettings
) -> Bool[Tensor, " M"]:
    """Predicted boxes that show neither a labelled object nor a part of one."""
    if not len(boxes_xyxy):
        return torch.ones(len(predicted_xyxy), dtype=torch.bool, device=predicted_xyxy.device)
    apart = box_iou(predicted_xyxy, boxes_xyxy).amax(dim=1) < settings.negative_iou
    return apart & (inside_fraction(predicted_xyxy, boxes_xyxy) <= settings.ignore_iof)


def _hardest(losses: Float[Tensor, " M"], matches: Matches) -> Tensor:
    negatives = torch.nonzero(matches.labels == NEGATIVE).flatten()
    order = losses[negatives].argsort(descending=True, stable=True)
    return negatives[order[:_SHOWN_NEGATIVES]].sort().values
