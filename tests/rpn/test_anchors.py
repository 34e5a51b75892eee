from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from objectness.errors import InputError
from objectness.rpn.anchors import (
    anchors_per_cell,
    cell_anchors,
    grid_anchors,
    inside_image,
    legacy_cell_anchors,
    level_anchors,
)
from objectness.rpn.settings import AnchorSettings

# The published table: right and bottom inclusive, ratio by ratio, scale by scale. It comes from the MATLAB code,
# which counts pixels from 1; py-faster-rcnn's function returns the same boxes counted from 0.
PUBLISHED_NINE = [
    [-83, -39, 100, 56],
    [-175, -87, 192, 104],
    [-359, -183, 376, 200],
    [-55, -55, 72, 72],
    [-119, -119, 136, 136],
    [-247, -247, 264, 264],
    [-35, -79, 52, 96],
    [-79, -167, 96, 184],
    [-167, -343, 184, 360],
]


def sides_wh(boxes: Tensor) -> Tensor:
    return boxes[:, 2:] - boxes[:, :2]


def test_an_empty_map_has_no_anchors() -> None:
    assert grid_anchors(cell_anchors([10], [1]), (0, 5), 16).shape == (0, 4)


def test_the_papers_nine_have_its_areas_and_shapes() -> None:
    cell = cell_anchors(AnchorSettings().sizes, AnchorSettings().ratios_height_over_width)
    width, height = sides_wh(cell).double().unbind(1)
    areas = [128.0**2] * 3 + [256.0**2] * 3 + [512.0**2] * 3
    torch.testing.assert_close(width * height, torch.tensor(areas, dtype=torch.float64), rtol=1e-6, atol=0)
    torch.testing.assert_close(height / width, torch.tensor([0.5, 1, 2] * 3, dtype=torch.float64))
    torch.testing.assert_close(cell[:, :2] + cell[:, 2:], torch.zeros(9, 2))  # centred on (0, 0)


def test_a_1000_by_600_image_has_20000_anchors() -> None:
    assert len(level_anchors(AnchorSettings(), [(40, 60)], [16])[0]) == 60 * 40 * 9 == 21_600  # the paper's count
    assert len(level_anchors(AnchorSettings(), [(37, 62)], [16])[0]) == 20_646  # as VGG pools: 600 / 16 = 37.5


