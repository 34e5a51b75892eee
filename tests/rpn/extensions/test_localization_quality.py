from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from objectness.rpn.criterion import objective_of
from objectness.rpn.extensions.localization_quality import (
    centerness,
    paired_iou,
    quality_loss,
    quality_target,
    ranking_scores,
    score_losses,
)
from objectness.rpn.extensions.settings import LocalizationQualitySettings, TaskAlignedSettings
from objectness.rpn.losses import LossOutput
from objectness.rpn.outputs import ImagePredictions
from objectness.rpn.selection import candidates
from objectness.rpn.settings import LossSettings, MatchSettings, RPNSettings, SampleSettings, SelectSettings
from objectness.rpn.targets import Target

ANCHORS = torch.tensor([[0.0, 0, 10, 10], [10, 0, 20, 10], [20, 0, 30, 10], [4, 0, 14, 10]])
OBJECT = torch.tensor([[0.0, 0, 12, 10]])  # IoU with the anchors: 5/6, 1/10, 0, 4/7
NOBODY = torch.zeros(0, 4)
STRIDES = torch.full((4,), 4.0)


def answer(quality: Tensor | None, boxes: Tensor = OBJECT, kind: torch.dtype = torch.float32) -> ImagePredictions:
    """Of a network that says .5 everywhere and leaves the anchors where they are."""
    deltas, logits = torch.zeros(4, 4, dtype=kind, requires_grad=True), torch.zeros(4, 1, dtype=kind)
    target, everyone = Target(boxes, NOBODY, (40, 40)), torch.ones(4, dtype=torch.bool)
    return ImagePredictions(ANCHORS, STRIDES, logits, deltas, everyone, 100, target, quality)


def chosen_by(objective: str, said: list[ImagePredictions], settings: RPNSettings) -> LossOutput:
    """The objective's samples and matches: anchors 0 and 3 are positive in each."""
    settings = replace(settings, loss=replace(settings.loss, objective=objective))  # type: ignore[arg-type]
    return objective_of(settings, [4])(said, settings, torch.Generator().manual_seed(0))


def settings(**quality: object) -> RPNSettings:
    return RPNSettings(
        localization_quality=LocalizationQualitySettings(use="both", **quality),  # type: ignore[arg-type]
        match=MatchSettings(positive_iou=0.5, drop_cross_boundary=False),
        sample=SampleSettings(size=4),
        task_aligned=TaskAlignedSettings(top_k=2, beta=2),
        loss=LossSettings(box="giou", normalize="samples"),
    )


def test_paired_iou_by_hand() -> None:
    others = OBJECT.expand(4, 4)
    assert paired_iou(ANCHORS, others).tolist() == pytest.approx([5 / 6, 0.1, 0, 4 / 7])
    assert paired_iou(NOBODY, NOBODY).shape == (0,)
    empty = torch.tensor([[3.0, 3, 3, 3]])
    assert paired_iou(empty, empty).tolist() == [0]


def test_centerness_by_hand() -> None:
    """Centres at x = 5, 15, 25 and 9, always half-way down; the box ends at 12, then at 20."""
    assert centerness(ANCHORS, OBJECT.expand(4, 4)).tolist() == pytest.approx([(5 / 7) ** 0.5, 0, 0, (3 / 9) ** 0.5])
    others = torch.tensor([[0.0, 0, 10, 10], [5, -10, 15, 20], [15, 0, 25, 10]])  # centres (5, 5), (10, 5), (20, 5)
    found = centerness(others, torch.tensor([[0.0, 0, 20, 20]]).expand(3, 4))
    assert found.tolist() == pytest.approx([1 / 3, (1 / 3) ** 0.5, 0])
    assert centerness(NOBODY, NOBODY).shape == (0,)


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
def test_the_fit_is_that_of_the_predicted_box_or_of_the_anchors_place(kind: torch.dtype) -> None:
    deltas = torch.tensor([[0.125, 0, 0, 0]], dtype=kind, requires_grad=True)  # 1.25 px to the right
    fit = quality_target("iou", deltas, ANCHORS[:1], torch.tensor([[1.25, 0, 11.25, 20]]), 4.0)
    assert fit.tolist() == pytest.approx([0.5])
    assert fit.dtype == torch.float32
    assert not fit.requires_grad
    assert quality_target("centerness", deltas, ANCHORS[:1], OBJECT, 4.0).tolist() == pytest.approx([(5 / 7) ** 0.5])


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
def test_score_losses_by_hand(kind: torch.dtype) -> None:
    margin, wanted = torch.zeros(2, dtype=kind), torch.tensor([0.25, 1.0])
    assert score_losses(margin, wanted, "log").tolist() == pytest.approx([math.log(2)] * 2)
    assert score_losses(margin, wanted, "l1").tolist() == pytest.approx([0.25, 0.5])


