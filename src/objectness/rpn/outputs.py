"""Raw outputs of a network. B images, C channels, N anchors of a level, K logits an anchor."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Outputs:
    """Raw outputs for a batch, level by level.

    Attributes:
        logits: ``(B, N, K)`` each.
        deltas: ``(B, N, 4)`` each.
        features: ``(B, C, H, W)`` each: the maps that the head was given.
        quality: ``(B, N, 1)`` each: localization-quality logits; None without that layer.
        refinement_maps: ``(B, H, W, c)`` each: the maps that the refinement head reads; None without that head.
        pixels: ``(B, 3, H, W)`` as given; None where only the outputs are known.
    """

    logits: list[Float[Tensor, "B _ K"]]
    deltas: list[Float[Tensor, "B _ 4"]]
    features: list[Float[Tensor, "B C _ _"]]
    quality: list[Float[Tensor, "B _ 1"]] | None = None
    refinement_maps: list[Float[Tensor, "B _ _ c"]] | None = None
    pixels: Tensor | None = None

    @property
    def maps_hw(self) -> list[tuple[int, int]]:
        """(H, W) of each level's map."""
        return [(level.shape[2], level.shape[3]) for level in self.features]
