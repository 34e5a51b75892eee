"""The networks of the paper in tiles equal the whole image (random weights of their full size; slow)."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from objectness.engines import Candidates
from objectness.engines.dense import DenseEngine
from objectness.engines.map_selection import candidates_of_maps
from objectness.inference.tiling.grid import rows_of_tiles
from objectness.inference.tiling.scan import Counts, Scan

PHOTO = Path(__file__).parents[3] / "examples" / "photos" / "astronaut.jpg"
SIZES_HW = [(333, 421), (401, 303), (149, 507), (493, 37), (11, 389)]


@pytest.fixture(scope="module")
def networks() -> dict[str, Any]:
    return {}


@pytest.fixture(params=["paper-zf", "paper-vgg16"])
def engine(request: pytest.FixtureRequest, networks: dict[str, Any]) -> DenseEngine:
    torch = pytest.importorskip("torch")
    from objectness.inference.torch_engine import TorchEngine, describe_network
    from objectness.rpn.network import build_network
    from objectness.settings import override
    from objectness.training.recipes import recipe

    if request.param not in networks:
        torch.manual_seed(0)
        settings = override(recipe(request.param), ["rpn.backbone.pretrained=false"])
        network = build_network(settings.rpn)[0]
        for layer in network.head.parameters():
            if layer.ndim == 4:
                torch.nn.init.normal_(layer, std=0.02)  # scores that differ
        networks[request.param] = TorchEngine(network, describe_network(network, {})).dense()
    return networks[request.param]


@pytest.mark.slow
@pytest.mark.parametrize("size_hw", SIZES_HW)
def test_the_papers_networks(engine: DenseEngine, size_hw: tuple[int, int]) -> None:
    pixels = np.ascontiguousarray(np.asarray(Image.open(PHOTO).convert("RGB"))[: size_hw[0], : size_hw[1]])
    expected = candidates_of_maps(engine.maps(pixels), size_hw, engine)
    found = in_tiles(engine, pixels, tile=288, overlap=112)
    assert_same_boxes(found, expected)


def in_tiles(engine: DenseEngine, pixels: NDArray[np.uint8], *, tile: int, overlap: int) -> Candidates:
    size_hw = (pixels.shape[0], pixels.shape[1])
    tiles = [tile for row in rows_of_tiles(size_hw, tile, overlap, max(engine.geometry.strides)) for tile in row]
    assert len(tiles) > 1
    with closing(Scan(engine, size_hw, Counts(engine.geometry.pre_nms_top_n, 0))) as scan:
        for one in reversed(tiles):
            y, x, height, width = one.window
            scan.take(scan.find(one, engine.maps(np.ascontiguousarray(pixels[y : y + height, x : x + width]))))
        return scan.candidates()


def assert_same_boxes(found: Candidates, expected: Candidates) -> None:
    """To rounding: neighbours in the ranking may change places, and at its end one may come in for another."""
    assert len(found.scores) == len(expected.scores) > 30
    assert np.abs(found.scores - expected.scores).max() < 1e-6
    safe = np.flatnonzero(expected.scores > expected.scores[-1] + 2e-6)
    for place in safe:
        near = np.abs(found.scores - expected.scores[place]) < 2e-6
        distances = np.abs(found.boxes_xyxy[near] - expected.boxes_xyxy[place]).max(axis=1)
        assert distances.min() < 2e-3
