"""Anchors: the reference boxes at every place of a feature map (paper, section 3.1.1).

A anchors a cell, H x W cells, L levels. Boxes are x1, y1, x2, y2, right and bottom exclusive.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from objectness.rpn.settings import AnchorSettings, MatchSettings


def cell_anchors(sizes: Sequence[float], ratios_height_over_width: Sequence[float]) -> Float[Tensor, "A 4"]:
    """The anchors of one cell, centred on (0, 0): for each size, each ratio; every area is size squared."""
    size = torch.tensor(sizes, dtype=torch.float64)[:, None]
    ratio = torch.tensor(ratios_height_over_width, dtype=torch.float64)[None, :]
    width = (size / ratio.sqrt()).flatten()
    height = (size * ratio.sqrt()).flatten()
    return (torch.stack([-width, -height, width, height], dim=1) / 2).float()


def legacy_cell_anchors(
    base_size: float = 16,
    ratios_height_over_width: Sequence[float] = (0.5, 1.0, 2.0),
    scales: Sequence[float] = (8.0, 16.0, 32.0),
) -> Float[Tensor, "A 4"]:
    """The rounded anchors that py-faster-rcnn publishes, by its convention: right and bottom **inclusive**.

    Its base cell is (0, 0, base_size - 1, base_size - 1); widths are rounded before they are scaled, which is
    why its areas stray from 128, 256 and 512 squared. Order: for each ratio, each scale. The table in its
    comments (-83, -39, 100, 56 ...) is the MATLAB code's, which counts pixels from 1: it is larger by 1.
    """
    centre = (base_size - 1) / 2
    rows = []
    for ratio in ratios_height_over_width:
        width = round((base_size**2 / ratio) ** 0.5)
        height = round(width * ratio)
        for scale in scales:
            half_w, half_h = (width * scale - 1) / 2, (height * scale - 1) / 2
            rows.append([centre - half_w, centre - half_h, centre + half_w, centre + half_h])
    return torch.tensor(rows)


def grid_anchors(
    cell: Float[Tensor, "A 4"], map_hw: tuple[int, int], stride: float, offset: float = 0.0
) -> Float[Tensor, "N 4"]:
    """Lay the anchors of a cell over a map: N = H * W * A, row by row, in each cell the cell's own order.

    Args:
        cell: From ``cell_anchors``.
        map_hw: (H, W) of the feature map.
        stride: Declared pixels between neighbouring cells (never inferred from image and map sizes).
        offset: Centre of the first cell as a fraction of the stride.
    """
    height, width = map_hw
    ys = (torch.arange(height, device=cell.device, dtype=cell.dtype) + offset) * stride
    xs = (torch.arange(width, device=cell.device, dtype=cell.dtype) + offset) * stride
    across = xs[None, :, None, None] * cell.new_tensor([1.0, 0.0, 1.0, 0.0])  # (1, W, 1, 4)
    down = ys[:, None, None, None] * cell.new_tensor([0.0, 1.0, 0.0, 1.0])  # (H, 1, 1, 4)
    return (cell + across + down).reshape(-1, 4)  # (H, W, A, 4) -> (N, 4)


def anchors_per_cell(settings: AnchorSettings, levels: int) -> int:
    """The paper's k: the number of anchors in each cell of a level."""
    return len(settings.sizes_per_level(levels)[0]) * len(settings.ratios_height_over_width)


def level_anchors(
    settings: AnchorSettings,
    maps_hw: Sequence[tuple[int, int]],
    strides: Sequence[float],
    device: torch.device | str = "cpu",
) -> list[Float[Tensor, "_ 4"]]:
    """The anchors of each level for maps of these sizes, finest level first.

    Raises:
        ValueError: not one stride for each map.
        InputError: sizes that do not divide evenly over the levels.
    """
    if len(maps_hw) != len(strides):
        raise ValueError(f"Anchors need one stride a level: {len(maps_hw)} maps came with {len(strides)} strides.")
    levels = []
    for sizes, map_hw, stride in zip(settings.sizes_per_level(len(strides)), maps_hw, strides, strict=True):
        if settings.style == "py-faster-rcnn":
            scales = [size / stride for size in sizes]
            cell = legacy_cell_anchors(stride, settings.ratios_height_over_width, scales)
            cell = cell + torch.tensor([0.0, 0.0, 1.0, 1.0])  # inclusive corners to our exclusive ones
            offset = 0.0  # the released base cell is already centred
        else:
            cell, offset = cell_anchors(sizes, settings.ratios_height_over_width), settings.offset
        levels.append(grid_anchors(cell.to(device), map_hw, stride, offset))
    return levels


def inside_image(
    anchors_xyxy: Float[Tensor, "N 4"], size_hw: tuple[int, int], allowed_border: float = 0.0
) -> Bool[Tensor, " N"]:
    """Mask of the anchors inside the image of (height, width), or outside by at most ``allowed_border`` pixels.

    Training ignores cross-boundary anchors, or it does not converge (paper, section 3.3).
    """
    height, width = size_hw
    x1, y1, x2, y2 = anchors_xyxy.unbind(1)
    return (
        (x1 >= -allowed_border)
        & (y1 >= -allowed_border)
        & (x2 <= width + allowed_border)
        & (y2 <= height + allowed_border)
    )


def valid_anchors(
    anchors_xyxy: Float[Tensor, "N 4"], size_hw: tuple[int, int], settings: MatchSettings
) -> Bool[Tensor, " N"]:
    """Anchors that take part in training: inside the image or, where the settings keep the others, centred in it.

    An anchor that is centred in the padding of a batch never takes part.
    """
    if settings.drop_cross_boundary:
        return inside_image(anchors_xyxy, size_hw, settings.allowed_border)
    centres = (anchors_xyxy[:, :2] + anchors_xyxy[:, 2:]) / 2
    return (centres < torch.tensor(size_hw[::-1], device=anchors_xyxy.device)).all(dim=1)
