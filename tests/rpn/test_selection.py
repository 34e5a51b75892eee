from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.ops import nms

from objectness.rpn import selection
from objectness.rpn.extensions.refinement_head import refine_best
from objectness.rpn.losses import objectness_scores
from objectness.rpn.selection import Selection, suppress
from objectness.rpn.settings import RPNSettings, SelectSettings

INF, NAN = float("inf"), float("nan")


def candidates(logits: list[Tensor], *given: Any, **named: Any) -> Selection:
    return selection.candidates([objectness_scores(level) for level in logits], *given, **named)


def found(boxes: list[list[float]], scores: list[float], levels: list[int] | None = None) -> Selection:
    return Selection(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(scores, dtype=torch.float32),
        torch.tensor([0] * len(scores) if levels is None else levels, dtype=torch.int64),
    )


def one_level(
    anchors: list[list[float]],
    logits: list[float],
    deltas: list[list[float]] | None = None,
    size_hw: tuple[int, int] = (100, 100),
    **settings: float,
) -> Selection:
    boxes = torch.tensor(anchors, dtype=torch.float32).reshape(-1, 4)
    moves = torch.zeros_like(boxes) if deltas is None else torch.tensor(deltas)
    select = SelectSettings(**settings)  # type: ignore[arg-type]
    return candidates([torch.tensor(logits).reshape(-1, 1)], [moves], [boxes], size_hw, select)


def row(count: int, side: float = 5.0) -> list[list[float]]:
    return [[10.0 * i, 0, 10.0 * i + side, side] for i in range(count)]


def test_the_papers_numbers() -> None:
    settings = RPNSettings()
    test, train = settings.select, settings.select_train
    assert (test.pre_nms_top_n, test.post_nms_top_n, test.nms_iou) == (6000, 300, 0.7)
    assert (train.pre_nms_top_n, train.post_nms_top_n, train.nms_iou) == (12000, 2000, 0.7)


def test_no_anchors_give_no_proposals() -> None:
    nothing = one_level([], [])
    assert (len(nothing.boxes_xyxy), len(nothing.scores), len(nothing.levels)) == (0, 0, 0)
    assert len(suppress(nothing, SelectSettings()).scores) == 0


def test_decoded_clipped_and_scored_by_hand() -> None:
    anchors = [[-10.0, 20.0, 30.0, 60.0], [50.0, 50.0, 90.0, 90.0]]
    deltas = [[0.0, 0.0, 0.0, 0.0], [0.25, 0.0, math.log(2), 0.0]]
    got = one_level(anchors, [0.0, math.log(3)], deltas, size_hw=(55, 100))
    torch.testing.assert_close(got.scores, torch.tensor([0.75, 0.5]))  # probabilities, best first
    torch.testing.assert_close(got.boxes_xyxy, torch.tensor([[40.0, 50.0, 100.0, 55.0], [0.0, 20.0, 30.0, 55.0]]))
    assert got.levels.tolist() == [0, 0]


def test_two_logits_are_a_softmax() -> None:
    anchors = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    logits = torch.tensor([[1.0, 1.0 + math.log(4)]])
    got = candidates([logits], [torch.zeros(1, 4)], [anchors], (50, 50), SelectSettings())
    assert got.scores.item() == pytest.approx(0.8)


def test_tiny_boxes_are_dropped() -> None:
    anchors = [[0.0, 0, 16, 16], [0.0, 0, 15.9, 40], [0.0, 0, 40, 15.9], [90.0, 0, 200, 50]]  # 10 x 50 once clipped
    assert one_level(anchors, [1.0] * 4, min_size=16.0).boxes_xyxy.tolist() == [[0, 0, 16, 16]]


def test_empty_boxes_are_dropped_whatever_the_settings() -> None:
    outside = [[120.0, 0, 140, 10], [0.0, -30, 10, -5], [5.0, 5, 5, 9]]
    assert len(one_level(outside, [1.0] * 3, min_size=0.0).scores) == 0


