"""The paper's objective: match anchors, draw a mini-batch, compare (sections 3.1.2 and 3.1.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from objectness.rpn.losses import LossOutput, box_losses, image_loss, mean_loss
from objectness.rpn.matching import Matcher, match
from objectness.rpn.outputs import ImagePredictions
from objectness.rpn.sampling import Sampler, sample_random
from objectness.rpn.settings import RPNSettings


def faster_rcnn_loss(
    predictions: Sequence[ImagePredictions],
    settings: RPNSettings,
    generator: torch.Generator,
    match: Matcher = match,
    sample: Sampler = sample_random,
) -> LossOutput:
    """The mean over the images of the two-part loss on a mini-batch of each.

    Args:
        predictions: One for each image.
        settings: Thresholds, mini-batch, loss.
        generator: On the CPU; it draws the mini-batches.
        match: Labels the anchors; the default is the paper's rule.
        sample: Draws the mini-batch; the default is the paper's rule.
    """
    losses, samples, all_matches = [], [], []
    for image in predictions:
        boxes_xyxy, ignore_xyxy = image.target.boxes_xyxy, image.target.ignore_xyxy
        matches = match(image.anchors_xyxy, boxes_xyxy, ignore_xyxy, settings.match, image.valid)
        drawn = sample(matches, image, settings.sample, generator)
        chosen = torch.cat([drawn.positives, drawn.negatives])
        labels = torch.cat([torch.ones_like(drawn.positives), torch.zeros_like(drawn.negatives)])
        positive_anchors_xyxy, target_boxes = image.regression_pairs(matches, drawn.positives)
        deltas = image.deltas[drawn.positives]
        loss = image_loss(
            image.logits[chosen],
            labels,
            box_losses(deltas, positive_anchors_xyxy, target_boxes, settings.loss, settings.head.delta_clamp),
            batch_size=settings.sample.size,
            locations=image.locations,
            settings=settings.loss,
        )
        losses.append(loss)
        samples.append(drawn)
        all_matches.append(matches)
    return LossOutput(mean_loss(losses), [image.anchors_xyxy for image in predictions], samples, all_matches)
