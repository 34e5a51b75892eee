"""The mini-batch of an image (paper, section 3.1.3). Other samplers: ``extensions.hard_negatives``.

N anchors, P positives and Q negatives drawn. Random numbers come from a CPU generator, so a seed draws the same
anchors on every device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Int
from torch import Tensor

from objectness.rpn.matching import NEGATIVE, POSITIVE, Matches
from objectness.rpn.outputs import ImagePredictions
from objectness.rpn.settings import SampleSettings


@dataclass(frozen=True, eq=False)
class Sample:
    """Anchor indices of one image's mini-batch: ``positives (P,)`` and ``negatives (Q,)``, int64, ascending."""

    positives: Int[Tensor, " P"]
    negatives: Int[Tensor, " Q"]


# Matches of the anchors, predictions of the image, settings and random numbers in, indices out.
Sampler: TypeAlias = Callable[[Matches, ImagePredictions, SampleSettings, torch.Generator], Sample]


def sample_random(matches: Matches, image: object, settings: SampleSettings, generator: torch.Generator) -> Sample:
    """Draw up to ``size * positive_fraction`` positives at random and fill up with random negatives.

    Args:
        matches: Labels of the N anchors.
        image: Its predictions, which this sampler does not need.
        settings: Size and share of positives.
        generator: On the CPU.
    """
    positives, room = draw_positives(matches, settings, generator)
    negatives = torch.nonzero(matches.labels == NEGATIVE).flatten()
    return Sample(positives, draw(negatives, room, generator))


def draw_positives(
    matches: Matches, settings: SampleSettings, generator: torch.Generator
) -> tuple[Int[Tensor, " P"], int]:
    """At most ``size * positive_fraction`` positives, and the number of negatives that fills the mini-batch."""
    positives = torch.nonzero(matches.labels == POSITIVE).flatten()
    drawn = draw(positives, int(settings.size * settings.positive_fraction), generator)
    return drawn, settings.size - len(drawn)


def draw(indices: Int[Tensor, " M"], count: int, generator: torch.Generator) -> Int[Tensor, " K"]:
    """At most ``count`` of the indices without replacement, in ascending order."""
    if len(indices) <= count:
        return indices
    order = torch.randperm(len(indices), generator=generator)[:count].sort().values
    return indices[order.to(indices.device)]
