"""An objective that punishes no box for being unlabelled: the score is how well a box fits (OLN, arXiv 2108.06753).

The paper's objective teaches that what nobody labelled is background, so objects of classes that were not labelled
are taught away. Here the score is learnt on anchors that stand for labelled boxes, and where wanted on those that
fit them badly; the rest of the image is asked nothing. M anchors of all levels. Its siblings are ``sampled`` and
``task_aligned``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from objectness.rpn.extensions.atss import assign
from objectness.rpn.extensions.localization_quality import quality_loss, quality_target, score_losses
from objectness.rpn.extensions.settings import OLNSettings
from objectness.rpn.losses import RPNLoss, box_losses, objectness_logit
from objectness.rpn.matching import NEGATIVE, POSITIVE, Matches
from objectness.rpn.sampling import Sample, draw
from objectness.rpn.settings import RPNSettings
from objectness.rpn.targets import ImagePredictions, LossOutput


def oln_loss(
    anchors_xyxy: Float[Tensor, "M 4"],
    anchors_a_level: Sequence[int],
    answers: Sequence[ImagePredictions],
    settings: RPNSettings,
    generator: torch.Generator,
) -> LossOutput:
    """The loss of a batch: the mean over its drawn anchors for the score, over its positives for the box.

    Means are taken over the batch, not over its images: an image without labelled boxes says nothing. ``generator``
    (CPU) draws at most ``rpn.sample.size`` positives an image, and the negatives.
    """
    scores, boxes, fits = [], [], []
    samples, all_matches = [], []
    own, clamp = settings.oln, settings.head.delta_clamp
    for answer in answers:
        target = answer.target
        matches = assign(
            anchors_xyxy, anchors_a_level, target.boxes_xyxy, target.ignore_xyxy, settings.match, answer.kept
        )
        sample = _sample(matches, own, settings.sample.size, generator)
        positives, negatives = sample.positives, sample.negatives
        stood_for = anchors_xyxy[positives]
        wanted = target.boxes_xyxy[matches.box_index[positives]] if len(positives) else stood_for
        deltas = answer.deltas[positives]
        fit = quality_target(own.measure, deltas, stood_for, wanted, clamp)
        asked = torch.cat([fit, fit.new_zeros(len(negatives))])
        margin = objectness_logit(answer.logits[torch.cat([positives, negatives])])
        scores.append(score_losses(margin, asked, own.loss).sum())
        boxes.append(box_losses(deltas, stood_for, wanted, settings.loss, clamp).sum())
        fits.append(quality_loss(answer, positives, stood_for, wanted, settings))
        samples.append(sample)
        all_matches.append(matches)
    count = max(1, sum(len(sample.positives) for sample in samples))
    drawn = max(1, sum(len(sample.positives) + len(sample.negatives) for sample in samples))
    score = torch.stack(scores).sum() / drawn + torch.stack(fits).sum() / count
    loss = RPNLoss(score, settings.loss.box_weight * torch.stack(boxes).sum() / count)
    return LossOutput(loss, anchors_xyxy, samples, all_matches)


def _sample(matches: Matches, settings: OLNSettings, size: int, generator: torch.Generator) -> Sample:
    positives = draw(torch.nonzero(matches.labels == POSITIVE).flatten(), size, generator)
    background = matches.labels == NEGATIVE
    match settings.negatives:
        case "none":
            return Sample(positives, positives[:0])
        case "ring":
            background &= matches.iou > 0
        case "all":
            pass
    count = int(settings.share * len(positives))
    return Sample(positives, draw(torch.nonzero(background).flatten(), count, generator))
