from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import box_iou

from objectness.rpn.anchors import level_anchors
from objectness.rpn.criterion import matcher_of
from objectness.rpn.extensions.atss import atss_match
from objectness.rpn.matching import match
from objectness.rpn.settings import AnchorSettings, MatchSettings

ROW = torch.tensor([[0.0, 0, 10, 10], [10, 0, 20, 10], [20, 0, 30, 10], [30, 0, 40, 10]])
NOBODY = torch.zeros(0, 4)
ATSS = MatchSettings(assigner="atss", atss_top_k=3)


def boxes(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


def scattered(count: int, low: float, high: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    sides = low * (high / low) ** torch.rand(count, 2, generator=generator)
    corner = torch.rand(count, 2, generator=generator) * 300 - 50
    return torch.cat([corner, corner + sides], dim=1)


def naive(anchors: Tensor, counts: list[int], truth: Tensor, candidates: int) -> NDArray[np.int64]:
    """Which box each anchor stands for by the sentences of the ATSS paper, -1 for none; rule (i) is not in it."""
    table = box_iou(anchors, truth).numpy()
    centre, middle = (((b[:, :2] + b[:, 2:]) / 2).numpy() for b in (anchors, truth))
    stands, best = np.full(len(anchors), -1), np.zeros(len(anchors))
    for g, box in enumerate(truth.numpy()):
        chosen, start = [], 0
        for count in counts:
            away = ((centre[start : start + count] - middle[g]) ** 2).sum(axis=1)
            chosen += [start + int(i) for i in np.argsort(away, kind="stable")[:candidates]]
            start += count
        overlaps = table[chosen, g]
        limit = overlaps.mean() + overlaps.std(ddof=1)
        for a, overlap in zip(chosen, overlaps, strict=True):
            inside = (centre[a] > box[:2]).all() and (centre[a] < box[2:]).all()
            if overlap >= limit and inside and overlap > best[a]:
                stands[a], best[a] = g, overlap
    return stands


def test_no_boxes_and_no_anchors() -> None:
    found = atss_match(ROW, NOBODY, settings=ATSS, level_sizes=[4])
    assert found.labels.tolist() == [0, 0, 0, 0]
    nothing = atss_match(NOBODY, boxes([0, 0, 5, 5]), settings=ATSS, level_sizes=[0, 0])
    assert (nothing.labels.shape, nothing.labels.dtype) == ((0,), torch.int8)
    assert atss_match(NOBODY, boxes([0, 0, 5, 5]), settings=ATSS, level_sizes=[]).labels.shape == (0,)


def test_the_threshold_by_hand() -> None:
    """(4, 0, 26, 10) overlaps its three candidates by 60/260, 100/220 and 60/260: mean .305, deviation .129."""
    found = atss_match(ROW, boxes([4, 0, 26, 10]), settings=ATSS, level_sizes=[4])
    assert found.labels.tolist() == [0, 1, 0, 0]
    assert found.iou.tolist() == pytest.approx([60 / 260, 100 / 220, 60 / 260, 0])
    narrow = MatchSettings(assigner="atss", atss_top_k=3, negative_iou=0.2)
    assert atss_match(ROW, boxes([4, 0, 26, 10]), settings=narrow, level_sizes=[4]).labels.tolist() == [-1, 1, -1, 0]


def test_a_box_sets_its_threshold_below_the_papers() -> None:
    """IoU .45 is far below .7, and the anchor is not the best: the same box has a better one on another level."""
    both = torch.cat([ROW, boxes([3, 0, 27, 10])])
    truth = boxes([4, 0, 26, 10])  # .23 .45 .23 and 220/240 = .92: mean .458, deviation .325
    assert atss_match(both, truth, settings=ATSS, level_sizes=[4, 1]).labels.tolist() == [0, -1, 0, 0, 1]
    wide = torch.cat([ROW, boxes([5, 0, 25, 10])])[[1, 4]]
    assert match(wide, truth).labels.tolist() == [-1, 1]


def test_a_tiny_box_has_its_best_anchor_all_the_same() -> None:
    tiny = boxes([1, 1, 3, 3])  # no anchor is centred in it
    found = atss_match(ROW, tiny, settings=ATSS, level_sizes=[4])
    assert found.labels.tolist() == [1, 0, 0, 0]
    assert found.iou[0].item() == pytest.approx(4 / 100)


def test_a_box_that_no_anchor_overlaps_makes_nothing_positive() -> None:
    assert atss_match(ROW, boxes([0, 50, 40, 60]), settings=ATSS, level_sizes=[4]).labels.tolist() == [0, 0, 0, 0]


def test_an_anchor_that_two_boxes_claim_stands_for_the_one_it_overlaps_most() -> None:
    truth = boxes([10, 0, 24, 10], [9, 0, 20, 10])  # 100/140 and 100/110 of anchor 1
    for order in ([0, 1], [1, 0]):
        found = atss_match(ROW, truth[order], settings=ATSS, level_sizes=[4])
        assert found.labels[1] == 1
        assert truth[order][found.box_index[1]].tolist() == [9, 0, 20, 10]
        assert found.iou[1].item() == pytest.approx(100 / 110)


def test_an_anchor_that_does_not_take_part_leaves_its_place_to_another() -> None:
    valid = torch.tensor([True, False, True, True])
    found = atss_match(ROW, boxes([9, 0, 22, 10]), None, ATSS, valid, level_sizes=[4])
    assert found.labels.tolist() == [0, -1, 1, 0]  # the best of those that are left


def test_ignore_regions_are_no_background() -> None:
    found = atss_match(ROW, boxes([4, 0, 26, 10]), boxes([18, 0, 50, 50]), ATSS, level_sizes=[4])
    assert found.labels.tolist() == [0, 1, -1, -1]


def test_all_others_are_negative_where_the_settings_say_so() -> None:
    settings = MatchSettings(positive_iou=1, negative_iou=1, assigner="atss")
    labels = atss_match(
        scattered(300, 8, 60, seed=1), scattered(9, 8, 60, seed=2), settings=settings, level_sizes=[300]
    )
    assert set(labels.labels.tolist()) == {0, 1}


@pytest.mark.parametrize("kind", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("candidates", [2, 9])
def test_agrees_with_the_papers_sentences(kind: torch.dtype, candidates: int) -> None:
    settings = AnchorSettings(sizes=(32.0, 64.0, 128.0), ratios_height_over_width=(1.0,))
    levels = level_anchors(settings, [(32, 40), (16, 20), (8, 10)], [8, 16, 32])
    anchors, counts = torch.cat(levels).to(kind), [len(level) for level in levels]
    truth = scattered(30, 10, 200, seed=3).to(kind)
    found = atss_match(
        anchors, truth, settings=MatchSettings(assigner="atss", atss_top_k=candidates), level_sizes=counts
    )
    stands = naive(anchors.double(), counts, truth.double(), candidates)
    leading = match(anchors, truth, settings=MatchSettings(positive_iou=1.0)).labels == 1
    assert ((stands >= 0) | leading.numpy()).tolist() == (found.labels == 1).tolist()
    claimed = stands >= 0
    assert claimed.sum() > 20
    assert found.box_index[claimed].tolist() == stands[claimed].tolist()


def test_levels_that_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="4 anchors came with levels of \\[3\\]"):
        atss_match(ROW, NOBODY, level_sizes=[3])


def test_the_rule_that_the_settings_name() -> None:
    truth, valid = boxes([4, 0, 26, 10], [28, 0, 44, 10]), torch.ones(4, dtype=torch.bool)
    plain, own = MatchSettings(), MatchSettings(assigner="atss", atss_top_k=2)
    for settings, expected in (
        (plain, match(ROW, truth, NOBODY, plain, valid)),
        (own, atss_match(ROW, truth, NOBODY, own, valid, level_sizes=[4])),
    ):
        found = matcher_of(settings, [4])(ROW, truth, NOBODY, settings, valid)
        assert torch.equal(found.labels, expected.labels)
        assert torch.equal(found.iou, expected.iou)


MEMORY = """
import resource, torch
from objectness.rpn.anchors import level_anchors
from objectness.rpn.extensions.atss import atss_match
from objectness.rpn.settings import AnchorSettings
torch.set_num_threads(1)
strides = [4, 8, 16, 32, 64]
settings = AnchorSettings(sizes=(32.0, 64.0, 128.0, 256.0, 512.0))
levels = level_anchors(settings, [(-(-800 // s), -(-1344 // s)) for s in strides], strides)
anchors, counts = torch.cat(levels), [len(level) for level in levels]
corner = torch.rand(100, 2, generator=torch.Generator().manual_seed(0)) * 200
boxes = torch.cat([corner, corner + torch.tensor([1000.0, 500.0])], dim=1)
atss_match(anchors[:100], boxes[:2], level_sizes=[100])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, ballast = peak(), []
while peak() < before + 8:
    ballast.append(torch.ones(2**18))
before = peak()
labels = atss_match(anchors, boxes, level_sizes=counts).labels
print(peak() - before, int((labels == 1).sum()))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts kilobytes on Linux only")
def test_memory_stays_under_80_megabytes_for_268569_anchors_and_100_boxes() -> None:
    """All pairs would take 107 in float32."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    megabytes, positives = done.stdout.split()
    assert 2 < float(megabytes) < 80
    assert int(positives) >= 1
