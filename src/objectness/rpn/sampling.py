"""Which anchors make the mini-batch of an image (paper, section 3.1.3): siblings behind one signature.

N anchors, P positives and Q negatives drawn. Chance comes from a CPU generator, so a seed draws the same
anchors on every device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from objectness.rpn.matching import NEGATIVE, POSITIVE, Matches
from objectness.rpn.settings import SampleSettings


@dataclass(frozen=True, eq=False)
class SamplerInput:
    """What a sampler may look at, for the N anchors of one image.

    Attributes:
        matches: Labels and overlaps.
        negative_loss: ``(N,)`` loss that each anchor would have as a negative, detached.
        variation: ``(N,)`` how much the features under each anchor vary; 0 where the image is flat there (see
            ``window_variation`` and ``flat_windows``).
    """

    matches: Matches
    negative_loss: Float[Tensor, " N"]
    variation: Float[Tensor, " N"]


@dataclass(frozen=True, eq=False)
class Sample:
    """Anchor indices of one image's mini-batch: ``positives (P,)`` and ``negatives (Q,)``, int64."""

    positives: Int[Tensor, " P"]
    negatives: Int[Tensor, " Q"]


# The one signature: evidence, settings and chance in, indices out.
Sampler: TypeAlias = Callable[[SamplerInput, SampleSettings, torch.Generator], Sample]


def sample_random(evidence: SamplerInput, settings: SampleSettings, generator: torch.Generator) -> Sample:
    """The paper's: up to ``size * positive_fraction`` positives at random, padded with random negatives."""
    positives, room = _draw_positives(evidence, settings, generator)
    negatives = torch.nonzero(evidence.matches.labels == NEGATIVE).flatten()
    return Sample(positives, draw(negatives, room, generator))


def sample_hard_loss(evidence: SamplerInput, settings: SampleSettings, generator: torch.Generator) -> Sample:
    """Hard negatives by loss: the negatives of highest loss, but ``random_share`` of them at random.

    The random part keeps easy background in the batch; without it the network forgets what nobody mistakes.
    """
    positives, room = _draw_positives(evidence, settings, generator)
    negatives = torch.nonzero(evidence.matches.labels == NEGATIVE).flatten()
    hardest_first = negatives[torch.argsort(evidence.negative_loss[negatives], descending=True, stable=True)]
    hard = min(room - round(room * settings.random_share), len(negatives))
    rest = draw(hardest_first[hard:], room - hard, generator)
    return Sample(positives, torch.cat([hardest_first[:hard], rest]).sort().values)


def sample_hard_window(evidence: SamplerInput, settings: SampleSettings, generator: torch.Generator) -> Sample:
    """Hard negatives by what lies under them: those that overlap an object a little and whose features vary.

    A negative overlaps a little where 0 < IoU < ``negative_iou`` with some box, and varies where its window does so by
    more than ``window_variation``. ``window_rule`` says which are taken. A flat window is never drawn, even when the
    batch stays short: an image that is flat everywhere has no negatives.
    """
    positives, room = _draw_positives(evidence, settings, generator)
    negative = (evidence.matches.labels == NEGATIVE) & (evidence.variation > 0)
    partial = negative & (evidence.matches.iou > 0)
    varying = negative & (evidence.variation > settings.window_variation)
    match settings.window_rule:
        case "partial-then-varying":
            classes = [partial & varying, varying & ~partial, partial & ~varying, negative & ~partial & ~varying]
        case "partial-and-varying":
            classes = [partial & varying]
        case "partial-or-varying":
            classes = [partial | varying]
    negatives = positives[:0]
    for alike in classes:
        drawn = draw(torch.nonzero(alike).flatten(), room - len(negatives), generator)
        negatives = torch.cat([negatives, drawn])
    return Sample(positives, negatives.sort().values)


def sample_iou_balanced(evidence: SamplerInput, settings: SampleSettings, generator: torch.Generator) -> Sample:
    """Negatives spread over their overlaps (Libra R-CNN, arXiv 1904.02701, section 3.1): most overlap nothing at all.

    The overlaps from 0 to the largest of a negative are parted into ``bins`` of equal width; each gives the same
    number, and what a bin lacks is drawn at random from all that is left.
    """
    positives, room = _draw_positives(evidence, settings, generator)
    negatives = torch.nonzero(evidence.matches.labels == NEGATIVE).flatten()
    iou = evidence.matches.iou[negatives]
    width = iou.amax() / settings.bins if len(iou) else 0.0
    # Without any overlap there is one bin.
    place = (iou / width).long().clamp(max=settings.bins - 1) if width > 0 else torch.zeros_like(negatives)
    share = room // settings.bins
    binned = torch.cat([draw(negatives[place == index], share, generator) for index in range(settings.bins)])
    left = negatives[~torch.isin(negatives, binned)]
    return Sample(positives, torch.cat([binned, draw(left, room - len(binned), generator)]).sort().values)


def sampler_of(settings: SampleSettings) -> Sampler:
    """The sampler that the settings name."""
    match settings.sampler:
        case "random":
            return sample_random
        case "hard-loss":
            return sample_hard_loss
        case "hard-window":
            return sample_hard_window
        case "iou-balanced":
            return sample_iou_balanced


def _draw_positives(
    evidence: SamplerInput, settings: SampleSettings, generator: torch.Generator
) -> tuple[Int[Tensor, " P"], int]:
    """Up to the wanted number of positives, and how much room they leave for negatives."""
    positives = torch.nonzero(evidence.matches.labels == POSITIVE).flatten()
    drawn = draw(positives, int(settings.size * settings.positive_fraction), generator)
    return drawn, settings.size - len(drawn)


def draw(indices: Int[Tensor, " M"], count: int, generator: torch.Generator) -> Int[Tensor, " K"]:
    """At most ``count`` of the indices without replacement, in ascending order."""
    if len(indices) <= count:
        return indices
    order = torch.randperm(len(indices), generator=generator)[:count].sort().values
    return indices[order.to(indices.device)]
