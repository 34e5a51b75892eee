"""Maps of a network in PyTorch, and its own proposals chosen from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from objectness.engines.map_selection import candidates_of_maps  # noqa: E402
from objectness.errors import InputError  # noqa: E402
from objectness.inference.torch_engine import TorchEngine, describe_network  # noqa: E402
from objectness.rpn.settings import AnchorSettings, BackboneSettings  # noqa: E402

PIXELS = np.random.default_rng(0).integers(0, 256, (75, 101, 3), dtype=np.uint8)


@pytest.fixture
def engine(make_network: Callable[..., Any], tiny_settings: Any) -> TorchEngine:
    """Two levels and a second stage whose corrections are not small."""
    backbone = BackboneSettings(
        "test_resnet", (16, 32), pyramid_channels=16, pretrained=False, frozen_stages=0, frozen_norm=False
    )
    settings = replace(
        tiny_settings,
        backbone=backbone,
        anchors=AnchorSettings(sizes=(16.0, 32.0, 48.0, 64.0)),
        refinement=replace(tiny_settings.refinement, grid=2, channels=4, hidden=8, boxes=20, finer=1),
        select=replace(tiny_settings.select, pre_nms_top_n=60),
    )
    network = make_network(settings)
    for layer in (network.head.objectness, network.head.deltas, network.refinement.predictor):
        torch.nn.init.normal_(layer.weight, std=0.3)
    return TorchEngine(network, describe_network(network, {"name": "tiny"}))


def test_maps_of_every_level(engine: TorchEngine) -> None:
    dense = engine.dense()
    assert dense is engine.dense()
    assert dense.geometry.strides == (16, 32)
    maps = dense.maps(PIXELS)
    assert [level.shape for level in maps.scores] == [(5, 7, 6), (3, 4, 6)]
    assert [level.shape for level in maps.deltas] == [(5, 7, 6, 4), (3, 4, 6, 4)]
    assert [level.shape for level in maps.features] == [(5, 7, 4)]  # the coarser one is never read
    centres = (maps.anchors_xyxy[1][2, 3, :, :2] + maps.anchors_xyxy[1][2, 3, :, 2:]) / 2
    np.testing.assert_allclose(centres, [[3.5 * 32, 2.5 * 32]] * 6)


def test_candidates_of_maps_are_those_of_the_network(engine: TorchEngine) -> None:
    expected = engine.candidates(PIXELS)
    found = candidates_of_maps(engine.dense().maps(PIXELS), (75, 101), engine.dense())
    np.testing.assert_array_equal(found.levels, expected.levels)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, atol=1e-3)


def test_an_image_beyond_memory_ends_in_a_sentence(engine: TorchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(pixels: Any) -> Any:
        raise RuntimeError("not enough memory\nmore words")

    dense = engine.dense()
    monkeypatch.setattr(dense._network, "forward", fail)
    with pytest.raises(InputError, match=r"cannot look at it in 101 x 75 pixels \(not enough memory\)"):
        dense.maps(PIXELS)