@pytest.mark.parametrize(("size_hw", "expected"), [((600, 800), 5_834), ((600, 1000), 8_044)])
def test_about_6000_anchors_are_inside(size_hw: tuple[int, int], expected: int) -> None:
    """The paper's 6,000 are those of an ordinary 4:3 photo at s = 600; its 1000 x 600 example keeps 8,000."""
    height, width = size_hw
    counted = 0
    for size in (128, 256, 512):
        for ratio in (0.5, 1, 2):
            w, h = size / ratio**0.5, size * ratio**0.5
            columns = sum(w / 2 <= x <= width - w / 2 for x in range(8, width, 16))
            counted += columns * sum(h / 2 <= y <= height - h / 2 for y in range(8, height, 16))
    (anchors,) = level_anchors(AnchorSettings(), [(height // 16, width // 16)], [16])
    assert int(inside_image(anchors, size_hw).sum()) == counted == expected


def test_the_released_nine() -> None:
    assert (legacy_cell_anchors() + 1).tolist() == PUBLISHED_NINE
    assert legacy_cell_anchors()[0].tolist() == [-84, -40, 99, 55]


def test_the_released_nine_by_a_setting() -> None:
    (anchors,) = level_anchors(AnchorSettings(style="py-faster-rcnn"), [(2, 3)], [16])
    cells = anchors.reshape(2, 3, 9, 4)
    inclusive_from_0 = cells - torch.tensor([0, 0, 1, 1])
    assert (inclusive_from_0[0, 0] + 1).tolist() == PUBLISHED_NINE
    assert (cells[1, 2] - cells[0, 0]).unique(dim=0).tolist() == [[32, 16, 32, 16]]
    # Exact and released anchors share their centre when the exact ones stand mid-cell.
    exact = level_anchors(AnchorSettings(), [(1, 1)], [16])[0]
    assert (exact[:, :2] + exact[:, 2:]).unique().tolist() == [16.0]
    assert (cells[0, 0, :, :2] + cells[0, 0, :, 2:]).unique().tolist() == [16.0]


def test_torchvisions_grid() -> None:
    found = grid_anchors(cell_anchors([10], [1]), (3, 3), 5)
    assert found.tolist() == [
        [-5, -5, 5, 5],
        [0, -5, 10, 5],
        [5, -5, 15, 5],
        [-5, 0, 5, 10],
        [0, 0, 10, 10],
        [5, 0, 15, 10],
        [-5, 5, 5, 15],
        [0, 5, 10, 15],
        [5, 5, 15, 15],
    ]


def test_detectron2s_grid() -> None:
    settings = AnchorSettings(sizes=(32, 64), ratios_height_over_width=(0.25, 1, 4), offset=0)
    (found,) = level_anchors(settings, [(1, 2)], [4])
    first = [
        [-32, -8, 32, 8],
        [-16, -16, 16, 16],
        [-8, -32, 8, 32],
        [-64, -16, 64, 16],
        [-32, -32, 32, 32],
        [-16, -64, 16, 64],
    ]
    second = [[x1 + 4, y1, x2 + 4, y2] for x1, y1, x2, y2 in first]
    assert found.tolist() == first + second


def test_detectron2s_offset() -> None:
    settings = AnchorSettings(sizes=(32, 64), ratios_height_over_width=(0.25, 1, 4), offset=0.5)
    assert level_anchors(settings, [(1, 2)], [4])[0][0].tolist() == [-30, -6, 34, 10]


def test_mmdetections_grid() -> None:
    found = grid_anchors(cell_anchors([10], [1]), (2, 2), 10)
    assert found.tolist() == [[-5, -5, 5, 5], [5, -5, 15, 5], [-5, 5, 5, 15], [5, 5, 15, 15]]


def test_mmdetections_retinanet_base() -> None:
    cell = cell_anchors([32, 32 * 2 ** (1 / 3), 32 * 2 ** (2 / 3)], [0.5, 1, 2])
    ratio_by_ratio = cell.reshape(3, 3, 4).transpose(0, 1).reshape(9, 4)
    expected = [
        [-22.6274, -11.3137, 22.6274, 11.3137],
        [-28.5088, -14.2544, 28.5088, 14.2544],
        [-35.9188, -17.9594, 35.9188, 17.9594],
        [-16, -16, 16, 16],
        [-20.1587, -20.1587, 20.1587, 20.1587],
        [-25.3984, -25.3984, 25.3984, 25.3984],
    ]
    torch.testing.assert_close(ratio_by_ratio[:6], torch.tensor(expected), rtol=0, atol=5e-5)


def test_mmdetections_sizes_of_valid_maps() -> None:
    """RetinaNet at 640 x 640: 80 to 5 cells a side with 9 anchors each."""
    settings = AnchorSettings(sizes=tuple(float(s) for s in range(1, 16)))
    maps = [(640 // stride, 640 // stride) for stride in (8, 16, 32, 64, 128)]
    levels = level_anchors(settings, maps, [8, 16, 32, 64, 128])
    assert [len(level) for level in levels] == [57600, 14400, 3600, 900, 225]


def test_chainercvs_base() -> None:
    """Its boxes are y, x; its base cell of 16 is centred on 8; ratio by ratio."""
    cell = (cell_anchors([128, 256, 512], [0.25, 1, 4]) + 8)[:, [1, 0, 3, 2]]
    ratio_by_ratio = cell.reshape(3, 3, 4).transpose(0, 1).reshape(9, 4)
    assert ratio_by_ratio.tolist() == [
        [-24, -120, 40, 136],
        [-56, -248, 72, 264],
        [-120, -504, 136, 520],
        [-56, -56, 72, 72],
        [-120, -120, 136, 136],
        [-248, -248, 264, 264],
        [-120, -24, 136, 40],
        [-248, -56, 264, 72],
        [-504, -120, 520, 136],
    ]


def test_a_declared_stride_is_not_inferred_from_the_map() -> None:
    """800 px at stride 64 give 13 cells; torchvision infers 800 // 13 = 61 and misplaces the coarsest anchors."""
    settings = AnchorSettings(sizes=(512,), ratios_height_over_width=(1,), offset=0)
    (anchors,) = level_anchors(settings, [(13, 13)], [64])
    last = anchors[-1]
    assert ((last[:2] + last[2:]) / 2).tolist() == [12 * 64, 12 * 64]


def test_strides_may_be_fractions() -> None:
    (anchors,) = level_anchors(AnchorSettings(sizes=(2,), ratios_height_over_width=(1,), offset=0), [(1, 3)], [1.5])
    assert anchors[:, 0].tolist() == [-1, 0.5, 2]


def test_sizes_are_dealt_out_to_the_levels_finest_first() -> None:
    settings = AnchorSettings(sizes=(8, 16, 32, 64), ratios_height_over_width=(1,), offset=0)
    assert settings.sizes_per_level(2) == ((8, 16), (32, 64))
    assert anchors_per_cell(settings, 2) == 2
    fine, coarse = level_anchors(settings, [(1, 2), (1, 1)], [4, 8])
    assert fine.tolist() == [[-4, -4, 4, 4], [-8, -8, 8, 8], [0, -4, 8, 4], [-4, -8, 12, 8]]
    assert coarse.tolist() == [[-16, -16, 16, 16], [-32, -32, 32, 32]]


def test_sizes_that_cannot_be_dealt_out() -> None:
    with pytest.raises(InputError, match=r"holds 3 sizes, which cannot be dealt evenly to 2 feature levels"):
        level_anchors(AnchorSettings(), [(2, 2), (1, 1)], [8, 16])


def test_one_stride_a_map() -> None:
    with pytest.raises(ValueError, match="2 maps came with 1 strides"):
        level_anchors(AnchorSettings(), [(2, 2), (1, 1)], [8])


@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from([4.0, 8.0, 12.5, 16.0]),
    st.sampled_from([0.0, 0.25, 0.5]),
)
def test_each_anchor_is_centred_where_its_cell_says(rows: int, columns: int, stride: float, offset: float) -> None:
    found = grid_anchors(cell_anchors([10, 20], [0.5, 2]), (rows, columns), stride, offset)
    cells = found.reshape(rows, columns, 4, 4)
    for row in range(rows):
        for column in range(columns):
            centres = (cells[row, column, :, :2] + cells[row, column, :, 2:]) / 2
            expected = torch.tensor([(column + offset) * stride, (row + offset) * stride])
            torch.testing.assert_close(centres, expected.expand(4, 2))


def test_inside_counts_the_border_itself() -> None:
    boxes = torch.tensor([[0, 0, 30, 20], [-1, 0, 9, 9], [0, -1, 9, 9], [21, 0, 31, 9], [0, 12, 9, 21]]).float()
    assert inside_image(boxes, (20, 30)).tolist() == [True, False, False, False, False]
    assert inside_image(boxes, (20, 30), allowed_border=1).all()
    assert inside_image(boxes[:0], (20, 30)).tolist() == []
