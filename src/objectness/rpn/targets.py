"""Ground truth of an image."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Target:
    """Ground truth of one image, in resized pixels.

    Attributes:
        boxes_xyxy: ``float32 (G, 4)`` objects; may be empty.
        ignore_xyxy: ``float32 (R, 4)`` crowd and ignore regions.
        size_hw: (height, width) of the image without the batch's padding.
    """

    boxes_xyxy: Float[Tensor, "G 4"]
    ignore_xyxy: Float[Tensor, "R 4"]
    size_hw: tuple[int, int]
