"""Samplers that choose negatives: by loss, by texture, by overlap. N anchors; positives as in the paper."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from objectness.rpn.extensions.window_variation import flat_windows, window_variation
from objectness.rpn.losses import objectness_losses
from objectness.rpn.matching import NEGATIVE, Matches
from objectness.rpn.outputs import ImagePredictions
from objectness.rpn.sampling import Sample, draw, draw_positives
from objectness.rpn.settings import SampleSettings


def sample_ohem(
    matches: Matches, image: ImagePredictions, settings: SampleSettings, generator: torch.Generator
) -> Sample:
    """Online hard example mining (OHEM, arXiv 1604.03540) of negatives: those with the highest loss.

    A ``random_share`` of them is drawn at random from the others, so that easy background stays in the mini-batch:
    without it the network unlearns easy negatives.
    """
    positives, room = draw_positives(matches, settings, generator)
    negatives = torch.nonzero(matches.labels == NEGATIVE).flatten()
    losses = objectness_losses(image.logits.detach(), torch.zeros_like(matches.box_index))[negatives]
    hardest_first = negatives[torch.argsort(losses, descending=True, stable=True)]
    hard = min(room - round(room * settings.random_share), len(negatives))
    rest = draw(hardest_first[hard:], room - hard, generator)
    return Sample(positives, torch.cat([hardest_first[:hard], rest]).sort().values)


def sample_hard_window(
    matches: Matches, image: ImagePredictions, settings: SampleSettings, generator: torch.Generator
) -> Sample:
    """Negatives that overlap an object partly and lie on texture: see ``draw_hard_windows``."""
    return draw_hard_windows(matches, anchor_variation(image), settings, generator)


def anchor_variation(image: ImagePredictions) -> Float[Tensor, " N"]:
    """Variation of the finest map under each anchor (coarser cells see far beyond it); 0 where the pixels are flat."""
    assert image.features is not None
    anchors, size_hw = image.anchors_xyxy, image.target.size_hw
    if not len(anchors):
        return anchors.new_zeros(0)
    variation = window_variation(anchors, image.features, float(image.strides[0]), size_hw)
    if image.pixels is None:
        return variation
    return variation.masked_fill(flat_windows(anchors, image.pixels, size_hw), 0)


def draw_hard_windows(
    matches: Matches, variation: Float[Tensor, " N"], settings: SampleSettings, generator: torch.Generator
) -> Sample:
    """Draw negatives by the overlap with objects and the variation of the features under them.

    A negative is partial where 0 < IoU < ``negative_iou`` with some box, and varying where its variation is above
    ``window_variation``. ``window_rule`` decides which of these are taken. A flat window (variation 0) is never
    drawn, even when the mini-batch stays short: an image that is flat everywhere has no negatives.
    """
    positives, room = draw_positives(matches, settings, generator)
    negative = (matches.labels == NEGATIVE) & (variation > 0)
    partial = negative & (matches.iou > 0)
    varying = negative & (variation > settings.window_variation)
    match settings.window_rule:
        case "partial-then-varying":
            classes = [partial & varying, varying & ~partial, partial & ~varying, negative & ~partial & ~varying]
        case "partial-and-varying":
            classes = [partial & varying]
        case "partial-or-varying":
            classes = [partial | varying]
    negatives = positives[:0]
    for members in classes:
        drawn = draw(torch.nonzero(members).flatten(), room - len(negatives), generator)
        negatives = torch.cat([negatives, drawn])
    return Sample(positives, negatives.sort().values)


def sample_iou_balanced(
    matches: Matches, image: object, settings: SampleSettings, generator: torch.Generator
) -> Sample:
    """Negatives spread over their overlaps (Libra R-CNN, arXiv 1904.02701, section 3.1): most overlap nothing at all.

    The range from 0 to the largest overlap of a negative is divided into ``bins`` of equal width. Each bin gives the
    same number; the shortfall of a bin is drawn at random from all other negatives. ``image`` is not needed.
    """
    positives, room = draw_positives(matches, settings, generator)
    negatives = torch.nonzero(matches.labels == NEGATIVE).flatten()
    iou = matches.iou[negatives]
    width = iou.amax() / settings.bins if len(iou) else 0.0
    # Without any overlap there is one bin.
    bin_index = (iou / width).long().clamp(max=settings.bins - 1) if width > 0 else torch.zeros_like(negatives)
    share = room // settings.bins
    binned = torch.cat([draw(negatives[bin_index == index], share, generator) for index in range(settings.bins)])
    left = negatives[~torch.isin(negatives, binned)]
    return Sample(positives, torch.cat([binned, draw(left, room - len(binned), generator)]).sort().values)
