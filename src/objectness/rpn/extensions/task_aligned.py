"""An objective that trains every anchor, and makes the score say how well the box fits (TOOD, generalised focal loss).

The paper's matching asks how well the *anchor* overlaps an object; here the *box that the network makes of it*
is asked, so a score learns to rank boxes by their fit. M anchors of all levels, G boxes. Its siblings are
``sampled``, the paper's objective, and ``open_world``.
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
from objectness.rpn.extensions.localization_quality import quality_loss
from objectness.rpn.extensions.settings import TaskAlignedSettings
from objectness.rpn.losses import RPNLoss, box_losses, objectness_logit
from objectness.rpn.matching import IGNORED, NEGATIVE, POSITIVE, Matches, inside_fraction
from objectness.rpn.sampling import Sample
from objectness.rpn.settings import MatchSettings, RPNSettings
from objectness.rpn.targets import ImagePredictions, LossOutput

_SHOWN_NEGATIVES = 128


@dataclass(frozen=True, eq=False)
class Alignment:
    """What each of M anchors is to answer.

    Attributes:
        matches: Labels; ``iou`` is the overlap of the *predicted* box with the box that the anchor stands for.
        quality: ``float32 (M,)`` in [0, 1]: the score asked for; 0 for negatives.
    """

    matches: Matches
    quality: Float[Tensor, " M"]


def align(
    scores: Float[Tensor, " M"],
    predicted_xyxy: Float[Tensor, "M 4"],
    anchors_xyxy: Float[Tensor, "M 4"],
    cells: Float[Tensor, " M"],
    boxes_xyxy: Float[Tensor, "G 4"],
    settings: TaskAlignedSettings,
    kept: Bool[Tensor, " M"],
) -> Alignment:
    """Find the anchors that stand for each box, by what the network makes of them now.

    Args:
        scores: Probabilities that it gives, detached.
        predicted_xyxy: Boxes that it makes, detached.
        anchors_xyxy: Where they come from. Only an anchor centred in a box can stand for it; a box smaller than a
            cell is taken to be as large as one, so that none is out of reach.
        cells: Side of each anchor's cell, the stride of its level.
        boxes_xyxy: Ground truth; none is valid.
        settings: How fit is measured and how many are taken.
        kept: Anchors that take part; the others are labelled as ignored.

    Returns:
        An anchor that several boxes claim stands for the one that it overlaps most.
    """
    count = len(anchors_xyxy)
    labels = torch.full((count,), IGNORED, dtype=torch.int8, device=anchors_xyxy.device)
    labels[kept] = NEGATIVE
    box_index = torch.zeros(count, dtype=torch.int64, device=anchors_xyxy.device)
    iou, quality = torch.zeros_like(scores), torch.zeros_like(scores)
    if not len(boxes_xyxy) or not count:
        return Alignment(Matches(labels, box_index, iou), quality)

    overlaps = box_iou(boxes_xyxy, predicted_xyxy)  # (G, M)
    reachable = _centred_in(anchors_xyxy, cells, boxes_xyxy) & kept
    worth = torch.where(reachable, scores**settings.alpha * overlaps**settings.beta, 0.0)
    best, chosen = worth.topk(min(settings.positives, count), dim=1)  # (G, P)
    claims = torch.zeros_like(worth, dtype=torch.bool).scatter_(1, chosen, best > 0)
    iou, box_index = torch.where(claims, overlaps, -1.0).max(dim=0)  # (M,)
    positive = iou >= 0
    claims &= torch.arange(len(boxes_xyxy), device=claims.device)[:, None] == box_index
    worth, overlaps = torch.where(claims, worth, 0.0), torch.where(claims, overlaps, 0.0)
    scale = overlaps.amax(dim=1) / worth.amax(dim=1).clamp(min=torch.finfo(worth.dtype).tiny)  # (G,)
    quality = (worth * scale[:, None]).amax(dim=0).clamp(max=1)
    labels[positive] = POSITIVE
    return Alignment(Matches(labels, box_index.where(positive, 0), iou.clamp(min=0)), quality)


def task_aligned_loss(
    anchors_xyxy: Float[Tensor, "M 4"],
    cells: Float[Tensor, " M"],
    answers: Sequence[ImagePredictions],
    settings: RPNSettings,
) -> LossOutput:
    """The loss of a batch in which every anchor takes part.

    Args:
        anchors_xyxy: The same for all images.
        cells: Side of each anchor's cell.
        answers: One for each image.
        settings: Of the alignment, the box loss and what is ignored.
    """
    count = len(answers)
    loss, samples, matches = task_aligned_losses([anchors_xyxy] * count, [cells] * count, answers, settings)
    return LossOutput(loss, anchors_xyxy, samples, matches)


def task_aligned_losses(
    anchors_xyxy: Sequence[Float[Tensor, "_ 4"]],
    cells: Sequence[Float[Tensor, " _"]],
    answers: Sequence[ImagePredictions],
    settings: RPNSettings,
) -> tuple[RPNLoss, list[Sample], list[Matches]]:
    """The same where each image has anchors of its own, and what the anchors stood for.

    Both parts are divided by the sum of the qualities asked for in the whole batch, so that an image without
    objects teaches its background without drowning the others. An anchor whose box lies in an ignore region
    is asked nothing.
    """
    objectness, box, asked, fitting = [], [], [], []
    samples, all_matches = [], []
    for anchors, sides, answer in zip(anchors_xyxy, cells, answers, strict=True):
        margin = objectness_logit(answer.logits)
        predicted = decode(answer.deltas.detach(), anchors, settings.head.delta_clamp)
        scores = torch.sigmoid(margin.detach())
        alignment = align(
            scores,
            predicted,
            anchors,
            sides,
            answer.target.boxes_xyxy,
            settings.task_aligned,
            answer.kept,
        )
        matches = _without_ignored(alignment.matches, predicted, answer.target.ignore_xyxy, settings.match.ignore_iof)
        losses = quality_focal_losses(margin, alignment.quality, settings.task_aligned.gamma)
        losses = losses * (matches.labels != IGNORED)
        if settings.task_aligned.unlabelled_weight < 1:
            spared = matches.labels == NEGATIVE
            spared &= scores > settings.task_aligned.unlabelled_score
            spared &= _outside(predicted, answer.target.boxes_xyxy, settings.match)
            losses = torch.where(spared, settings.task_aligned.unlabelled_weight * losses, losses)
        positives = torch.nonzero(matches.labels == POSITIVE).flatten()
        stood_for = anchors[positives]
        wanted = answer.target.boxes_xyxy[matches.box_index[positives]] if len(positives) else stood_for
        fits = box_losses(answer.deltas[positives], stood_for, wanted, settings.loss, settings.head.delta_clamp)
        objectness.append(losses.sum())
        box.append((fits * alignment.quality[positives]).sum())
        asked.append(alignment.quality.sum())
        fitting.append(quality_loss(answer, positives, stood_for, wanted, settings))
        samples.append(Sample(positives, _hardest(losses.detach(), matches)))
        all_matches.append(matches)
    total = torch.stack(asked).sum().clamp(min=1)
    score = torch.stack(objectness).sum() / total
    score = score + torch.stack(fitting).sum() / max(1, sum(len(sample.positives) for sample in samples))
    loss = RPNLoss(score, settings.loss.box_weight * torch.stack(box).sum() / total)
    return loss, samples, all_matches


def quality_focal_losses(
    margin: Float[Tensor, " M"], quality: Float[Tensor, " M"], gamma: float
) -> Float[Tensor, " M"]:
    """The log loss against a quality in [0, 1], weighted by the distance to it (generalised focal loss, equation 2)."""
    losses = F.binary_cross_entropy_with_logits(margin, quality, reduction="none")
    return losses * (quality - torch.sigmoid(margin)).abs() ** gamma if gamma else losses


def _centred_in(
    anchors_xyxy: Float[Tensor, "M 4"], cells: Float[Tensor, " M"], boxes_xyxy: Float[Tensor, "G 4"]
) -> Bool[Tensor, "G M"]:
    away = (
        anchors_xyxy[None, :, :2] + anchors_xyxy[None, :, 2:] - boxes_xyxy[:, None, :2] - boxes_xyxy[:, None, 2:]
    ).abs()
    sides = boxes_xyxy[:, None, 2:] - boxes_xyxy[:, None, :2]
    return (away <= torch.maximum(sides, cells[None, :, None])).all(dim=2)  # twice the distance against whole sides


def _without_ignored(
    matches: Matches, predicted_xyxy: Float[Tensor, "M 4"], ignore_xyxy: Float[Tensor, "R 4"], ignore_iof: float
) -> Matches:
    if not len(ignore_xyxy):
        return matches
    covered = inside_fraction(predicted_xyxy, ignore_xyxy) > ignore_iof
    labels = torch.where(covered & (matches.labels == NEGATIVE), IGNORED, matches.labels).to(torch.int8)
    return Matches(labels, matches.box_index, matches.iou)


def _outside(
    predicted_xyxy: Float[Tensor, "M 4"], boxes_xyxy: Float[Tensor, "G 4"], settings: MatchSettings
) -> Bool[Tensor, " M"]:
    """Which predicted boxes show something else than a labelled one or a part of it."""
    if not len(boxes_xyxy):
        return torch.ones(len(predicted_xyxy), dtype=torch.bool, device=predicted_xyxy.device)
    apart = box_iou(predicted_xyxy, boxes_xyxy).amax(dim=1) < settings.negative_iou
    return apart & (inside_fraction(predicted_xyxy, boxes_xyxy) <= settings.ignore_iof)


def _hardest(losses: Float[Tensor, " M"], matches: Matches) -> Tensor:
    negatives = torch.nonzero(matches.labels == NEGATIVE).flatten()
    order = losses[negatives].argsort(descending=True, stable=True)
    return negatives[order[:_SHOWN_NEGATIVES]].sort().values
