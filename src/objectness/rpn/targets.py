"""What an objective is given and what it answers. M anchors of all levels, K logits an anchor, G boxes."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from objectness.rpn.losses import RPNLoss
from objectness.rpn.matching import Matches
from objectness.rpn.sampling import Sample


@dataclass(frozen=True, eq=False)
class Target:
    """The truth about one image, in the pixels that the network sees.

    Attributes:
        boxes_xyxy: ``float32 (G, 4)`` objects; none is valid.
        ignore_xyxy: ``float32 (R, 4)`` crowd and ignore regions.
        size_hw: (height, width) of the image without the batch's padding.
    """

    boxes_xyxy: Float[Tensor, "G 4"]
    ignore_xyxy: Float[Tensor, "R 4"]
    size_hw: tuple[int, int]


@dataclass(frozen=True, eq=False)
class ImagePredictions:
    """What the network says of one image, all levels one after the other, beside the truth.

    Attributes:
        logits: ``(M, K)``.
        deltas: ``(M, 4)``.
        kept: ``(M,)`` anchors that training looks at.
        variation: ``(M,)`` how much the features under each anchor vary; zeros where no sampler asks.
        locations: Cells of all levels that show the image: the paper's N_reg.
        target: The truth.
        quality: ``(M,)`` logits of how well each box fits, where the network has a layer for it.
    """

    logits: Float[Tensor, "M K"]
    deltas: Float[Tensor, "M 4"]
    kept: Bool[Tensor, " M"]
    variation: Float[Tensor, " M"]
    locations: int
    target: Target
    quality: Float[Tensor, " M"] | None = None


@dataclass(frozen=True, eq=False)
class LossOutput:
    """The loss of a batch, and how it came about, for drawing.

    Attributes:
        loss: Of the batch.
        anchors_xyxy: ``(M, 4)`` anchors of all levels.
        samples: The anchors that mattered in each image: its mini-batch, or where all anchors are trained the
            positives and the hardest of the others.
        matches: What the anchors stood for in each image.
    """

    loss: RPNLoss
    anchors_xyxy: Float[Tensor, "M 4"]
    samples: list[Sample]
    matches: list[Matches]
