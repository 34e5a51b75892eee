"""The small network slid over the feature maps (paper, section 3.1).

B images, C channels, L levels, k anchors a cell, N = H * W * k anchors of a level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from objectness.rpn.settings import HeadSettings


class Window(nn.Module):
    """An n x n window to a vector (paper, section 3.1), with a batch norm for each level where one is wanted."""

    def __init__(self, in_channels: int, levels: int, settings: HeadSettings) -> None:
        super().__init__()
        normed = settings.norm == "batch"
        self.convolution = nn.Conv2d(in_channels, settings.channels, kernel_size=3, padding=1, bias=not normed)
        # Objects look alike on all levels, but the statistics of their features are not the same.
        norms = (nn.BatchNorm2d(settings.channels) for _ in range(levels)) if normed else ()
        self.norms = nn.ModuleList(norms)

    def forward(self, feature_map: Float[Tensor, "B _ H W"], level: int) -> Float[Tensor, "B C H W"]:
        """The windows' vectors at every cell of this level."""
        hidden = self.convolution(feature_map)
        return F.relu(self.norms[level](hidden) if len(self.norms) else hidden)


class RPNHead(nn.Module):
    """Windows, then 2k (or k) scores and 4k coordinates by two sibling 1 x 1 layers; a third one on request.

    With ``quality`` it says by k logits how well the boxes fit, from what the coordinates are made of.

    One head serves all levels. New layers are drawn from N(0, 0.01), biases are 0 (paper, section 3.1.3), or what
    makes an untrained network answer ``initial_score``.
    """

    def __init__(
        self, in_channels: int, anchors_per_cell: int, levels: int, settings: HeadSettings, quality: bool = False
    ) -> None:
        super().__init__()
        self.anchors_per_cell = anchors_per_cell
        self.logits_per_anchor = 2 if settings.two_class else 1

        def chain(length: int, first: int) -> nn.ModuleList:
            return nn.ModuleList(
                Window(settings.channels if index else first, levels, settings) for index in range(length)
            )

        width = settings.channels if settings.convolutions else in_channels
        self.windows = chain(settings.convolutions, in_channels)
        self.objectness_windows = chain(settings.tower_convolutions, width)
        self.delta_windows = chain(settings.tower_convolutions, width)
        last = settings.channels if settings.convolutions or settings.tower_convolutions else in_channels
        self.objectness = nn.Conv2d(last, self.logits_per_anchor * anchors_per_cell, kernel_size=1)
        self.deltas = nn.Conv2d(last, 4 * anchors_per_cell, kernel_size=1)
        self.quality = nn.Conv2d(last, anchors_per_cell, kernel_size=1) if quality else None
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=settings.initial_std)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        assert self.objectness.bias is not None
        nn.init.constant_(
            self.objectness.bias.view(anchors_per_cell, -1)[:, -1],
            math.log(settings.initial_score / (1 - settings.initial_score)),
        )

    def forward(
        self, feature_maps: Sequence[Float[Tensor, "B C _ _"]]
    ) -> tuple[list[Float[Tensor, "B _ K"]], list[Float[Tensor, "B _ 4"]], list[Float[Tensor, "B _ 1"]] | None]:
        """Logits ``(B, N, K)``, deltas ``(B, N, 4)`` and, with a layer for it, the fit's logits ``(B, N, 1)``.

        Of each level, in the order of ``grid_anchors``.
        """
        logits, deltas, quality = [], [], []
        for level, feature_map in enumerate(feature_maps):
            hidden = _through(self.windows, feature_map, level)
            objectness = self.objectness(_through(self.objectness_windows, hidden, level))
            logits.append(_by_anchor(objectness, self.logits_per_anchor))
            coordinates = _through(self.delta_windows, hidden, level)
            deltas.append(_by_anchor(self.deltas(coordinates), 4))
            if self.quality is not None:
                quality.append(_by_anchor(self.quality(coordinates), 1))
        return logits, deltas, quality if self.quality is not None else None


def _through(windows: nn.ModuleList, feature_map: Float[Tensor, "B _ H W"], level: int) -> Float[Tensor, "B _ H W"]:
    for window in windows:
        feature_map = window(feature_map, level)
    return feature_map


def _by_anchor(outputs: Float[Tensor, "B KA H W"], values: int) -> Float[Tensor, "B N V"]:
    # (B, k*V, H, W) -> (B, H, W, k*V) -> (B, H*W*k, V)
    return outputs.permute(0, 2, 3, 1).reshape(outputs.shape[0], -1, values)
