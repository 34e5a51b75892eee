from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from objectness.rpn.box_coder import DELTA_CLAMP, clip, decode, encode

NONE = torch.zeros(0, 4)

corner = st.floats(-500, 1500, width=32)
side = st.floats(1, 1000, width=32)
box = st.tuples(corner, corner, side, side).map(lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]])


def test_none() -> None:
    assert encode(NONE, NONE).shape == (0, 4)
    assert decode(NONE, NONE).shape == (0, 4)
    assert clip(NONE, (5, 5)).shape == (0, 4)


def test_by_hand() -> None:
    anchor = torch.tensor([[10.0, 20.0, 30.0, 60.0]])  # centre (20, 40), 20 x 40
    wanted = torch.tensor([[20.0, 30.0, 60.0, 40.0]])  # centre (40, 35), 40 x 10
    deltas = encode(wanted, anchor)
    torch.testing.assert_close(deltas, torch.tensor([[1.0, -0.125, math.log(2), math.log(0.25)]]))
    torch.testing.assert_close(decode(deltas, anchor), wanted)


def test_no_deltas_give_the_anchor() -> None:
    anchors = torch.tensor([[-5.0, 0.0, 7.0, 3.0], [100.0, 100.0, 101.5, 300.0]])
    assert torch.equal(decode(torch.zeros(2, 4), anchors), anchors)


@given(st.lists(st.tuples(box, box), min_size=1, max_size=8))
def test_round_trip(pairs: list[tuple[list[float], list[float]]]) -> None:
    boxes, anchors = (torch.tensor(part, dtype=torch.float64) for part in zip(*pairs, strict=True))
    back = decode(encode(boxes, anchors), anchors, delta_clamp=10)
    torch.testing.assert_close(back, boxes, rtol=0, atol=1e-6)


def test_round_trip_in_float32() -> None:
    generator = torch.Generator().manual_seed(121)
    boxes, anchors = (torch.rand(200, 4, generator=generator) * 100 for _ in range(2))
    for part in (boxes, anchors):
        part[:, 2:] += part[:, :2] + 1
    torch.testing.assert_close(decode(encode(boxes, anchors), anchors), boxes, rtol=1e-5, atol=1e-3)


def test_mmdetections_coder() -> None:
    anchors = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [5, 5, 5, 5]]).float()
    deltas = torch.tensor([[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 2, -1], [0.7, -1.9, -0.5, 0.3]])
    expected = [
        [0, 0, 1, 1],
        [0.1409, 0.1409, 2.8591, 2.8591],
        [0, 0.3161, 4.1945, 0.6839],
        [5, 5, 5, 5],
    ]
    found = clip(decode(deltas, anchors), (32, 32))
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=5e-5)


def test_clamped_sides_stay_finite() -> None:
    anchor = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    found = decode(torch.tensor([[0.0, 0.0, 1e4, 5.0]]), anchor)
    torch.testing.assert_close(found[0, 2] - found[0, 0], torch.tensor(1000.0), rtol=1e-5, atol=0)
    assert torch.isfinite(found).all()
    assert pytest.approx(math.log(1000 / 16)) == DELTA_CLAMP
    narrower = decode(torch.tensor([[0.0, 0.0, 5.0, 5.0]]), anchor, delta_clamp=math.log(2))
    torch.testing.assert_close(narrower, torch.tensor([[-8.0, -8.0, 24.0, 24.0]]))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(kind: torch.dtype) -> None:
    anchors = torch.tensor([[256.0, 256.0, 768.0, 768.0]])
    deltas = torch.tensor([[0.5, -0.25, 2.5, 4.0]], dtype=kind)
    found = decode(deltas, anchors.to(kind))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, decode(deltas.float(), anchors), rtol=0, atol=0)  # e^4 * 512 = 27,954
    assert encode(anchors.to(kind), anchors.to(kind)).dtype == torch.float32


def test_clip_moves_every_corner_inside() -> None:
    boxes = torch.tensor([[-3.0, -4.0, 12.0, 22.0], [1.0, 2.0, 3.0, 4.0], [15.0, -9.0, 18.0, -2.0]])
    assert clip(boxes, (20, 10)).tolist() == [[0, 0, 10, 20], [1, 2, 3, 4], [10, 0, 10, 0]]
