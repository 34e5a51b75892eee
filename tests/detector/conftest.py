"""Setup of the detector's tests. Shapes in signatures are checked: see ``tests/conftest.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def make_detector(tiny_settings: Any, make_network: Callable[..., Any]) -> Callable[..., Any]:
    """A ``FasterRCNN`` of two classes in evaluation mode, with the same random weights each time."""
    from objectness.detector.network import FasterRCNN
    from objectness.detector.settings import DetectorSettings
    from objectness.settings import override

    def make(*changes: str, pyramid: bool = False, classes: tuple[str, ...] = ("cat", "dog")) -> Any:
        settings = tiny_settings
        if pyramid:
            backbone = replace(settings.backbone, strides=(8, 16), pyramid_channels=16)
            anchors = replace(settings.anchors, sizes=(16.0, 32.0))
            settings = replace(settings, backbone=backbone, anchors=anchors)
        own = override(DetectorSettings(), ["head.layers=16,16", "pool.size=3", *changes])
        if pyramid:
            own = override(own, ["pool.kind=roi-align"])
        rpn = make_network(settings)
        torch.manual_seed(0)
        return FasterRCNN(rpn, own, classes).eval()

    return make
