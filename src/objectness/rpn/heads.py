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


class ConvNormAct(nn.Module):
    """A 3 x 3 convolution, the norm that the settings name, and a ReLU; each level has a batch norm of its own."""

    def __init__(self, in_channels: int, levels: int, settings: HeadSettings) -> None:
        super().__init__()
        normed = settings.norm == "batch"
        self.conv = nn.Conv2d(in_channels, settings.channels, kernel_size=3, padding=1, bias=not normed)
        # Objects look alike on all levels, but the statistics of their features are not the same.
        self.norms = nn.ModuleList(nn.BatchNorm2d(settings.channels) for _ in range(levels if normed else 0))

    def forward(self, feature_map: Float[Tensor, "B _ H W"], level: int) -> Float[Tensor, "B C H W"]:
        """The layer's map of this level, of the same size."""
        hidden = self.conv(feature_map)
        return F.relu(self.norms[level](hidden) if len(self.norms) else hidden)


class RPNHead(nn.Module):
    """3 x 3 convolutions, then two sibling 1 x 1 layers: 2k (or k) objectness logits and 4k deltas.

    The two siblings may each have a tower of convolutions of its own. With ``quality`` a third sibling, on the tower of
    the deltas, gives k localization-quality logits.

    One head serves all levels. New layers are drawn from N(0, 0.01), biases are 0 (paper, section 3.1.3), except the
    objectness bias where ``initial_score`` is not 0.5.
    """

    def __init__(
        self, in_channels: int, anchors_per_cell: int, levels: int, settings: HeadSettings, quality: bool = False
    ) -> None:
        super().__init__()
        self.anchors_per_cell = anchors_per_cell
        self.logits_per_anchor = 2 if settings.two_class else 1

        def tower(length: int, first: int) -> nn.ModuleList:
            return nn.ModuleList(
                ConvNormAct(settings.channels if index else first, levels, settings) for index in range(length)
            )

        width = settings.channels if settings.convolutions else in_channels
        self.conv = tower(settings.convolutions, in_channels)
        self.cls_tower = tower(settings.tower_convolutions, width)
        self.bbox_tower = tower(settings.tower_convolutions, width)
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
        """Of each level, in the order of ``grid_anchors``: logits, deltas, and quality logits with that layer."""
        logits, deltas, quality = [], [], []
        for level, feature_map in enumerate(feature_maps):
            hidden = _apply(self.conv, feature_map, level)
            logits.append(_by_anchor(self.objectness(_apply(self.cls_tower, hidden, level)), self.logits_per_anchor))
            bbox_features = _apply(self.bbox_tower, hidden, level)
            deltas.append(_by_anchor(self.deltas(bbox_features), 4))
            if self.quality is not None:
                quality.append(_by_anchor(self.quality(bbox_features), 1))
        return logits, deltas, quality if self.quality is not None else None


def _apply(layers: nn.ModuleList, feature_map: Float[Tensor, "B _ H W"], level: int) -> Float[Tensor, "B _ H W"]:
    for layer in layers:
        feature_map = layer(feature_map, level)
    return feature_map


def _by_anchor(outputs: Float[Tensor, "B KA H W"], values: int) -> Float[Tensor, "B N V"]:
    # (B, k*V, H, W) -> (B, H, W, k*V) -> (B, H*W*k, V)
    return outputs.permute(0, 2, 3, 1).reshape(outputs.shape[0], -1, values)
