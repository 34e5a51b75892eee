from __future__ import annotations

import pytest
import torch
from torch import Tensor

from objectness.rpn.extensions.window_variation import flat_windows, window_variation


def boxes(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_loops(values: Tensor, left: int, top: int, right: int, bottom: int) -> float:
    """The definition, pair by pair."""
    window = values[:, top:bottom, left:right]
    squares = [
        float((window[:, y + 1, x] - window[:, y, x]).square().mean())
        for y in range(window.shape[1] - 1)
        for x in range(window.shape[2])
    ]
    squares += [
        float((window[:, y, x + 1] - window[:, y, x]).square().mean())
        for y in range(window.shape[1])
        for x in range(window.shape[2] - 1)
    ]
    spread = float((values - values.mean(dim=(1, 2), keepdim=True)).square().mean())
    return (sum(squares) / max(1, len(squares)) / spread) ** 0.5


def test_window_variation_by_hand() -> None:
    """Inside its outermost cells the map is 0 0 / 0 4: two of four pairs differ by 4, and its variance is 3."""
    features = torch.full((1, 4, 4), 99.0)
    features[0, 1:3, 1:3] = torch.tensor([[0.0, 0.0], [0.0, 4.0]])
    found = window_variation(boxes([8, 8, 24, 24]), features, 8, (32, 32))
    assert found.tolist() == pytest.approx([(2 * 16 / 4 / 3) ** 0.5])


def test_the_window_is_as_large_as_the_anchor() -> None:
    features = torch.rand(5, 20, 30, generator=chance()) - 0.5
    inner = features[:, 1:-1, 1:-1]
    anchors = boxes(
        [40, 40, 120, 88],
        [40, 40, 60, 120],
        [84, 60, 92, 68],
        [-50, -50, 60, 60],
        [200, 120, 400, 400],
        [500, 20, 600, 60],
        [20, -90, 60, -40],
    )
    cells = [(5, 5, 15, 11), (5, 5, 8, 15), (10, 7, 13, 10), (1, 1, 8, 8), (25, 15, 29, 19), (1, 1, 1, 1), (1, 1, 1, 1)]
    # One cell less on each side: the outermost of the map are no part of it. The third is smaller than a cell.
    wanted = [by_loops(inner, *(side - 1 for side in window)) for window in cells]
    found = window_variation(anchors, features, 8, (160, 240))
    assert found.tolist() == pytest.approx(wanted, rel=1e-4)


def test_neither_scale_nor_offset_nor_channels_matter() -> None:
    features, anchors = torch.rand(4, 12, 12, generator=chance()), boxes([10, 10, 60, 60], [30, 30, 90, 50])
    found = window_variation(anchors, features, 8, (96, 96))
    for same in (features * 1e-6, features * 1e6, 8 - features, features.repeat(3, 1, 1)):
        torch.testing.assert_close(window_variation(anchors, same, 8, (96, 96)), found)


def test_padding_is_no_variation() -> None:
    """One colour in the image, another in the padding of the batch, and a seam of the network's own at the border."""
    features = torch.full((3, 16, 16), 5.0)
    features[:, 10:], features[:, :, 12:] = -3.0, 7.0
    features[:, 0], features[:, 9], features[:, :, 0], features[:, :, 11] = 1.0, 2.0, 3.0, 4.0
    across = boxes([-40, -40, 40, 40], [60, 50, 130, 130], [0, 0, 96, 80])
    assert window_variation(across, features, 8, (80, 96)).tolist() == [0, 0, 0]


def test_a_flat_part_beside_large_features_has_exactly_no_variation() -> None:
    features = torch.full((4, 16, 32), 1234.567)
    features[:, :, 16:] += 1e5 * torch.rand(4, 16, 16, generator=chance())
    assert window_variation(boxes([0, 0, 100, 100], [16, 30, 50, 90]), features, 8, (128, 256)).tolist() == [0, 0]


def test_a_map_without_anything_in_it() -> None:
    for side in (1, 2, 3, 8):
        empty = torch.zeros(4, side, side)
        assert window_variation(boxes([0, 0, 8, 8]), empty, 8, (8 * side, 8 * side)).tolist() == [0]
    assert window_variation(boxes(), torch.rand(4, 8, 8), 8, (64, 64)).tolist() == []
    assert flat_windows(boxes(), torch.zeros(3, 8, 8), (8, 8)).tolist() == []


def test_windows_are_flat_where_their_pixels_are() -> None:
    """Black but for one textured patch: the anchors end beside it, on its first column, in padding."""
    pixels = torch.zeros(3, 80, 80, dtype=torch.uint8)
    pixels[:, 20:40, 30:50] = torch.randint(0, 256, (3, 20, 20), generator=chance(), dtype=torch.uint8)
    pixels[:, 60:] = 114  # padding
    anchors = boxes(
        [0, 0, 30, 60], [0, 0, 30.9, 60], [0, 0, 32, 60], [50, 0, 80, 80], [-90, -90, 10, 200], [25, 25, 45, 45]
    )
    assert flat_windows(anchors, pixels, (60, 80)).tolist() == [True, True, False, True, True, False]


def test_flatness_does_not_depend_on_contrast() -> None:
    """Left noise of one level, right of 60: what is flat beside it is so in an image of a tenth of the contrast too."""
    noise = torch.randint(-1, 2, (3, 40, 80), generator=chance()).float()
    noise[:, :, 40:] *= 60
    for scale in (1.0, 0.1):
        found = flat_windows(boxes([0, 0, 40, 40], [40, 0, 80, 40]), 128 + scale * noise, (40, 80))
        assert found.tolist() == [False, False]
        found = flat_windows(boxes([0, 0, 40, 40], [40, 0, 80, 40]), 128 + scale * noise.div(3).trunc(), (40, 80))
        assert found.tolist() == [True, False]
