"""The paper's objective: match anchors by overlap, draw a mini-batch, compare (sections 3.1.2 and 3.1.3).

M anchors of all levels. Its sibling is ``extensions.task_aligned``, which trains every anchor.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from objectness.rpn.extensions.atss import assign
from objectness.rpn.extensions.localization_quality import quality_loss
from objectness.rpn.losses import RPNLoss, box_losses, image_loss, mean_loss, objectness_losses
from objectness.rpn.matching import Matches
from objectness.rpn.sampling import Sample, SamplerInput, sampler_of
from objectness.rpn.settings import RPNSettings
from objectness.rpn.targets import ImagePredictions, LossOutput


def faster_rcnn_loss(
    anchors_xyxy: Float[Tensor, "M 4"],
    anchors_a_level: Sequence[int],
    answers: Sequence[ImagePredictions],
    settings: RPNSettings,
    generator: torch.Generator,
) -> LossOutput:
    """The mean over the images of the paper's loss on a mini-batch of each; ``generator`` (CPU) draws it."""
    losses, samples, all_matches = [], [], []
    for answer in answers:
        loss, sample, matches = _of_image(anchors_xyxy, anchors_a_level, answer, settings, generator)
        losses.append(loss)
        samples.append(sample)
        all_matches.append(matches)
    return LossOutput(mean_loss(losses), anchors_xyxy, samples, all_matches)


def _of_image(
    anchors_xyxy: Float[Tensor, "M 4"],
    anchors_a_level: Sequence[int],
    answer: ImagePredictions,
    settings: RPNSettings,
    generator: torch.Generator,
) -> tuple[RPNLoss, Sample, Matches]:
    target = answer.target
    matches = assign(anchors_xyxy, anchors_a_level, target.boxes_xyxy, target.ignore_xyxy, settings.match, answer.kept)
    evidence = SamplerInput(matches, _negative_losses(answer.logits), answer.variation)
    sample = sampler_of(settings.sample)(evidence, settings.sample, generator)
    chosen = torch.cat([sample.positives, sample.negatives])
    labels = torch.cat([torch.ones_like(sample.positives), torch.zeros_like(sample.negatives)])
    stood_for = anchors_xyxy[sample.positives]
    # Indexing an empty ground truth would fail although nothing is asked of it.
    wanted = target.boxes_xyxy[matches.box_index[sample.positives]] if len(sample.positives) else stood_for
    clamp = settings.head.delta_clamp
    loss = image_loss(
        answer.logits[chosen],
        labels,
        box_losses(answer.deltas[sample.positives], stood_for, wanted, settings.loss, clamp),
        batch_size=settings.sample.size,
        locations=answer.locations,
        settings=settings.loss,
    )
    fit = quality_loss(answer, sample.positives, stood_for, wanted, settings) / max(1, len(sample.positives))
    return RPNLoss(loss.objectness + fit, loss.box), sample, matches


def _negative_losses(logits: Float[Tensor, "M K"]) -> Float[Tensor, " M"]:
    labels = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
    return objectness_losses(logits.detach(), labels)
