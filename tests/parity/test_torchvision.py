"""Beside torchvision's own Region Proposal Network, part by part."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder, Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork as TheirNetwork
from torchvision.models.detection.rpn import RPNHead as TheirHead
from torchvision.ops import box_iou, nms

from objectness.rpn.anchors import level_anchors
from objectness.rpn.box_coder import decode, encode
from objectness.rpn.heads import RPNHead
from objectness.rpn.losses import image_loss, objectness_scores, smooth_l1
from objectness.rpn.matching import match
from objectness.rpn.selection import Selection, candidates, suppress
from objectness.rpn.settings import (
    AnchorSettings,
    HeadSettings,
    LossSettings,
    MatchSettings,
    SelectSettings,
)

MAPS_HW, STRIDES, SIZE_HW = [(24, 32), (12, 16), (6, 8)], [8, 16, 32], (192, 256)
SETTINGS = AnchorSettings(sizes=(32.0, 64.0, 128.0), ratios_height_over_width=(0.5, 1.0, 2.0), offset=0.0)


def their_anchors(maps_hw: list[tuple[int, int]], size_hw: tuple[int, int], sizes: tuple[float, ...]) -> Tensor:
    generator = AnchorGenerator(tuple((size,) for size in sizes), ((0.5, 1.0, 2.0),) * len(sizes))
    images = ImageList(torch.zeros(1, 3, *size_hw), [size_hw])
    return generator(images, [torch.zeros(1, 1, *map_hw) for map_hw in maps_hw])[0]


def some_boxes(count: int, seed: int, size_hw: tuple[int, int] = SIZE_HW) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([size_hw[1] - 60, size_hw[0] - 60])
    return torch.cat([corner, corner + 10 + torch.rand(count, 2, generator=generator) * 50], dim=1)


def test_anchors_are_the_same_but_for_their_rounding() -> None:
    ours = torch.cat(level_anchors(SETTINGS, MAPS_HW, STRIDES))
    theirs = their_anchors(MAPS_HW, SIZE_HW, SETTINGS.sizes)
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= 0.5  # they round the corners of the base anchors to whole pixels
    square = ours.reshape(-1, 3, 4)[:, 1]
    torch.testing.assert_close(square, theirs.reshape(-1, 3, 4)[:, 1])


def test_their_coarsest_anchors_drift_where_ours_stay() -> None:
    """A map of 13 for 800 px at stride 64: they infer 61, and are 36 px off at the far end."""
    ours = level_anchors(replace(SETTINGS, sizes=(512.0,)), [(13, 13)], [64])[0]
    theirs = their_anchors([(13, 13)], (800, 800), (512.0,))
    assert (ours[-2] - theirs[-2]).tolist() == [36, 36, 36, 36]


def test_encoding_and_decoding() -> None:
    anchors, boxes = some_boxes(500, seed=1), some_boxes(500, seed=2)
    coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
    torch.testing.assert_close(encode(boxes, anchors), coder.encode_single(boxes, anchors), rtol=1e-5, atol=1e-5)
    deltas = torch.randn(500, 4, generator=torch.Generator().manual_seed(3)) * 3  # some beyond the clamp
    ours, theirs = decode(deltas, anchors), coder.decode_single(deltas, anchors)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_matching_where_every_box_overlaps_an_anchor(seed: int) -> None:
    anchors = torch.cat(level_anchors(SETTINGS, MAPS_HW, STRIDES))
    boxes = some_boxes(12, seed)
    theirs = Matcher(0.7, 0.3, allow_low_quality_matches=True)(box_iou(boxes, anchors))
    ours = match(anchors, boxes, settings=MatchSettings(0.7, 0.3, tie_tolerance=0))  # theirs is exact
    positive = theirs >= 0
    assert torch.equal(ours.labels == 1, positive)
    assert torch.equal(ours.labels == 0, theirs == Matcher.BELOW_LOW_THRESHOLD)
    assert torch.equal(ours.box_index[positive], theirs[positive])


def test_a_box_out_of_reach_is_their_defect_and_not_ours() -> None:
    anchors = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
    boxes = torch.tensor([[100.0, 100.0, 101.0, 101.0]])
    theirs = Matcher(0.7, 0.3, allow_low_quality_matches=True)(box_iou(boxes, anchors))
    assert theirs.tolist() == [0, 0]  # every anchor is positive
    assert match(anchors, boxes).labels.tolist() == [0, 0]  # every anchor is negative


@torch.no_grad()
def test_the_head_gives_the_same_for_the_same_weights() -> None:
    torch.manual_seed(0)
    theirs = TheirHead(16, 3)
    ours = RPNHead(16, 3, 1, HeadSettings(channels=16, two_class=False))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        nn.init.normal_(other, std=0.3)
        mine.copy_(other)
    maps = [torch.randn(2, 16, *map_hw) for map_hw in MAPS_HW]
    logits, deltas, _ = ours(maps)
    their_logits, their_deltas = theirs(maps)
    for level in range(3):
        flat = their_logits[level].permute(0, 2, 3, 1).reshape(2, -1, 1)  # (B, k, H, W) -> (B, H * W * k, 1)
        torch.testing.assert_close(logits[level], flat)
        moves = their_deltas[level].permute(0, 2, 3, 1).reshape(2, -1, 4)
        torch.testing.assert_close(deltas[level], moves)


def their_network(**settings: float | dict[str, int]) -> TheirNetwork:
    chosen = {
        "fg_iou_thresh": 0.7,
        "bg_iou_thresh": 0.3,
        "batch_size_per_image": 256,
        "positive_fraction": 0.5,
        "pre_nms_top_n": {"training": 200, "testing": 200},
        "post_nms_top_n": {"training": 50, "testing": 50},
        "nms_thresh": 0.7,
    } | settings
    return TheirNetwork(AnchorGenerator(), TheirHead(4, 3), **chosen).eval()


def test_the_loss_over_the_samples() -> None:
    """Their sampler takes everything here, so that chance plays no part."""
    generator = torch.Generator().manual_seed(4)
    count = 400
    logits = torch.randn(count, 1, generator=generator)
    deltas, targets = (torch.randn(count, 4, generator=generator) * 0.3 for _ in range(2))
    labels = (torch.arange(count) % 4 == 0).long()
    theirs = their_network(batch_size_per_image=2 * count)
    objectness, box = theirs.compute_loss(logits, deltas, [labels.float()], [targets])
    positive = labels == 1
    settings = LossSettings(normalize="samples", box_weight=1.0, smooth_l1_beta=1 / 9)
    boxes = smooth_l1(deltas[positive], targets[positive], settings.smooth_l1_beta)
    ours = image_loss(logits, labels, boxes, batch_size=1, locations=1, settings=settings)
    torch.testing.assert_close(ours.objectness, objectness)
    torch.testing.assert_close(ours.box, box)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.7, 0.9])
def test_suppression_within_a_level(threshold: float) -> None:
    boxes = some_boxes(1000, seed=5)
    scores = torch.rand(1000, generator=torch.Generator().manual_seed(6))
    kept = suppress(
        Selection(boxes, scores, torch.zeros(1000, dtype=torch.int64)),
        SelectSettings(nms_iou=threshold, post_nms_top_n=1000),
    )
    theirs = nms(boxes, scores, threshold)
    assert torch.equal(kept.boxes_xyxy, boxes[theirs])
    assert torch.equal(kept.scores, scores[theirs])


def test_proposals_of_several_levels() -> None:
    generator = torch.Generator().manual_seed(7)
    levels = level_anchors(SETTINGS, MAPS_HW, STRIDES)
    counts = [len(level) for level in levels]
    logits = [torch.randn(count, 1, generator=generator) for count in counts]
    deltas = [torch.randn(count, 4, generator=generator) * 0.3 for count in counts]
    select = SelectSettings(pre_nms_top_n=200, post_nms_top_n=50, min_size=1.0)
    ours = suppress(candidates([objectness_scores(level) for level in logits], deltas, levels, SIZE_HW, select), select)

    coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
    decoded = coder.decode_single(torch.cat(deltas), torch.cat(levels))
    theirs = their_network()
    theirs.min_size = 1.0
    boxes, scores = theirs.filter_proposals(decoded[None], torch.cat(logits)[None, :, 0], [SIZE_HW], counts)
    assert len(ours.scores) == 50
    torch.testing.assert_close(ours.scores, scores[0])
    torch.testing.assert_close(ours.boxes_xyxy, boxes[0], rtol=1e-5, atol=1e-3)
