from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from objectness.rpn.backbones import SequentialBackbone
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.reach import reach_of
from objectness.rpn.settings import AnchorSettings, BackboneSettings, HeadSettings, RPNSettings
from objectness.training.recipes import recipe

SETTINGS = RPNSettings(
    backbone=BackboneSettings(name="by hand", strides=(16,)),
    head=HeadSettings(channels=4),
    anchors=AnchorSettings(sizes=(32.0,)),
)


class Flattened(nn.Module):
    """Each value beside the mean of the whole image."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels + pixels.mean(dim=(2, 3), keepdim=True)


class Swallowing(nn.Module):
    """The brighter of each pixel and the one ``away`` to its right, by a comparison that is false for NaN."""

    def __init__(self, away: int) -> None:
        super().__init__()
        self.away = away

    def forward(self, pixels: Tensor) -> Tensor:
        other = nn.functional.pad(pixels, (0, self.away))[..., self.away :]
        return torch.where(other > pixels, torch.nan_to_num(other), torch.nan_to_num(pixels))


class PaddedAlike(nn.Module):
    """An image of an odd width gets one more column at the left, as the padding "same" of TensorFlow does."""

    def forward(self, pixels: Tensor) -> Tensor:
        return nn.functional.pad(pixels, (pixels.shape[3] % 2, 0))


def network(*layers: nn.Module) -> RegionProposalNetwork:
    """One map of stride 16: each cell is a weighted sum of its own 16 x 16 pixels, after layers of stride 1."""
    torch.manual_seed(0)
    stage = nn.Sequential(*layers, nn.Conv2d(3, 4, kernel_size=16, stride=16))
    return RegionProposalNetwork(SETTINGS, SequentialBackbone([stage], stride=16, channels=4, rounds_down=True))


def blur(size_hw: tuple[int, int]) -> nn.Conv2d:
    return nn.Conv2d(3, 3, size_hw, padding=(size_hw[0] // 2, size_hw[1] // 2))


# The head's 3 x 3 window sees one cell, 16 pixels, beyond a cell.
@pytest.mark.parametrize(
    ("layers", "reach"),
    [
        ((), 16),
        ((nn.BatchNorm2d(3), nn.Hardswish(), nn.ReLU6(), nn.Sigmoid()), 16),
        ((blur((5, 1)),), 32),  # 18 pixels, in whole cells
        ((blur((1, 33)),), 32),  # 32 pixels
        ((blur((1, 35)),), 48),  # 33 pixels
        ((nn.MaxPool2d(5, stride=1, padding=2),), 32),
        ((Swallowing(200),), 224),  # 216 pixels
        ((Flattened(),), None),
        ((nn.AdaptiveAvgPool2d((512, 512)),), None),  # shrinks what is larger
        ((PaddedAlike(),), None),
    ],
    ids=["cells", "pointwise", "rows", "two-cells", "three-cells", "max", "swallows", "global", "resized", "padding"],
)
def test_by_hand(layers: tuple[nn.Module, ...], reach: int | None) -> None:
    own = network(*layers)
    assert reach_of(own) == reach
    assert own.training  # as before


def test_a_part_with_this_margin_has_the_maps_of_the_whole_and_with_less_it_has_not() -> None:
    own = network(blur((5, 35)), nn.ReLU()).eval()
    pixels = torch.rand((1, 3, 97, 405)) * 255

    def logits(of: Tensor) -> Tensor:
        outputs = own(of)
        return outputs.logits[0].reshape(*outputs.maps_hw[0], -1)

    with torch.no_grad():
        whole, cut = logits(pixels), logits(pixels[..., 160:])
    for margin, equal in ((reach_of(own), True), (32, False)):
        assert margin is not None
        difference = (cut[:, margin // 16 :] - whole[:, (160 + margin) // 16 :]).abs().max()
        assert bool(difference < 1e-5 * whole.abs().max()) is equal


@pytest.mark.slow
@pytest.mark.parametrize(("name", "reach"), [("paper-zf", 96), ("paper-vgg16", 112), ("two-stage", 448)])
def test_networks_of_the_recipes(name: str, reach: int) -> None:
    settings = recipe(name).rpn
    settings = replace(settings, backbone=replace(settings.backbone, pretrained=False))
    assert reach_of(RegionProposalNetwork(settings)) == reach


@pytest.mark.slow
def test_squeeze_and_excitation_sees_the_whole_image() -> None:
    settings = recipe("two-stage").rpn
    settings = replace(settings, backbone=replace(settings.backbone, pretrained=False, name="mobilenetv3_small_100"))
    assert reach_of(RegionProposalNetwork(settings)) is None
