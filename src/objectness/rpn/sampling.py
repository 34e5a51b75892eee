"""Which anchors make the mini-batch of an image (paper, section 3.1.3): siblings behind one signature.

N anchors, P positives and Q negatives drawn. Chance comes from a CPU generator, so a seed draws the same
anchors on every device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from objectness.rpn.matching import NEGATIVE, POSITIVE, Matches
from objectness.rpn.settings import SampleSettings

_FLAT = 1e-3


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
    negative_loss: Float[Tensor, " N"]
    window_rank: Float[Tensor, " N"]


@dataclass(frozen=True, eq=False)
class Sample:
    """Anchor indices of one image's mini-batch: ``positives (P,)`` and ``negatives (Q,)``, int64."""

    positives: Int[Tensor, " P"]
    negatives: Int[Tensor, " Q"]


# The one signature: evidence, settings and chance in, indices out.
Sampler: TypeAlias = Callable[[Evidence, SampleSettings, torch.Generator], Sample]


def sample_random(evidence: Evidence, settings: SampleSettings, generator: torch.Generator) -> Sample:
    """The paper's: up to ``size * positive_fraction`` positives at random, padded with random negatives."""
    positives, room = _draw_positives(evidence, settings, generator)
    negatives = torch.nonzero(evidence.matches.labels == NEGATIVE).flatten()
    return Sample(positives, draw(negatives, room, generator))


def sample_hard_loss(evidence: Evidence, settings: SampleSettings, generator: torch.Generator) -> Sample:
    """Hard negatives by loss: the negatives of highest loss, but ``random_share`` of them at random.

    The random part keeps easy background in the batch; without it the network forgets what nobody mistakes.
    """
    positives, room = _draw_positives(evidence, settings, generator)
    negatives = torch.nonzero(evidence.matches.labels == NEGATIVE).flatten()
    hardest_first = negatives[torch.argsort(evidence.negative_loss[negatives], descending=True, stable=True)]
    hard = min(room - round(room * settings.random_share), len(negatives))
    rest = draw(hardest_first[hard:], room - hard, generator)
    return Sample(positives, torch.cat([hardest_first[:hard], rest]).sort().values)


def sample_hard_window(evidence: Evidence, settings: SampleSettings, generator: torch.Generator) -> Sample:
    """Hard negatives as in R-CNN practice: those that touch an object, or whose feature window varies.

    A negative is drawn only if 0 < IoU < ``negative_iou`` with some box, or if its window's standard
    deviation is above the ``window_quantile`` of its level. Flat background is never drawn, even when the
    batch stays short.
    """
    positives, room = _draw_positives(evidence, settings, generator)
    touching = evidence.matches.iou > 0
    varying = evidence.window_rank > settings.window_quantile
    hard = (evidence.matches.labels == NEGATIVE) & (touching | varying)
    return Sample(positives, draw(torch.nonzero(hard).flatten(), room, generator))


def sample_iou_balanced(evidence: Evidence, settings: SampleSettings, generator: torch.Generator) -> Sample:
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


def window_rank(
    feature_map: Float[Tensor, "C H W"], anchors_per_cell: int, valid_hw: tuple[int, int] | None = None
) -> Float[Tensor, " N"]:
    """How much the 3 x 3 window under each of N = H * W * anchors_per_cell anchors varies: a rank in its map.

    The standard deviation over the window is taken channel by channel and averaged; one below a thousandth of
    the map's largest counts as 0, so that rounding gives flat background no rank. The rank is the share of
    cells with a strictly smaller deviation, in [0, 1).

    Args:
        feature_map: Of one image.
        anchors_per_cell: The rank of a cell is repeated for each of its anchors.
        valid_hw: Rows and columns that show the image; the cells beyond are padding, and have rank 0.
    """
    height, width = feature_map.shape[1:]
    rows, columns = valid_hw or (height, width)
    features = feature_map[:, :rows, :columns].detach().float()
    deviation = _window_deviation(features)
    deviation = deviation.where(deviation > _FLAT * deviation.amax(), 0)
    rank = torch.searchsorted(deviation.flatten().sort().values, deviation.flatten()) / deviation.numel()
    full = features.new_zeros(height, width)
    full[:rows, :columns] = rank.view(deviation.shape)
    return full.flatten().repeat_interleave(anchors_per_cell)


def _window_deviation(features: Float[Tensor, "C H W"]) -> Float[Tensor, "H W"]:
    """Mean over the channels of the standard deviation in the 3 x 3 window, cells outside the map left out.

    Computed from differences to the centre, which are exactly 0 where the map is flat; mean square minus
    squared mean would drown small deviations in the rounding of large features.
    """
    height, width = features.shape[1:]
    padded = F.pad(features, (1, 1, 1, 1))
    inside = F.pad(features.new_ones(height, width), (1, 1, 1, 1))
    count, total = torch.zeros_like(features[0]), torch.zeros_like(features)
    squares = torch.zeros_like(features)
    for y in range(3):
        for x in range(3):
            there = inside[y : y + height, x : x + width]
            difference = (padded[:, y : y + height, x : x + width] - features) * there
            count += there
            total += difference
            squares += difference.square()
    variance = squares / count - (total / count).square()
    return variance.clamp(min=0).sqrt().mean(dim=0)


def _draw_positives(
    evidence: Evidence, settings: SampleSettings, generator: torch.Generator
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
