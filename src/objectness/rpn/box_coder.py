"""Boxes relative to anchors: tx, ty, tw, th and back (paper, equation 2).

N boxes. Everything is computed in float32 or better: half precision overflows in exp and loses pixels.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

DELTA_CLAMP = math.log(1000 / 16)


def encode(boxes_xyxy: Float[Tensor, "N 4"], anchors_xyxy: Float[Tensor, "N 4"]) -> Float[Tensor, "N 4"]:
    """Of centres and sides: tx = (x - xa) / wa, ty = (y - ya) / ha, tw = log(w / wa), th = log(h / ha).

    Sides must be positive: the data set's repair sees to it.
    """
    centre, size = _centre_size(boxes_xyxy)
    anchor_centre, anchor_size = _centre_size(anchors_xyxy)
    return torch.cat([(centre - anchor_centre) / anchor_size, torch.log(size / anchor_size)], dim=1)


def decode(
    deltas: Float[Tensor, "N 4"], anchors_xyxy: Float[Tensor, "N 4"], delta_clamp: float = DELTA_CLAMP
) -> Float[Tensor, "N 4"]:
    """The boxes that ``deltas`` mean; tw and th are cut at ``delta_clamp`` first so that exp stays finite."""
    anchor_centre, anchor_size = _centre_size(anchors_xyxy)
    deltas = deltas.to(anchor_centre.dtype)
    centre = deltas[:, :2] * anchor_size + anchor_centre
    half = torch.exp(deltas[:, 2:].clamp(max=delta_clamp)) * anchor_size / 2
    return torch.cat([centre - half, centre + half], dim=1)


def clip(boxes_xyxy: Float[Tensor, "N 4"], size_hw: tuple[int, int]) -> Float[Tensor, "N 4"]:
    """Move every corner into the image of (height, width) (paper, section 3.3: at test time)."""
    height, width = size_hw
    x = boxes_xyxy[:, 0::2].clamp(0, width)
    y = boxes_xyxy[:, 1::2].clamp(0, height)
    return torch.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], dim=1)


def _centre_size(boxes_xyxy: Float[Tensor, "N 4"]) -> tuple[Float[Tensor, "N 2"], Float[Tensor, "N 2"]]:
    boxes = boxes_xyxy.float() if boxes_xyxy.dtype in (torch.float16, torch.bfloat16) else boxes_xyxy
    size = boxes[:, 2:] - boxes[:, :2]
    return boxes[:, :2] + size / 2, size
