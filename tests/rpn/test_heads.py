from __future__ import annotations

import pytest
import torch
from torch import nn

from objectness.rpn.anchors import grid_anchors
from objectness.rpn.heads import RPNHead
from objectness.rpn.losses import objectness_logit
from objectness.rpn.settings import HeadSettings


def count(module: nn.Module, name: str) -> int:
    return sum(p.numel() for key, p in module.named_parameters() if name in key and key.endswith("weight"))


def test_the_papers_parameters_for_vgg() -> None:
    head = RPNHead(512, 9, 1, HeadSettings())
    output = count(head, "objectness") + count(head, "deltas")
    assert output == 512 * (4 + 2) * 9 == 27_648  # 2.8e4
    assert output + count(head, "conv") == 2_386_944  # 2.4e6


def test_the_zf_head_is_256_wide() -> None:
    head = RPNHead(256, 9, 1, HeadSettings(channels=256))
    assert count(head, "conv") == 3 * 3 * 256 * 256
    assert count(head, "objectness") + count(head, "deltas") == 256 * 6 * 9


def test_new_layers_are_drawn_from_a_normal_with_deviation_a_hundredth() -> None:
    torch.manual_seed(0)
    head = RPNHead(64, 9, 1, HeadSettings(channels=128))
    for key, parameter in head.named_parameters():
        if key.endswith("bias"):
            assert parameter.abs().max() == 0
        else:
            assert parameter.std().item() == pytest.approx(0.01, rel=0.05)
            assert parameter.mean().item() == pytest.approx(0, abs=0.001)
    other = RPNHead(64, 9, 1, HeadSettings(channels=128, initial_std=0.1))
    assert other.objectness.weight.std().item() == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("two_class", [True, False])
def test_outputs_come_in_the_order_of_the_anchors(two_class: bool) -> None:
    """One anchor of one cell is singled out: its logit and its delta stand where grid_anchors puts its box."""
    k, (rows, columns), (anchor, row, column) = 3, (4, 5), (1, 2, 3)
    head = RPNHead(1, k, 1, HeadSettings(convolutions=0, two_class=two_class))
    for layer in (head.objectness, head.deltas):
        nn.init.zeros_(layer.weight)
    values = 2 if two_class else 1
    with torch.no_grad():
        head.objectness.weight[anchor * values + values - 1] = 1  # its object logit
        head.deltas.weight[anchor * 4 + 2] = 1  # its tw
    feature_map = torch.zeros(2, 1, rows, columns)
    feature_map[1, 0, row, column] = 7
    (logits,), (deltas,), _ = head([feature_map])
    assert logits.shape == (2, rows * columns * k, values)
    assert deltas.shape == (2, rows * columns * k, 4)
    place = (row * columns + column) * k + anchor
    assert logits.nonzero().tolist() == [[1, place, values - 1]]
    assert deltas.nonzero().tolist() == [[1, place, 2]]
    assert logits[1, place, -1] == deltas[1, place, 2] == 7

    cell = torch.tensor([[-1.0, -1, 1, 1], [-2, -2, 2, 2], [-3, -3, 3, 3]])
    box = grid_anchors(cell, (rows, columns), 10)[place]
    assert box.tolist() == [28, 18, 32, 22]  # the second anchor, at x = 30, y = 20


def test_one_head_serves_all_levels() -> None:
    torch.manual_seed(0)
    head = RPNHead(4, 2, 2, HeadSettings(channels=8, initial_std=0.5))
    fine, coarse = torch.rand(1, 4, 6, 6), torch.rand(1, 4, 3, 3)
    logits, deltas, _ = head([fine, coarse])
    assert [level.shape for level in logits] == [(1, 72, 2), (1, 18, 2)]
    alone_logits, alone_deltas, _ = head([coarse])
    torch.testing.assert_close(logits[1], alone_logits[0])
    torch.testing.assert_close(deltas[1], alone_deltas[0])
    assert len(head.conv) == 1


def test_more_convolutions() -> None:
    head = RPNHead(4, 1, 1, HeadSettings(channels=8, convolutions=3))
    assert [layer.conv.in_channels for layer in head.conv] == [4, 8, 8]
    logits, _, _ = head([torch.rand(1, 4, 3, 3)])
    assert logits[0].shape == (1, 9, 2)


def test_siblings_have_towers_of_their_own() -> None:
    torch.manual_seed(0)
    head = RPNHead(4, 1, 1, HeadSettings(channels=8, convolutions=0, tower_convolutions=2, initial_std=0.5))
    feature_map = torch.rand(1, 4, 3, 3)
    (logits,), (deltas,), _ = head([feature_map])
    with torch.no_grad():
        head.cls_tower[1].conv.weight.zero_()
    (other_logits,), (same_deltas,), _ = head([feature_map])
    assert not torch.equal(logits, other_logits)
    assert torch.equal(deltas, same_deltas)


def test_each_level_has_statistics_of_its_own_and_shares_the_convolution() -> None:
    torch.manual_seed(0)
    head = RPNHead(4, 1, 2, HeadSettings(channels=8, norm="batch", initial_std=0.5)).train()
    head([torch.rand(2, 4, 6, 6), 10 + torch.rand(2, 4, 3, 3)])
    fine, coarse = head.conv[0].norms
    assert not torch.allclose(fine.running_mean, coarse.running_mean)
    assert head.conv[0].conv.bias is None  # the norm's own would only double it
    assert len([layer for layer in head.modules() if isinstance(layer, torch.nn.Conv2d)]) == 3


@pytest.mark.parametrize("two_class", [True, False])
def test_an_untrained_network_answers_the_initial_score(two_class: bool) -> None:
    head = RPNHead(4, 3, 1, HeadSettings(channels=8, two_class=two_class, initial_score=0.02))
    (logits,), _, _ = head([torch.zeros(1, 4, 2, 2)])
    assert torch.sigmoid(objectness_logit(logits[0])).tolist() == pytest.approx([0.02] * 12)


def test_a_third_layer_says_how_well_the_boxes_fit() -> None:
    """In the order of the anchors, from the same tower as the deltas."""
    settings = HeadSettings(channels=8, tower_convolutions=1, initial_std=0.5, initial_score=0.02)
    torch.manual_seed(0)
    plain = RPNHead(4, 2, 1, settings)
    torch.manual_seed(0)
    head = RPNHead(4, 2, 1, settings, quality=True)
    assert set(head.state_dict()) - set(plain.state_dict()) == {"quality.weight", "quality.bias"}
    assert plain([torch.rand(1, 4, 3, 3)])[2] is None
    feature_map = torch.rand(2, 4, 3, 5)
    _, _, (before,) = head([feature_map])
    assert before.shape == (2, 30, 1)
    with torch.no_grad():
        head.cls_tower[0].conv.weight.zero_()
    assert torch.equal(head([feature_map])[2][0], before)
    with torch.no_grad():
        head.quality.weight.zero_()
        head.quality.bias[1] = 7
    _, _, (quality,) = head([feature_map])
    assert quality[0, :, 0].tolist() == [0, 7] * 15