def test_scores_that_rank_by_hand() -> None:
    """Objectness .5 and fit .75: the geometric mean is the root of .375."""
    fit = torch.full((1, 1), math.log(3))
    for logits in (torch.zeros(1, 1), torch.full((1, 2), 7.0)):
        assert ranking_scores(logits, None, LocalizationQualitySettings()).tolist() == pytest.approx([0.5])
        assert ranking_scores(logits, fit, LocalizationQualitySettings("both")).tolist() == pytest.approx([0.375**0.5])
        assert ranking_scores(logits, fit, LocalizationQualitySettings("alone")).tolist() == pytest.approx([0.75])


@pytest.mark.parametrize(("use", "first"), [("none", 0), ("both", 1), ("alone", 2)])
def test_what_ranks_the_candidates(use: str, first: int) -> None:
    logits = torch.tensor([[4.0], [2.0], [-4.0]])  # .982 .881 .018; the fits: .047 .731 .993
    quality = torch.tensor([[-3.0], [1.0], [5.0]]) if use != "none" else None
    scores = ranking_scores(logits, quality, LocalizationQualitySettings(use))  # type: ignore[arg-type]
    found = candidates([scores], [torch.zeros(3, 4)], [ANCHORS[:3]], (40, 40), SelectSettings())
    assert found.boxes_xyxy[0].tolist() == ANCHORS[first].tolist()


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_the_layers_loss_by_hand(kind: torch.dtype) -> None:
    quality = torch.zeros(4, dtype=kind, requires_grad=True)
    said, own = answer(quality, kind=kind), settings(loss="l1", weight=3.0)
    loss = quality_loss([said], chosen_by("task-aligned", [said], own), own)
    assert loss.item() == pytest.approx(3 * ((5 / 6 - 0.5) + (4 / 7 - 0.5)) / 2, rel=1e-5)
    loss.backward()
    assert quality.grad is not None
    assert (quality.grad != 0).tolist() == [True, False, False, True]
    assert said.deltas.grad is None  # the box is not moved to please its score


@pytest.mark.parametrize("objective", ["faster-rcnn", "task-aligned", "oln"])
def test_every_objective_trains_the_layer_on_its_positives(objective: str) -> None:
    """Anchors 0 and 3 are positive in all; at a logit of 0 the log loss is log 2 whatever the target is."""

    def loss(quality: Tensor, boxes: Tensor = OBJECT) -> Tensor:
        own, said = settings(weight=0.5), [answer(quality, boxes)]
        return quality_loss(said, chosen_by(objective, said, own), own)

    quality = torch.zeros(4, requires_grad=True)
    assert loss(quality).item() == pytest.approx(0.5 * math.log(2), rel=1e-5)
    without = loss(quality, NOBODY)
    assert without.item() == 0
    without.backward()
    assert quality.grad is not None
    assert quality.grad.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("objective", "expected"), [("faster-rcnn", 0.5), ("task-aligned", 1), ("oln", 1)])
def test_an_image_without_positives_counts_in_the_mean_over_images_only(objective: str, expected: float) -> None:
    own, said = settings(), [answer(torch.zeros(4)), answer(torch.zeros(4), NOBODY)]
    own = replace(own, loss=replace(own.loss, objective=objective))  # type: ignore[arg-type]
    loss = quality_loss(said, chosen_by(objective, said, own), own)
    assert loss.item() == pytest.approx(expected * math.log(2), rel=1e-5)
