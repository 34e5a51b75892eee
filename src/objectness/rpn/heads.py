"""The small network slid over the feature maps (paper, section 3.1).

B images, C channels, k anchors a cell, N = H * W * k anchors of a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from objectness.rpn.settings import HeadSettings


class RPNHead(nn.Module):
    """An n x n window to a vector, then 2k (or k) scores and 4k coordinates by two sibling 1 x 1 layers.

    One head serves all levels. New layers are drawn from N(0, 0.01), biases are 0 (paper, section 3.1.3).
    """

    def __init__(self, in_channels: int, anchors_per_cell: int, settings: HeadSettings) -> None:
        super().__init__()
        self.anchors_per_cell = anchors_per_cell
        self.logits_per_anchor = 2 if settings.two_class else 1
        widths = [in_channels] + [settings.channels] * settings.convolutions
        self.windows = nn.ModuleList(
            nn.Conv2d(before, after, kernel_size=3, padding=1) for before, after in pairwise(widths)
        )
        self.objectness = nn.Conv2d(widths[-1], self.logits_per_anchor * anchors_per_cell, kernel_size=1)
        self.deltas = nn.Conv2d(widths[-1], 4 * anchors_per_cell, kernel_size=1)
        for layer in (*self.windows, self.objectness, self.deltas):
            assert isinstance(layer, nn.Conv2d)
            nn.init.normal_(layer.weight, std=settings.initial_std)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(
        self, feature_maps: Sequence[Float[Tensor, "B C _ _"]]
    ) -> tuple[list[Float[Tensor, "B _ K"]], list[Float[Tensor, "B _ 4"]]]:
        """Logits ``(B, N, K)`` and deltas ``(B, N, 4)`` of each level, in the order of ``grid_anchors``."""
        logits, deltas = [], []
        for feature_map in feature_maps:
            hidden = feature_map
            for window in self.windows:
                hidden = F.relu(window(hidden))
            logits.append(_by_anchor(self.objectness(hidden), self.logits_per_anchor))
            deltas.append(_by_anchor(self.deltas(hidden), 4))
        return logits, deltas


def _by_anchor(outputs: Float[Tensor, "B KA H W"], values: int) -> Float[Tensor, "B N V"]:
    # (B, k*V, H, W) -> (B, H, W, k*V) -> (B, H*W*k, V)
    return outputs.permute(0, 2, 3, 1).reshape(outputs.shape[0], -1, values)
