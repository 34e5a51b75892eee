"""Open-world loss (OLN, arXiv 2108.06753): unlabelled objects are not treated as background.

The paper's objective trains every unlabelled object as background, and so unlearns classes without labels. Here the
score learns localization quality, on positives and, where wanted, on anchors that fit a labelled box badly; all other
anchors contribute no loss. M anchors of all levels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from objectness.rpn.extensions.localization_quality import quality_target, score_losses
from objectness.rpn.extensions.settings import OLNSettings
from objectness.rpn.losses import LossOutput, RPNLoss, box_losses, objectness_logit
from objectness.rpn.matching import NEGATIVE, POSITIVE, Matcher, Matches, match
from objectness.rpn.outputs import ImagePredictions
from objectness.rpn.sampling import Sample, draw
from objectness.rpn.settings import RPNSettings


def oln_loss(
    predictions: Sequence[ImagePredictions],
    settings: RPNSettings,
    generator: torch.Generator,
    match: Matcher = match,
) -> LossOutput:
    """The mean over the sampled anchors of the batch for the score, over its positives for the box.

    Means are taken over the batch, not over its images: an image without labelled boxes contributes nothing.
    ``generator`` (CPU) draws at most ``rpn.sample.size`` positives an image, and the negatives.
    """
    own, clamp = settings.oln, settings.head.delta_clamp
    score_sums, box_sums, samples, all_matches = [], [], [], []
    for image in predictions:
        boxes_xyxy, ignore_xyxy = image.target.boxes_xyxy, image.target.ignore_xyxy
        matches = match(image.anchors_xyxy, boxes_xyxy, ignore_xyxy, settings.match, image.valid)
        sample = _sample(matches, own, settings.sample.size, generator)
        positives, negatives = sample.positives, sample.negatives
        positive_anchors_xyxy, target_boxes = image.regression_pairs(matches, positives)
        deltas = image.deltas[positives]
        quality = quality_target(own.measure, deltas, positive_anchors_xyxy, target_boxes, clamp)
        target_scores = torch.cat([quality, quality.new_zeros(len(negatives))])
        logits = objectness_logit(image.logits[torch.cat([positives, negatives])])
        score_sums.append(score_losses(logits, target_scores, own.loss).sum())
        box_sums.append(box_losses(deltas, positive_anchors_xyxy, target_boxes, settings.loss, clamp).sum())
        samples.append(sample)
        all_matches.append(matches)
    positive_count = max(1, sum(len(sample.positives) for sample in samples))
    sample_count = max(1, sum(len(sample.positives) + len(sample.negatives) for sample in samples))
    score = torch.stack(score_sums).sum() / sample_count
    loss = RPNLoss(score, settings.loss.box_weight * torch.stack(box_sums).sum() / positive_count)
    return LossOutput(loss, [image.anchors_xyxy for image in predictions], samples, all_matches)


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
    count = int(settings.negatives_per_positive * len(positives))
    return Sample(positives, draw(torch.nonzero(background).flatten(), count, generator))