def test_what_is_not_finite_is_dropped() -> None:
    deltas = [[0.0] * 4 for _ in range(9)]
    for place, (column, value) in enumerate([(0, INF), (1, -INF), (2, INF), (3, -INF), (2, NAN), (0, NAN)]):
        deltas[place][column] = value
    got = one_level(row(9), [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, NAN, 1.0, -1.0], deltas, min_size=0.0)
    assert got.boxes_xyxy.tolist() == [[70, 0, 75, 5], [80, 0, 85, 5]]


def test_infinite_logits_are_certain() -> None:
    got = one_level(row(3), [-INF, 0.0, INF])
    assert got.scores.tolist() == [1, 0.5, 0]
    both = candidates(
        [torch.tensor([[INF, INF], [0.0, INF]])],
        [torch.zeros(2, 4)],
        [torch.tensor(row(2))],
        (99, 99),
        SelectSettings(),
    )
    assert both.boxes_xyxy.tolist() == [[10, 0, 15, 5]]  # the difference of two infinities is not a number


def test_a_huge_delta_stays_inside() -> None:
    got = one_level([[40.0, 40, 60, 60]], [0.0], [[0.0, 0.0, 1e4, 1e4]])
    assert got.boxes_xyxy.tolist() == [[0, 0, 100, 100]]
    narrow = candidates(
        [torch.zeros(1, 1)],
        [torch.full((1, 4), 9.0)],
        [torch.tensor([[0.0, 0, 10, 10]])],
        (500, 500),
        SelectSettings(),
        delta_clamp=math.log(2),
    )
    torch.testing.assert_close(narrow.boxes_xyxy, torch.tensor([[85.0, 85.0, 105.0, 105.0]]))


def test_the_best_of_each_level_enter() -> None:
    fine, coarse = torch.tensor(row(6)), torch.tensor(row(3, side=8.0))
    logits = [torch.tensor([[0.1], [0.6], [0.3], [0.5], [0.2], [0.4]]), torch.tensor([[-1.0], [-3.0], [-2.0]])]
    got = candidates(
        logits, [torch.zeros(6, 4), torch.zeros(3, 4)], [fine, coarse], (99, 99), SelectSettings(pre_nms_top_n=2)
    )
    assert got.boxes_xyxy[:, 0].tolist() == [10, 30, 0, 20]  # the weak coarse level keeps its two
    assert got.levels.tolist() == [0, 0, 1, 1]


def test_unusable_boxes_cost_no_place_among_the_best() -> None:
    logits = [9.0, 8.0, 1.0, 0.0]
    anchors = [[500.0, 0, 510, 10], [0.0, 0, 0.5, 9], [0.0, 0, 10, 10], [20.0, 0, 30, 10]]
    assert one_level(anchors, logits, pre_nms_top_n=2).boxes_xyxy[:, 0].tolist() == [0, 20]


def test_20000_anchors_to_6000_to_300() -> None:
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(20_000, 2, generator=generator) * 900
    anchors = torch.cat([corner, corner + 20 + torch.rand(20_000, 2, generator=generator) * 60], dim=1)
    logits = torch.randn(20_000, 1, generator=generator)
    entering = candidates([logits], [torch.zeros(20_000, 4)], [anchors], (1000, 1000), SelectSettings())
    assert len(entering.scores) == 6000
    assert entering.scores.min() >= logits[:, 0].sigmoid().sort(descending=True).values[5999]
    kept = suppress(entering, SelectSettings())
    assert len(kept.scores) == 300
    assert (kept.scores.diff() <= 0).all()
    assert kept.scores[0] == entering.scores[0]
    assert kept.scores.min() >= 0
    assert kept.scores.max() <= 1
    more = suppress(entering, SelectSettings(post_nms_top_n=2000))
    assert len(more.scores) == 2000
    assert torch.equal(more.boxes_xyxy[:300], kept.boxes_xyxy)


CHAINERCV = [[0.0, 0, 4, 4], [1.0, 1, 5, 5], [2.0, 1, 6, 5], [4.0, 0, 8, 4]]


