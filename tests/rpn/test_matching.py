from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import box_iou

from objectness.rpn import matching, matching_index
from objectness.rpn.anchors import inside_image, level_anchors
from objectness.rpn.extensions.atss import atss_match
from objectness.rpn.matching import Matches, label, match, plain_match
from objectness.rpn.matching_index import Blocks, overlaps_in_chunks
from objectness.rpn.settings import AnchorSettings, MatchSettings


def boxes(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)


def match_overlaps(
    overlaps: Callable[[Tensor], Tensor], *, count: int, boxes: int, settings: MatchSettings | None = None
) -> Matches:
    """Match by a table of overlaps, as a GPU does."""
    settings = settings or MatchSettings()
    best = overlaps_in_chunks(overlaps, count=count, boxes=boxes, tie_tolerance=settings.tie_tolerance)
    return label(best, settings)


def of_matrix(overlaps_by_anchor: list[list[float]], settings: MatchSettings | None = None) -> Matches:
    matrix = torch.tensor(overlaps_by_anchor)
    return match_overlaps(lambda rows: matrix[rows], count=len(matrix), boxes=matrix.shape[1], settings=settings)


def test_no_boxes_makes_every_anchor_negative() -> None:
    found = match(boxes([0, 0, 9, 9], [5, 5, 8, 8]), boxes())
    assert found.labels.tolist() == [0, 0]
    assert found.box_index.tolist() == [0, 0]
    assert found.iou.tolist() == [0, 0]
    assert found.labels.dtype == torch.int8


def test_no_anchors() -> None:
    for truth in (boxes(), boxes([0, 0, 9, 9])):
        found = match(boxes(), truth)
        assert len(found.labels) == len(found.box_index) == len(found.iou) == 0
    none_valid = match(boxes([0, 0, 9, 9]), boxes([0, 0, 9, 9]), valid=torch.tensor([False]))
    assert none_valid.labels.tolist() == [-1]


def test_detectron2s_matrix() -> None:
    by_box = [[0.15, 0.45, 0.2, 0.6], [0.3, 0.65, 0.05, 0.1], [0.05, 0.4, 0.25, 0.4]]
    found = of_matrix([list(column) for column in zip(*by_box, strict=True)])
    assert found.box_index.tolist() == [1, 1, 2, 0]
    assert found.labels.tolist() == [-1, 1, 0, 1]
    torch.testing.assert_close(found.iou, torch.tensor([0.3, 0.65, 0.25, 0.6]))


def test_mmdetections_assigner() -> None:
    anchors = boxes([0, 0, 10, 10], [10, 10, 20, 20], [5, 5, 15, 15], [32, 32, 38, 42])
    truth = boxes([0, 0, 10, 9], [0, 10, 10, 19])
    found = match(anchors, truth, settings=MatchSettings(0.5, 0.5))
    assert assigned(found) == [1, 0, 2, 0]


def test_mmdetections_assigner_with_an_ignore_region() -> None:
    anchors = boxes([0, 0, 10, 10], [10, 10, 20, 20], [5, 5, 15, 15], [30, 32, 40, 42])
    truth = boxes([0, 0, 10, 9], [0, 10, 10, 19])
    found = match(anchors, truth, boxes([30, 30, 40, 40]), MatchSettings(0.5, 0.5))
    assert assigned(found) == [1, 0, 2, -1]  # 80 of the last anchor's 100 pixels lie in the region


def test_mmdetections_assigner_without_boxes() -> None:
    anchors = boxes([0, 0, 10, 10], [10, 10, 20, 20], [5, 5, 15, 15], [32, 32, 38, 42])
    assert assigned(match(anchors, boxes(), settings=MatchSettings(0.5, 0.5))) == [0, 0, 0, 0]


def assigned(found: Matches) -> list[int]:
    """mmdetection's way to say it: -1 ignored, 0 negative, else the number of the box from 1."""
    return torch.where(found.labels == 1, found.box_index + 1, found.labels.long()).tolist()


def test_a_box_that_no_anchor_reaches_makes_no_positive() -> None:
    """In four well-known codes it makes every anchor with IoU 0 positive."""
    anchors = boxes([0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10])
    found = match(anchors, boxes([100, 100, 102, 102]))
    assert found.labels.tolist() == [0, 0, 0]
    both = match(anchors, boxes([100, 100, 102, 102], [0, 0, 10, 9]))
    assert both.labels.tolist() == [1, 0, 0]


def test_touching_edges_do_not_overlap() -> None:
    assert match(boxes([0, 0, 10, 10]), boxes([10, 0, 20, 10])).labels.tolist() == [0]


def test_all_ties_for_the_best_are_positive() -> None:
    anchors = boxes([0, 0, 10, 10], [4, 0, 14, 10], [100, 0, 110, 10])
    found = match(anchors, boxes([2, 0, 12, 20]))  # 8 x 10 common with both
    assert found.labels.tolist() == [1, 1, 0]


