"""Which anchors make the mini-batch of an image (paper, section 3.1.3): siblings behind one signature.

N anchors, P positives and Q negatives drawn. Chance comes from a CPU generator, so a seed draws the same anchors on
every device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from objectness.rpn.matching import NEGATIVE, POSITIVE, Matches
from objectness.rpn.settings import SampleSettings


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a sampler may look at, for the N anchors of one image.

    Attributes:
        matches: Labels and overlaps.
        negative_loss: ``(N,)`` loss that each anchor would have as a negative, detached.
        window_rank: ``(N,)`` share of the cells of the anchor's level whose feature window varies less
            (``window_rank`` computes it); flat background has 0.
    """

    matches: Matches
    negative_loss: Float[Tensor, "N"]
    window_rank: Float[Tensor, "N"]


@dataclass(frozen=True, eq=False)
class Sample:
    """Anchor indices of one image's mini-batch: ``positives (P,)`` and ``negatives (Q,)``, int64."""

    positives: Int[Tensor, "P"]
    negatives: Int[Tensor, "Q"]


class Sampler(Protocol):
    """The one signature: evidence, settings and chance in, indices out."""

    def __call__(self, evidence: Evidence, settings: SampleSettings, generator: torch.Generator) -> Sample: ...


def sample_random(evidence: Evidence, settings: SampleSettings, generator: torch.Generator) -> Sample:
    """The paper's: up to ``size * positive_fraction`` positives at random, padded with random negatives."""
    positives, room = _draw_positives(evidence, settings, generator)
    negatives = torch.nonzero(evidence.matches.labels == NEGATIVE).flatten()
    return Sample(positives, _draw(negatives, room, generator))


def sample_hard_loss(evidence: Evidence, settings: SampleSettings, generator: torch.Generator) -> Sample:
    """Hard negatives by loss: the negatives with the highest loss, ``random_share`` of them at random instead.

    The random part keeps easy background in the batch; without it the network forgets what nobody mistakes.
    """
    positives, room = _draw_positives(evidence, settings, generator)
    negatives = torch.nonzero(evidence.matches.labels == NEGATIVE).flatten()
    hardest_first = negatives[torch.argsort(evidence.negative_loss[negatives], descending=True, stable=True)]
    hard = min(room - round(room * settings.random_share), len(negatives))
    rest = _draw(hardest_first[hard:], room - hard, generator)
    return Sample(positives, torch.cat([hardest_first[:hard], rest]).sort().values)


def sample_hard_window(evidence: Evidence, settings: SampleSettings, generator: torch.Generator) -> Sample:
    """Hard negatives as in R-CNN practice: those that touch an object, or whose feature window varies.

    A negative is drawn only if 0 < IoU < ``negative_iou`` with some box, or if its window's standard deviation
    is above the ``window_quantile`` of its level. Flat background is never drawn, even when the batch stays short.
    """
    positives, room = _draw_positives(evidence, settings, generator)
    touching = evidence.matches.iou > 0
    varying = evidence.window_rank > settings.window_quantile
    hard = (evidence.matches.labels == NEGATIVE) & (touching | varying)
    return Sample(positives, _draw(torch.nonzero(hard).flatten(), room, generator))


def sampler_of(settings: SampleSettings) -> Sampler:
    """The sampler that the settings name."""
    match settings.sampler:
        case "random":
            return sample_random
        case "hard-loss":
            return sample_hard_loss
        case "hard-window":
            return sample_hard_window


def window_rank(feature_map: Float[Tensor, "C H W"], anchors_per_cell: int) -> Float[Tensor, "N"]:
    """How much the 3 x 3 window under each anchor varies, as a rank within its map: N = H * W * anchors_per_cell.

    The standard deviation over the window is taken channel by channel and averaged; the rank is the share of
    cells with a strictly smaller one, in [0, 1).
    """
    pooled = {"kernel_size": 3, "stride": 1, "padding": 1, "count_include_pad": False}
    features = feature_map.detach().float()
    mean = torch.nn.functional.avg_pool2d(features, **pooled)  # type: ignore[arg-type]
    mean_square = torch.nn.functional.avg_pool2d(features.square(), **pooled)  # type: ignore[arg-type]
    deviation = (mean_square - mean.square()).clamp(min=0).sqrt().mean(dim=0).flatten()  # (H*W,)
    rank = torch.searchsorted(deviation.sort().values, deviation) / len(deviation)
    return rank.repeat_interleave(anchors_per_cell)


def _draw_positives(
    evidence: Evidence, settings: SampleSettings, generator: torch.Generator
) -> tuple[Int[Tensor, "P"], int]:
    """Up to the wanted number of positives, and how much room they leave for negatives."""
    positives = torch.nonzero(evidence.matches.labels == POSITIVE).flatten()
    drawn = _draw(positives, int(settings.size * settings.positive_fraction), generator)
    return drawn, settings.size - len(drawn)


def _draw(indices: Int[Tensor, "M"], count: int, generator: torch.Generator) -> Int[Tensor, "K"]:
    """At most ``count`` of the indices without replacement, in ascending order."""
    if len(indices) <= count:
        return indices
    order = torch.randperm(len(indices), generator=generator)[:count].sort().values
    return indices[order.to(indices.device)]
