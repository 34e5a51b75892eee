"""Features of boxes, of a fixed size (Fast R-CNN, section 2.1). B images, C channels, R boxes of all images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

from torch import Tensor, nn
from torchvision.ops import MultiScaleRoIAlign, RoIPool
from torchvision.ops.poolers import LevelMapper

from objectness.detector.settings import PoolSettings
from objectness.errors import InputError

_CANONICAL_STRIDE = 16  # at which the largest map of ResNet's fourth stage lies: k0 = 4 of FPN, equation 1


class SingleLevelRoIPool(nn.Module):
    """RoIPool on the only level, called as ``MultiScaleRoIAlign`` is."""

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        self.pool = RoIPool(size, spatial_scale=1 / stride)

    def forward(
        self, features: Mapping[str, Tensor], boxes: Sequence[Tensor], sizes_hw: Sequence[tuple[int, int]]
    ) -> Tensor:
        """``(R, C, size, size)`` of the boxes of each image, one image after another."""
        (level,) = features.values()
        return self.pool(level, list(boxes))


Pool: TypeAlias = SingleLevelRoIPool | MultiScaleRoIAlign


def build_pool(settings: PoolSettings, strides: Sequence[int]) -> Pool:
    """The pooling layer for levels of these strides, named "0", "1" ... from the finest on.

    Raises:
        InputError: the paper's pooling on several levels, or levels that are no pyramid.
    """
    match settings.kind:
        case "roi-pool":
            if len(strides) > 1:
                raise InputError(
                    f"RoIPool reads a single level, and this network has {len(strides)}: set detector.pool.kind to "
                    "roi-align."
                )
            return SingleLevelRoIPool(settings.size, strides[0])
        case "roi-align":
            return _aligned(settings, strides)


def _aligned(settings: PoolSettings, strides: Sequence[int]) -> MultiScaleRoIAlign:
    if any(coarse != 2 * fine for fine, coarse in pairwise(strides)):
        raise InputError(
            f"RoIAlign chooses among levels of which each has twice the stride of the one before; here they are "
            f"{', '.join(map(str, strides))}: change rpn.backbone.strides."
        )
    pool = MultiScaleRoIAlign([str(level) for level in range(len(strides))], settings.size, settings.sampling)
    # Stated: torchvision would infer both from the sizes of the maps.
    pool.scales = [1 / stride for stride in strides]
    pool.map_levels = LevelMapper(
        k_min=round(math.log2(strides[0])),
        k_max=round(math.log2(strides[-1])),
        canonical_scale=settings.canonical_size,
        canonical_level=round(math.log2(_CANONICAL_STRIDE)),
    )
    return pool
