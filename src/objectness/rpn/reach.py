"""Reach of a network: how many pixels beyond a cell of the coarsest level change what the network says of it.

Found by trial, so that it holds for any backbone: one side of an image is made NaN, and whatever is computed from it
becomes NaN, too. An image that is cut this far from a part gives the same maps there. L levels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from objectness.rpn.network import RegionProposalNetwork

_FIRST_SIDE, _MOST_SIDE = 512, 2048  # pixels: tiles with a wider margin would be nothing but margin
_TOLERANCE = 1e-3  # of a map's largest value: rounding differs between sizes


@torch.no_grad()
def reach_of(network: RegionProposalNetwork) -> int | None:
    """Pixels beyond a part of whole coarsest cells that its maps depend on, a multiple of the coarsest stride.

    The maps of a part are those of the whole image where the part is seen with this margin, and begins at a multiple of
    the coarsest stride.

    Returns:
        None where there is no such number: a cell sees the whole image (a global pooling, attention), or its place
        changes with the image's size (padding that makes both ends alike).
    """
    training = network.training
    network.eval()
    try:
        side = max(_FIRST_SIDE, 8 * network.strides[-1])
        while side <= _MOST_SIDE:
            farthest = _farthest(network, side)
            if farthest is not None:
                return farthest if _is_fixed(network, side) else None
            side *= 2
        return None
    finally:
        network.train(training)


def _farthest(network: RegionProposalNetwork, side: int) -> int | None:
    """The largest reach to any of the four sides; None where an image of ``side`` pixels is too short to tell."""
    farthest = 0
    for axis, after in ((0, False), (0, True), (1, False), (1, True)):
        reach = _reach(network, side, axis, after=after)
        if reach is None:
            return None
        farthest = max(farthest, reach)
    return farthest


def _reach(network: RegionProposalNetwork, side: int, axis: int, *, after: bool) -> int | None:
    """The reach across the middle of an image of ``side`` pixels: to the left or above, or ``after`` it.

    Returns:
        None where the image is too short to tell.
    """
    coarsest = network.strides[-1]
    middle = side // 2 // coarsest * coarsest
    pixels = _image(network, side, axis)
    hidden = pixels.clone()
    hidden.narrow(axis + 2, middle if after else 0, side - middle if after else middle).fill_(torch.nan)
    farthest = 0
    for stride, changed in zip(network.strides, _changed(network, pixels, hidden, axis), strict=True):
        own = middle // stride
        inside = changed[:own].flip(0) if after else changed[own:]  # cells that were not made NaN, from the middle on
        if bool(inside[-1]):
            return None
        places = torch.nonzero(inside).flatten()
        if len(places):
            farthest = max(farthest, (int(places[-1]) + 1) * stride)
    return -(-farthest // coarsest) * coarsest


def _changed(network: RegionProposalNetwork, pixels: Tensor, hidden: Tensor, axis: int) -> list[Tensor]:
    """Of each level, which rows (axis 0) or columns of cells differ: NaN is not swallowed, and nor is a difference."""
    levels = []
    for maps in zip(_maps(network, pixels), _maps(network, hidden), strict=True):
        differ = torch.stack([(a != b).flatten(2).any(2) for a, b in zip(*maps, strict=True)]).any(0)  # (h, w)
        levels.append(differ.any(1 - axis))
    return levels


def _is_fixed(network: RegionProposalNetwork, side: int) -> bool:
    """Whether the first cells are the same on images that are a little shorter, down to half a coarsest cell."""
    for axis in (0, 1):
        pixels = _image(network, side, axis)
        whole = _maps(network, pixels)
        shorter = 1
        while shorter < network.strides[-1]:
            cut = _maps(network, pixels.narrow(axis + 2, 0, side - shorter))
            for stride, level, others in zip(network.strides, whole, cut, strict=True):
                count = side // 8 // stride  # reach ends before the middle, so these do not see the end
                for one, other in zip(level, others, strict=True):
                    first, second = one.narrow(axis, 0, count), other.narrow(axis, 0, count)
                    if (first - second).abs().max() > _TOLERANCE * first.abs().max():
                        return False
            shorter *= 2
    return True


def _maps(network: RegionProposalNetwork, pixels: Tensor) -> list[list[Tensor]]:
    """Of each level, its raw outputs ``(h, w, ...)`` of an image."""
    outputs = network(pixels)
    kinds = [outputs.logits, outputs.deltas, *(kind for kind in (outputs.quality, outputs.refinement_maps) if kind)]
    return [[kind[level][0].reshape(*hw, -1) for kind in kinds] for level, hw in enumerate(outputs.maps_hw)]


def _image(network: RegionProposalNetwork, side: int, axis: int) -> Tensor:
    """Noise, ``side`` pixels long on an axis and as long as a coarsest cell on the other."""
    short = network.strides[-1]
    size_hw = (side, short) if axis == 0 else (short, side)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand((1, 3, *size_hw), generator=generator) * 255
    return pixels.to(next(network.parameters()).device)