PAPER = torch.cat(level_anchors(AnchorSettings(), [(38, 63)], [16]))
WITHIN_96 = boxes([300, 160, 340, 200])  # 40 x 40, inside 96 of the paper's anchors of area 128 x 128


@pytest.mark.slow
@pytest.mark.parametrize("way", ["blocks", "chunks", "chunks of one", "all pairs", "atss"])
def test_ties_are_not_decided_by_rounding(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """1600 / 16384 with every anchor that holds the box, of whatever ratio; in float32 27 of them come out higher."""
    held = (PAPER[:, :2] <= WITHIN_96[0, :2]).all(1) & (PAPER[:, 2:] >= WITHIN_96[0, 2:]).all(1)
    smallest = held & ((PAPER[:, 2:] - PAPER[:, :2]).prod(1) < 130**2) & inside_image(PAPER, (600, 1000))
    assert int(smallest.sum()) == 96

    def found(settings: MatchSettings) -> Tensor:
        valid = inside_image(PAPER, (600, 1000))
        if way == "blocks":
            return match(PAPER, WITHIN_96, settings=settings, valid=valid).labels
        if way == "atss":
            settings = replace(settings, assigner="atss", atss_top_k=1)
            return atss_match(PAPER, WITHIN_96, settings=settings, valid=valid, level_sizes=[len(PAPER)]).labels
        if way == "chunks of one":
            monkeypatch.setattr(matching_index, "PAIRS_AT_A_TIME", 1)
        rows_taken = torch.nonzero(valid).flatten()
        labels = torch.full((len(PAPER),), -1, dtype=torch.int8)
        if way == "all pairs":
            table = box_iou(PAPER[rows_taken], WITHIN_96)
            tied = (table >= table.amax(0) * (1 - settings.tie_tolerance)).any(1)
            labels[rows_taken] = torch.where(tied, 1, torch.where(table.amax(1) < 0.3, 0, -1)).to(torch.int8)
        else:
            labels[rows_taken] = match_overlaps(
                lambda rows: box_iou(PAPER[rows_taken[rows]], WITHIN_96),
                count=len(rows_taken),
                boxes=1,
                settings=settings,
            ).labels
        return labels

    assert torch.equal(found(MatchSettings()) == 1, smallest)
    exact = found(MatchSettings(tie_tolerance=0))
    claimed = int(way == "atss")  # its one candidate is positive by the other rule
    assert (int((exact[smallest] == 1).sum()), int((exact[smallest] == 0).sum())) == (27 + claimed, 69 - claimed)


def test_a_tie_is_as_close_as_the_settings_say() -> None:
    anchors = boxes([0, 0, 100, 100], [0, 0, 100, 101], [0, 0, 100, 103])
    truth = boxes([0, 0, 50, 50])  # IoU .25, .2475 and .2427: 1 % and 2.9 % below the best
    for tolerance, labels in ((0, [1, 0, 0]), (1e-4, [1, 0, 0]), (0.011, [1, 1, 0]), (0.03, [1, 1, 1])):
        assert match(anchors, truth, settings=MatchSettings(tie_tolerance=tolerance)).labels.tolist() == labels


def test_the_thresholds_themselves_belong_to_neither_side() -> None:
    """Anchors of 10 to 1,000 pixels against a box of 1,000: IoU exactly 0.7, 0.3, just above and just below."""
    truth = boxes([0, 0, 100, 10])
    anchors = boxes([0, 0, 100, 10], [0, 0, 70, 10], [0, 0, 71, 10], [0, 0, 30, 10], [0, 0, 29, 10])
    found = match(anchors, truth)
    torch.testing.assert_close(found.iou, torch.tensor([1, 0.7, 0.71, 0.3, 0.29]))
    assert found.labels.tolist() == [1, -1, 1, -1, 0]


def test_the_best_anchor_is_positive_even_where_it_would_be_negative() -> None:
    found = match(boxes([0, 0, 10, 10], [50, 50, 60, 60]), boxes([0, 0, 3, 3]))
    torch.testing.assert_close(found.iou, torch.tensor([0.09, 0]))
    assert found.labels.tolist() == [1, 0]


def test_the_target_of_a_best_anchor_stays_the_box_it_overlaps_most() -> None:
    """Box 1's best anchor overlaps box 0 more: it is positive, and learns box 0 (as in the released code)."""
    found = of_matrix([[0.6, 0.2], [0.1, 0.1]])
    assert found.labels.tolist() == [1, 0]
    assert found.box_index.tolist() == [0, 0]


def test_the_border_is_dropped_before_matching() -> None:
    """A box whose best anchor leaves the image makes the best anchor inside positive."""
    anchors = boxes([-2, 0, 10, 10], [3, 0, 15, 10], [20, 0, 30, 10])
    truth = boxes([0, 0, 10, 10])
    valid = inside_image(anchors, (40, 40))
    assert valid.tolist() == [False, True, True]
    found = match(anchors, truth, valid=valid)
    torch.testing.assert_close(found.iou, torch.tensor([0, 70 / 150, 0]))
    assert found.labels.tolist() == [-1, 1, 0]
    assert match(anchors, truth).labels.tolist() == [1, -1, 0]


def test_ignore_regions_are_no_background() -> None:
    anchors = boxes([0, 0, 10, 10], [6, 0, 16, 10], [4, 0, 14, 10], [100, 100, 110, 110])
    region = boxes([0, 0, 10, 50], [300, 300, 310, 310])
    found = match(anchors, boxes(), region)
    assert found.labels.tolist() == [-1, 0, -1, 0]  # 1, 0.4, 0.6 and 0 of the anchors lie in the region
    assert match(anchors, boxes(), region, MatchSettings(ignore_iof=0.6)).labels.tolist() == [-1, 0, 0, 0]


def test_ignore_regions_spare_positives() -> None:
    one = boxes([0, 0, 10, 10])
    assert match(one, one, boxes([-50, -50, 50, 50])).labels.tolist() == [1]


coordinate = st.integers(0, 12)
extent = st.integers(1, 8)
some_boxes = st.lists(st.tuples(coordinate, coordinate, extent, extent), max_size=12).map(
    lambda rows: np.array([[x, y, x + w, y + h] for x, y, w, h in rows], dtype=np.float32).reshape(-1, 4)
)


@given(some_boxes, some_boxes, st.sampled_from([1, 2, 3, 7, 2**20]), st.sampled_from([(0.7, 0.3), (0.5, 0.5)]))
@pytest.mark.slow
def test_chunks_agree_with_the_papers_sentences(
    anchors: NDArray[np.float32], truth: NDArray[np.float32], pairs: int, thresholds: tuple[float, float]
) -> None:
    settings = MatchSettings(*thresholds)
    given = torch.from_numpy(anchors), torch.from_numpy(truth)
    plain = plain_match(*given, settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching_index, "PAIRS_AT_A_TIME", pairs)
        in_chunks = match_overlaps(
            lambda rows: box_iou(given[0][rows], given[1]), count=len(anchors), boxes=len(truth), settings=settings
        )
    for found in (match(*given, settings=settings), in_chunks):
        assert torch.equal(found.labels, plain.labels)
        assert torch.equal(found.box_index, plain.box_index)
        assert torch.equal(found.iou, plain.iou)


@pytest.mark.parametrize("pairs", [1, 17, 500, 4096])
def test_chunked_equals_unchunked(pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(3)
    anchors, truth, region = (torch.rand(n, 4, generator=generator) * 100 for n in (300, 20, 3))
    for part in (anchors, truth, region):
        part[:, 2:] = part[:, :2] + 5 + part[:, 2:] / 3
    valid = torch.rand(300, generator=generator) < 0.8
    whole = match(anchors, truth, region, valid=valid)
    monkeypatch.setattr(matching_index, "PAIRS_AT_A_TIME", pairs)
    monkeypatch.setattr(matching, "PAIRS_AT_A_TIME", pairs)
    found = match(anchors, truth, region, valid=valid)
    assert torch.equal(found.labels, whole.labels)
    assert torch.equal(found.box_index, whole.box_index)
    assert torch.equal(found.iou, whole.iou)
    assert {-1, 0, 1} == set(whole.labels.tolist())


def scattered(count: int, low: float, high: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    sides = low * (high / low) ** torch.rand(count, 2, generator=generator)
    corner = torch.rand(count, 2, generator=generator) * 300 - 50
    return torch.cat([corner, corner + sides], dim=1)


TRUTHS = {
    "small": scattered(15, 4, 20, seed=1),
    "large": scattered(15, 100, 400, seed=2),
    "mixed": scattered(40, 2, 300, seed=3),
    "nested": torch.stack([torch.tensor([100 - i, 90 - i, 140 + i, 160 + 2 * i]) for i in range(0, 90, 3)]).float(),
    "twins": scattered(5, 20, 60, seed=4).repeat(3, 1),
    "anchors themselves": torch.cat([boxes([0, 0, 32, 32], [16, 16, 80, 80]), boxes([-16, 0, 16, 32])]),
    "out of reach": boxes([5000, 5000, 5010, 5010], [100, 100, 140, 140]),
    "without area": boxes([100, 100, 100, 140], [100, 100, 140, 140]),
}


@pytest.mark.slow
@pytest.mark.parametrize("tolerance", [0.0, 1e-4, 0.1])
@pytest.mark.parametrize("block", [1, 7, 64, 4096])
@pytest.mark.parametrize("order", ["as laid out", "shuffled"])
@pytest.mark.parametrize("name", list(TRUTHS))
def test_blocks_agree_with_all_pairs(
    name: str, order: str, block: int, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchors = torch.cat(
        level_anchors(AnchorSettings(sizes=(32.0, 64.0, 128.0)), [(32, 40), (16, 20), (8, 10)], [8, 16, 32])
    )
    if order == "shuffled":
        anchors = anchors[torch.randperm(len(anchors), generator=torch.Generator().manual_seed(0))]
    truth = TRUTHS[name]
    monkeypatch.setattr(matching_index, "_BLOCK", block)
    settings = MatchSettings(tie_tolerance=tolerance)
    found = match(anchors, truth, settings=settings)
    pairs = match_overlaps(
        lambda rows: box_iou(anchors[rows], truth), count=len(anchors), boxes=len(truth), settings=settings
    )
    assert torch.equal(found.labels, pairs.labels)
    assert torch.equal(found.box_index, pairs.box_index)
    assert torch.equal(found.iou, pairs.iou)


@pytest.mark.parametrize("block", [1, 7, 64])
@pytest.mark.parametrize("name", list(TRUTHS))
def test_no_overlap_lies_outside_its_bounds(name: str, block: int) -> None:
    anchors = torch.cat(level_anchors(AnchorSettings(sizes=(16.0, 64.0)), [(32, 40), (8, 10)], [8, 32]))
    truth, blocks = TRUTHS[name], Blocks(anchors, block)
    filled = torch.cat([anchors, anchors[-1:].expand(-len(anchors) % block, 4)])
    overlaps = box_iou(filled, truth).view(blocks.count, block, len(truth))
    most = torch.stack(list(blocks.most(truth)), dim=1)
    assert bool((overlaps.amax(1) <= most).all())
    assert bool((blocks.least(truth) <= overlaps.amax(2).amin(1) * (1 + 1e-5)).all())


def test_bounds_worked_by_hand() -> None:
    """Anchors of 10 x 10 and 10 x 20 in one block; a box of 40 x 40 around both, one of 8 x 30 beside the first."""
    blocks = Blocks(boxes([0, 0, 10, 10], [0, 20, 10, 40]), 2)
    around, beside, away = boxes([0, 0, 40, 40], [5, 0, 13, 30], [10, 0, 20, 40]).split(1)
    assert blocks.least(torch.cat([around, beside])).tolist() == pytest.approx([100 / 1600])
    assert blocks.least(beside).tolist() == [0]
    found = [float(most) for most in blocks.most(torch.cat([around, beside, away]))]
    assert found == pytest.approx([200 / 1600, 150 / 240, 0], rel=1e-4)  # 5 x 30 of the common rectangle lie in it


@pytest.mark.parametrize("kind", [torch.float16, torch.float64])
def test_other_precisions_agree_with_all_pairs(kind: torch.dtype) -> None:
    anchors, truth = scattered(200, 10, 60, seed=5).to(kind), scattered(9, 10, 60, seed=6).to(kind)
    found = match(anchors, truth)
    wide = torch.promote_types(kind, torch.float32)
    table = box_iou(anchors.to(wide), truth.to(wide))
    pairs = match_overlaps(lambda rows: table[rows], count=200, boxes=9)
    assert torch.equal(found.labels, pairs.labels)
    assert torch.equal(found.iou, pairs.iou)


MEMORY = """
import resource, torch
from objectness.rpn.anchors import level_anchors
from objectness.rpn.matching import match
from objectness.rpn.settings import AnchorSettings
torch.set_num_threads(1)
settings = AnchorSettings(sizes=(32.0, 64.0, 128.0, 256.0, 512.0))
strides = [4, 8, 16, 32, 64]
anchors = torch.cat(level_anchors(settings, [(-(-800 // s), -(-1344 // s)) for s in strides], strides))
assert len(anchors) == 268_569, len(anchors)
corner = torch.rand(500, 2, generator=torch.Generator().manual_seed(0)) * 200
# Large boxes are the worst case: all small anchors within one tie for it until a larger one is seen.
boxes = torch.cat([corner, corner + torch.tensor([1000.0, 500.0])], dim=1)
match(anchors[:100], boxes[:2], boxes[:2])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, ballast = peak(), []
while peak() < before + 8:  # starting up took more than is in use now: fill up, so that any growth shows
    ballast.append(torch.ones(2**18))
before = peak()
labels = match(anchors, boxes, boxes[:3]).labels
print(peak() - before, int((labels == 1).sum()))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts kilobytes on Linux only")
def test_memory_stays_under_100_megabytes_for_268569_anchors_and_500_boxes() -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    megabytes, positives = done.stdout.split()
    assert 5 < float(megabytes) < 100
    assert int(positives) >= 1
