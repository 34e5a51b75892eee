"""What the tests of the network share. Shapes in signatures are checked: see ``tests/conftest.py``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from objectness.rpn.network import RegionProposalNetwork, build_network
from objectness.rpn.settings import AnchorSettings, BackboneSettings, HeadSettings, ImageSettings, RPNSettings

# Everything here is small: threads would spend their time waiting for one another, above all on a busy machine.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_settings() -> RPNSettings:
    """One level of stride 16 on timm's smallest network, for images of about 64 to 128 pixels."""
    return RPNSettings(
        images=ImageSettings(short_side=96, long_side=160),
        backbone=BackboneSettings(name="test_resnet", strides=(16,), pretrained=False, frozen_stages=0),
        head=HeadSettings(channels=32),
        anchors=AnchorSettings(sizes=(16.0, 32.0, 64.0)),
    )


@pytest.fixture
def make_network(tiny_settings: RPNSettings) -> Callable[..., RegionProposalNetwork]:
    """A network with the same random weights each time."""

    def make(settings: RPNSettings = tiny_settings, seed: int = 0) -> RegionProposalNetwork:
        torch.manual_seed(seed)
        return build_network(settings)[0].eval()

    return make
