from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from objectness.rpn.extensions.oln import oln_loss
from objectness.rpn.extensions.settings import OLNSettings
from objectness.rpn.losses import LossOutput
from objectness.rpn.outputs import ImagePredictions
from objectness.rpn.settings import LossSettings, MatchSettings, RPNSettings, SampleSettings
from objectness.rpn.targets import Target

# Their IoU with the object: 5/6, 1/10, 0 and 4/7; their centres lie at x = 5, 15, 25 and 9.
ANCHORS = torch.tensor([[0.0, 0, 10, 10], [10, 0, 20, 10], [20, 0, 30, 10], [4, 0, 14, 10]])
OBJECT = torch.tensor([[0.0, 0, 12, 10]])
NOBODY = torch.zeros(0, 4)
CENTERNESS = [(5 / 7) ** 0.5, (3 / 9) ** 0.5]


def answer(
    logits: Tensor, boxes: Tensor = OBJECT, ignore: Tensor = NOBODY, deltas: Tensor | None = None
) -> ImagePredictions:
    deltas = torch.zeros(4, 4) if deltas is None else deltas
    everyone = torch.ones(4, dtype=torch.bool)
    target = Target(boxes, ignore, (40, 40))
    return ImagePredictions(ANCHORS, torch.full((4,), 4.0), logits, deltas, everyone, 100, target)


def loss(*answers: ImagePredictions, size: int = 256, **own: Any) -> LossOutput:
    settings = RPNSettings(
        match=MatchSettings(positive_iou=0.5, negative_iou=0.3, drop_cross_boundary=False),
        sample=SampleSettings(size=size),
        oln=OLNSettings(**own),
        loss=LossSettings(objective="oln", box="giou", box_weight=2.0),
    )
    return oln_loss(answers, settings, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("negatives", "drawn"), [("none", []), ("ring", [1]), ("all", [1, 2])])
def test_the_loss_by_hand(negatives: str, drawn: list[int]) -> None:
    """Scores of .5, boxes as the anchors; GIoU is IoU here, the hulls are full."""
    report = loss(answer(torch.zeros(4, 1)), negatives=negatives)
    (sample,) = report.samples
    assert (sample.positives.tolist(), sample.negatives.tolist()) == ([0, 3], drawn)
    expected = sum(abs(wanted - 0.5) for wanted in CENTERNESS) + 0.5 * len(drawn)
    assert report.loss.objectness.item() == pytest.approx(expected / (2 + len(drawn)), rel=1e-5)
    assert report.loss.box.item() == pytest.approx(2 * ((1 - 5 / 6) + (1 - 4 / 7)) / 2, rel=1e-5)


def test_the_overlap_as_measure_by_the_log_loss() -> None:
    margin = math.log(3)  # a score of .75
    report = loss(answer(torch.full((4, 1), margin)), negatives="none", measure="iou", loss="log")
    expected = [-(iou * math.log(0.75) + (1 - iou) * math.log(0.25)) for iou in (5 / 6, 4 / 7)]
    assert report.loss.objectness.item() == pytest.approx(sum(expected) / 2, rel=1e-5)


def test_two_logits_are_one_score() -> None:
    one = loss(answer(torch.zeros(4, 1))).loss.objectness
    assert loss(answer(torch.full((4, 2), 3.0))).loss.objectness.item() == pytest.approx(one.item())


def test_how_many_are_drawn() -> None:
    assert len(loss(answer(torch.zeros(4, 1)), negatives="all", negatives_per_positive=0.5).samples[0].negatives) == 1
    assert len(loss(answer(torch.zeros(4, 1)), negatives="all", negatives_per_positive=0).samples[0].negatives) == 0
    assert len(loss(answer(torch.zeros(4, 1)), size=1).samples[0].positives) == 1


def test_what_nobody_labelled_is_asked_nothing() -> None:
    logits = torch.zeros(4, 1, requires_grad=True)
    loss(answer(logits)).loss.total.backward()
    assert logits.grad is not None
    assert (logits.grad.flatten() != 0).tolist() == [True, True, False, True]


@pytest.mark.parametrize("negatives", ["none", "ring", "all"])
def test_an_image_without_labelled_boxes_says_nothing(negatives: str) -> None:
    logits, deltas = torch.zeros(4, 1, requires_grad=True), torch.zeros(4, 4, requires_grad=True)
    empty = answer(logits, NOBODY, deltas=deltas)
    alone = loss(empty, negatives=negatives).loss
    assert alone.total.item() == 0
    alone.total.backward()
    for given in (logits, deltas):
        assert given.grad is not None
        assert given.grad.abs().max() == 0
    full = answer(torch.zeros(4, 1))
    assert loss(full, empty, negatives=negatives).loss.total.item() == loss(full, negatives=negatives).loss.total.item()


def test_a_box_that_no_anchor_reaches() -> None:
    far = torch.tensor([[30.0, 30, 40, 40]])
    report = loss(answer(torch.zeros(4, 1), far))
    assert (report.loss.total.item(), len(report.samples[0].positives)) == (0, 0)


def test_an_ignore_region_is_no_ring() -> None:
    report = loss(answer(torch.zeros(4, 1), ignore=torch.tensor([[10.0, 0, 40, 40]])))
    assert report.matches[0].labels.tolist() == [1, -1, -1, 1]
    assert report.samples[0].negatives.tolist() == []


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_gives_the_same_loss_and_finite_gradients(kind: torch.dtype) -> None:
    logits, deltas = (torch.zeros(4, n, dtype=kind, requires_grad=True) for n in (1, 4))
    narrow = loss(answer(logits, deltas=deltas)).loss
    assert narrow.total.dtype == torch.float32
    assert narrow.total.item() == pytest.approx(loss(answer(torch.zeros(4, 1))).loss.total.item(), rel=1e-3)
    narrow.total.backward()
    for given in (logits, deltas):
        assert given.grad is not None
        assert torch.isfinite(given.grad).all()


def test_descending_the_loss_makes_the_score_the_overlap_and_leaves_the_rest_alone() -> None:
    logits, deltas = torch.full((4, 1), -2.0, requires_grad=True), torch.zeros(4, 4, requires_grad=True)
    optimizer = torch.optim.Adam([logits, deltas], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        loss(answer(logits, deltas=deltas), measure="iou", loss="log").loss.total.backward()
        optimizer.step()
    scores = torch.sigmoid(logits.flatten())
    assert scores[[0, 3]].min() > 0.9
    assert scores[1] < 0.05
    assert logits[2].item() == -2