@pytest.mark.parametrize(
    ("threshold", "expected"),
    # chainercv suppresses at >= and ends with 0 alone at a threshold of 0; above the threshold, 3 never touches 0.
    [(1.0, [0, 1, 2, 3]), (0.5, [0, 1, 3]), (0.3, [0, 2, 3]), (0.2, [0, 3]), (0.0, [0, 3])],
)
def test_chainercvs_suppression(threshold: float, expected: list[int]) -> None:
    kept = suppress(found(CHAINERCV, [0.9, 0.8, 0.7, 0.6]), SelectSettings(nms_iou=threshold))
    assert kept.boxes_xyxy.tolist() == [CHAINERCV[index] for index in expected]


def test_the_threshold_itself_is_kept() -> None:
    halves = [[0.0, 0, 10, 10], [0.0, 0, 10, 5]]  # IoU exactly 0.5
    assert len(suppress(found(halves, [0.9, 0.8]), SelectSettings(nms_iou=0.5)).scores) == 2
    assert len(suppress(found(halves, [0.9, 0.8]), SelectSettings(nms_iou=0.4999)).scores) == 1


@pytest.mark.parametrize("kind", [torch.float32, torch.float16])
def test_torchvisions_half_precision_case(kind: torch.dtype) -> None:
    """The areas (about 600,000) are more than float16 can hold."""
    boxes = torch.tensor(
        [
            [285.3538, 185.5758, 1193.5110, 851.4551],
            [285.1472, 188.7374, 1192.4984, 851.0669],
            [279.2440, 197.9812, 1189.4746, 849.2019],
        ]
    ).to(kind)
    scores = torch.tensor([0.6370, 0.7569, 0.3966])
    entering = candidates(
        [torch.logit(scores)[:, None].to(kind)],
        [torch.zeros(3, 4, dtype=kind)],
        [boxes],
        (900, 1300),
        SelectSettings(),
    )
    kept = suppress(entering, SelectSettings(nms_iou=0.2))
    torch.testing.assert_close(kept.scores, scores[1:2], rtol=1e-3, atol=0)
    torch.testing.assert_close(kept.boxes_xyxy, boxes[1:2].float())


def test_levels_do_not_suppress_one_another() -> None:
    same = [[0.0, 0, 10, 10]] * 4
    kept = suppress(found(same, [0.6, 0.9, 0.8, 0.7], [0, 0, 1, 1]), SelectSettings())
    torch.testing.assert_close(kept.scores, torch.tensor([0.9, 0.8]))
    assert kept.levels.tolist() == [0, 1]


def test_equal_scores_keep_the_finer_level_and_the_lower_index_first() -> None:
    boxes = [[float(20 * i), 0, float(20 * i + 10), 10] for i in range(4)]
    kept = suppress(found(boxes, [0.5] * 4, [0, 0, 1, 1]), SelectSettings())
    assert kept.boxes_xyxy.tolist() == boxes


def test_gradients_do_not_flow_through_what_was_dropped() -> None:
    logits = torch.zeros(3, 1, requires_grad=True)
    got = candidates([logits], [torch.zeros(3, 4)], [torch.tensor(row(3))], (99, 99), SelectSettings(pre_nms_top_n=2))
    got.scores.sum().backward()
    grad: Tensor | None = logits.grad
    assert grad is not None
    assert sorted(grad.flatten().tolist()) == [0, 0.25, 0.25]


@pytest.mark.parametrize("outside", [0, 1, 40])
def test_decoding_only_the_best_changes_nothing(outside: int) -> None:
    """The slow way: decode and rank all of a level, then cut."""
    generator = torch.Generator().manual_seed(outside)
    anchors = torch.rand(500, 4, generator=generator) * 90
    anchors[:, 2:] = anchors[:, :2] + 5 + anchors[:, 2:] / 4
    logits, deltas = torch.randn(500, 1, generator=generator), torch.randn(500, 4, generator=generator) * 0.3
    best = logits[:, 0].argsort(descending=True)
    anchors[best[:outside]] += 500
    logits[best[60]], deltas[best[70]] = NAN, INF
    whole = candidates([logits], [deltas], [anchors], (100, 100), SelectSettings(pre_nms_top_n=500))
    some = candidates([logits], [deltas], [anchors], (100, 100), SelectSettings(pre_nms_top_n=90))
    assert len(whole.scores) <= 498 - outside
    assert torch.equal(some.boxes_xyxy, whole.boxes_xyxy[:90])
    assert torch.equal(some.scores, whole.scores[:90])


