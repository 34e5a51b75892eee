"""Variation of features and pixels under an anchor: textured windows and flat ones.

C channels of an H x W map, N anchors. Sums over windows are differences of cumulative sums, so that the cost does not
grow with the size of a window.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

_FLAT = 0.02  # of the deviation of the pixels: about one of 255 levels in a photograph


def window_variation(
    anchors_xyxy: Float[Tensor, "N 4"], feature_map: Float[Tensor, "C H W"], stride: float, size_hw: tuple[int, int]
) -> Float[Tensor, " N"]:
    """The variation of the features under each anchor, relative to that of the whole map; 1.4 for a map of noise.

    It is the root mean square of the differences between neighbouring cells of the window, divided by the standard
    deviation of the map. So scale, offset and number of channels do not matter, and a slow gradient, as of a clear sky,
    counts little. The window holds the cells that the anchor touches, and at least the 3 x 3 cells about its centre,
    which the head sees. Padding does not count as variation: cells beyond the image are left out, and so are the
    outermost cells of the image, whose receptive field contains padding.

    Args:
        anchors_xyxy: In pixels of the image.
        feature_map: Of one image.
        stride: Pixels between its cells.
        size_hw: (height, width) of the image without padding.
    """
    height, width = (
        min(-(-size // int(stride)), cells) for size, cells in zip(size_hw, feature_map.shape[1:], strict=True)
    )
    features = feature_map[:, :height, :width].detach().float()
    top, left = int(height > 2), int(width > 2)
    features = features[:, top : height - top, left : width - left]
    centres = ((anchors_xyxy[:, :2] + anchors_xyxy[:, 2:]) / 2 / stride).floor()
    first = torch.minimum((anchors_xyxy[:, :2] / stride).floor(), centres - 1)
    end = torch.maximum((anchors_xyxy[:, 2:] / stride).ceil(), centres + 2)
    corner = anchors_xyxy.new_tensor([left, top])
    return _variation(features, torch.cat([first - corner, end - corner], dim=1).long())


def flat_windows(anchors_xyxy: Float[Tensor, "N 4"], pixels: Tensor, size_hw: tuple[int, int]) -> Bool[Tensor, " N"]:
    """Mask of the anchors over a flat part of the image.

    Neighbouring pixels there differ by less than a fiftieth of the deviation of all pixels. Features would not do:
    under a black window they depend on its surroundings and on the border of the image.

    Args:
        anchors_xyxy: In pixels of the image. A window reaches from the first whole pixel to the last.
        pixels: ``(3, H, W)`` of one image.
        size_hw: (height, width) of the image without padding.
    """
    shown = pixels[:, : size_hw[0], : size_hw[1]].float()
    windows = torch.cat([anchors_xyxy[:, :2].ceil(), anchors_xyxy[:, 2:].floor()], dim=1).long()
    return _variation(shown, windows) < _FLAT


def _variation(values: Float[Tensor, "C H W"], windows_xyxy: Int[Tensor, "N 4"]) -> Float[Tensor, " N"]:
    """Root mean square of the differences between neighbours in each window, divided by the deviation of all values."""
    left, top, right, bottom = windows_xyxy.unbind(1)
    down = (values[:, 1:] - values[:, :-1]).square().mean(dim=0)
    across = (values[:, :, 1:] - values[:, :, :-1]).square().mean(dim=0)
    below, pairs = _within(down, left, top, right, bottom - 1)
    beside, others = _within(across, left, top, right - 1, bottom)
    spread = (values - values.mean(dim=(1, 2), keepdim=True)).square().mean()  # about the mean of each channel
    mean = (below + beside) / (pairs + others).clamp(min=1) / spread.clamp(min=torch.finfo(values.dtype).tiny)
    return mean.clamp(min=0).sqrt().float()


def _within(
    values: Float[Tensor, "H W"],
    left: Int[Tensor, " N"],
    top: Int[Tensor, " N"],
    right: Int[Tensor, " N"],
    bottom: Int[Tensor, " N"],
) -> tuple[Float[Tensor, " N"], Int[Tensor, " N"]]:
    """Sum and number of the values in each of N rectangles; right and bottom are exclusive."""
    height, width = values.shape
    left, top = left.clamp(0, width), top.clamp(0, height)
    right, bottom = torch.maximum(right.clamp(max=width), left), torch.maximum(bottom.clamp(max=height), top)
    # Double precision: in single precision the rounding of large sums would look like variation.
    sums = F.pad(values.double().cumsum(0).cumsum(1), (1, 0, 1, 0))
    total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return total, (right - left) * (bottom - top)