@pytest.mark.parametrize("left_out", [False, True])
@pytest.mark.parametrize("before", [1, 1000, 12000, 20000])
def test_equal_scores_enter_suppression_by_index(before: int, left_out: bool) -> None:
    """Thousands of equal scores at the cut, which NumPy's stable sort decides; also where one of the best is no box."""
    generator = torch.Generator().manual_seed(before)
    logits = torch.randint(0, 3, (20000, 1), generator=generator).float()
    anchors = torch.tensor([0.0, 0, 4, 4]) + 0.5 * torch.arange(20000)[:, None]
    if left_out:
        anchors[np.argmax(logits[:, 0].numpy())] = -9.0  # no area
    size_hw = (20000, 20000)
    got = candidates([logits], [torch.zeros(20000, 4)], [anchors], size_hw, SelectSettings(pre_nms_top_n=before))
    order = np.argsort(-logits[:, 0].numpy(), kind="stable")
    expected = order[int(left_out) :][:before]
    np.testing.assert_array_equal(got.boxes_xyxy[:, 0].numpy() * 2, expected)


def test_a_second_look_leaves_equal_scores_in_their_order() -> None:
    """It is asked about the lowest places, and what it says is the same of all."""
    logits, anchors = torch.zeros(5000, 1), torch.tensor([0.0, 0, 4, 4]) + 0.5 * torch.arange(5000)[:, None]
    asked: list[Tensor] = []

    def correct(level: int, boxes: Tensor, margins: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(boxes[:, 0] * 2)
        return torch.zeros_like(boxes), margins

    select = SelectSettings()
    refine = partial(refine_best, correct, 1500, (9999, 9999), select, 4.0)
    got = candidates([logits], [torch.zeros(5000, 4)], [anchors], (9999, 9999), select, refine=refine)
    np.testing.assert_array_equal(asked[0].numpy(), np.arange(1500))
    np.testing.assert_array_equal(got.boxes_xyxy[:, 0].numpy() * 2, np.arange(5000))


@pytest.mark.parametrize("after", [1, 7, 100, 5000])
def test_levels_together_are_as_each_with_torchvision(after: int) -> None:
    generator = torch.Generator().manual_seed(after)
    corner = torch.rand(2000, 2, generator=generator) * 100
    boxes = torch.cat([corner, corner + 20 + torch.rand(2000, 2, generator=generator) * 20], dim=1)
    scores = torch.randint(0, 40, (2000,), generator=generator) / 40  # many ties
    levels = torch.arange(2000) // 500
    alone = [500 * level + nms(boxes[levels == level], scores[levels == level], 0.6) for level in range(4)]
    kept = torch.cat(alone).sort().values
    want = kept[scores[kept].argsort(descending=True, stable=True)][:after]
    got = suppress(Selection(boxes, scores, levels), SelectSettings(nms_iou=0.6, post_nms_top_n=after))
    assert torch.equal(got.boxes_xyxy, boxes[want])
    assert torch.equal(got.scores, scores[want])
    assert torch.equal(got.levels, levels[want])


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_suppression_in_other_precisions(kind: torch.dtype) -> None:
    kept = suppress(
        Selection(
            torch.tensor(CHAINERCV, dtype=kind), torch.tensor([0.9, 0.8, 0.7, 0.6], dtype=kind), torch.zeros(4).long()
        ),
        SelectSettings(nms_iou=0.3),
    )
    assert kept.boxes_xyxy.tolist() == [CHAINERCV[index] for index in (0, 2, 3)]
    assert kept.scores.dtype == kind


def test_suppression_lets_gradients_through() -> None:
    boxes, scores = torch.tensor(CHAINERCV, requires_grad=True), torch.tensor([0.9, 0.8, 0.7, 0.6], requires_grad=True)
    suppress(Selection(boxes, scores, torch.zeros(4).long()), SelectSettings(nms_iou=0.3)).scores.sum().backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == [1, 0, 1, 1]
