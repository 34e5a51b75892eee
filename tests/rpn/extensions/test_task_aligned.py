from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from objectness.rpn.extensions.settings import TaskAlignedSettings
from objectness.rpn.extensions.task_aligned import align, quality_focal_losses, task_aligned_loss
from objectness.rpn.outputs import ImagePredictions
from objectness.rpn.settings import LossSettings, MatchSettings, RPNSettings
from objectness.rpn.targets import Target

ANCHORS = torch.tensor([[0.0, 0, 10, 10], [10, 0, 20, 10], [20, 0, 30, 10], [4, 0, 14, 10]])
STRIDES = torch.full((4,), 4.0)
EVERYONE = torch.ones(4, dtype=torch.bool)
NOBODY = torch.zeros(0, 4)
OBJECT = torch.tensor([[0.0, 0, 12, 10]])
SETTINGS = TaskAlignedSettings(top_k=2, alpha=1, beta=2)


def settings(**loss: object) -> RPNSettings:
    return RPNSettings(
        task_aligned=SETTINGS,
        match=MatchSettings(drop_cross_boundary=False),
        loss=LossSettings(objective="task-aligned", box="giou", box_weight=2.0, **loss),  # type: ignore[arg-type]
    )


def answer(logits: Tensor, boxes: Tensor, ignore: Tensor = NOBODY, deltas: Tensor | None = None) -> ImagePredictions:
    deltas = torch.zeros(len(logits), 4) if deltas is None else deltas
    target = Target(boxes, ignore, (40, 40))
    return ImagePredictions(ANCHORS, STRIDES, logits, deltas, EVERYONE, 100, target)


def test_no_boxes_and_no_anchors() -> None:
    empty = align(torch.zeros(4), ANCHORS, ANCHORS, STRIDES, NOBODY, SETTINGS, EVERYONE)
    assert empty.matches.labels.tolist() == [0, 0, 0, 0]
    assert empty.target_scores.tolist() == [0, 0, 0, 0]
    nothing = align(torch.zeros(0), NOBODY, NOBODY, torch.zeros(0), OBJECT, SETTINGS, EVERYONE[:0])
    assert nothing.matches.labels.shape == (0,)


def test_alignment_by_hand() -> None:
    """Anchors 0 and 3 are centred in (0, 0, 12, 10): IoU 100/120 = 5/6 and 80/140 = 4/7, scores .5 and .9."""
    scores = torch.tensor([0.5, 0.9, 0.9, 0.9])
    found = align(scores, ANCHORS, ANCHORS, STRIDES, OBJECT, SETTINGS, EVERYONE)
    assert found.matches.labels.tolist() == [1, 0, 0, 1]
    assert found.matches.iou[[0, 3]].tolist() == pytest.approx([5 / 6, 4 / 7])
    worth = [0.5 * (5 / 6) ** 2, 0.9 * (4 / 7) ** 2]
    # The worthiest is asked for the best overlap, the other for its share of it.
    assert found.target_scores.tolist() == pytest.approx([5 / 6, 0, 0, 5 / 6 * worth[1] / worth[0]])


def test_only_the_best_few_stand_for_a_box() -> None:
    one = align(torch.full((4,), 0.5), ANCHORS, ANCHORS, STRIDES, OBJECT, TaskAlignedSettings(top_k=1), EVERYONE)
    assert one.matches.labels.tolist() == [1, 0, 0, 0]


def test_the_box_that_is_made_of_an_anchor_decides_not_the_anchor() -> None:
    predicted = ANCHORS.clone()
    predicted[3] = OBJECT[0]
    found = align(torch.full((4,), 0.5), predicted, ANCHORS, STRIDES, OBJECT, TaskAlignedSettings(top_k=1), EVERYONE)
    assert found.matches.labels.tolist() == [0, 0, 0, 1]
    assert found.target_scores[3].item() == pytest.approx(1)


def test_a_tiny_box_is_reached_by_the_cell_that_it_lies_in() -> None:
    tiny = torch.tensor([[12.0, 2, 14, 4]])  # no anchor is centred in it; that of (10, 0, 20, 10) is at 15, 5
    found = align(torch.full((4,), 0.5), ANCHORS, ANCHORS, STRIDES, tiny, SETTINGS, EVERYONE)
    assert found.matches.labels.tolist() == [0, 1, 0, 0]
    assert found.target_scores[1].item() == pytest.approx(4 / 100)


def test_an_anchor_between_two_boxes_stands_for_the_one_it_overlaps_more() -> None:
    boxes = torch.tensor([[0.0, 0, 12, 10], [0, 0, 40, 10]])
    found = align(torch.full((4,), 0.5), ANCHORS, ANCHORS, STRIDES, boxes, TaskAlignedSettings(top_k=4), EVERYONE)
    assert found.matches.labels.tolist() == [1, 1, 1, 1]
    assert found.matches.box_index.tolist() == [0, 1, 1, 0]


def test_an_anchor_that_does_not_take_part_is_ignored() -> None:
    kept = torch.tensor([False, True, True, True])
    found = align(torch.full((4,), 0.5), ANCHORS, ANCHORS, STRIDES, OBJECT, SETTINGS, kept)
    assert found.matches.labels.tolist() == [-1, 0, 0, 1]
    assert found.target_scores[0] == 0


def test_quality_losses_by_hand() -> None:
    margin = torch.tensor([0.0, 0.0, math.log(3)])
    quality = torch.tensor([0.0, 1.0, 0.75])
    plain = quality_focal_losses(margin, quality, 0)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert plain.tolist() == pytest.approx([math.log(2), math.log(2), entropy])
    focused = quality_focal_losses(margin, quality, 2)
    assert focused.tolist() == pytest.approx([math.log(2) / 4, math.log(2) / 4, 0], abs=1e-6)


def test_the_loss_by_hand() -> None:
    """Scores .5 everywhere, boxes as the anchors: qualities 5/6 and its 4/7 fellow; GIoU is IoU, the hull is full."""
    report = task_aligned_loss([answer(torch.zeros(4, 1), OBJECT)], settings())
    qualities = [5 / 6, 0, 0, (4 / 7) ** 2 / (5 / 6)]
    expected = sum(math.log(2) * (q - 0.5) ** 2 for q in qualities)
    assert report.loss.objectness.item() == pytest.approx(expected / sum(qualities), rel=1e-5)
    box = 2.0 * (qualities[0] * (1 - 5 / 6) + qualities[3] * (1 - 4 / 7)) / sum(qualities)
    assert report.loss.box.item() == pytest.approx(box, rel=1e-5)
    assert report.samples[0].positives.tolist() == [0, 3]
    assert report.samples[0].negatives.tolist() == [1, 2]


def test_a_batch_shares_one_divisor() -> None:
    full, empty = answer(torch.zeros(4, 1), OBJECT), answer(torch.zeros(4, 1), NOBODY)
    both = task_aligned_loss([full, empty], settings()).loss
    one = task_aligned_loss([full], settings()).loss
    asked = 5 / 6 + (4 / 7) ** 2 / (5 / 6)
    assert both.box.item() == pytest.approx(one.box.item())
    assert both.objectness.item() == pytest.approx(one.objectness.item() + math.log(2) / asked, rel=1e-5)


def test_without_objects_only_the_background_is_taught() -> None:
    logits = torch.zeros(4, 1, requires_grad=True)
    deltas = torch.zeros(4, 4, requires_grad=True)
    loss = task_aligned_loss([answer(logits, NOBODY, deltas=deltas)], settings()).loss
    assert loss.box.item() == 0
    loss.total.backward()
    assert logits.grad is not None
    assert (logits.grad > 0).all()


def test_what_lies_in_an_ignore_region_is_asked_nothing() -> None:
    logits = torch.zeros(4, 1, requires_grad=True)
    region = torch.tensor([[18.0, 0, 40, 40]])
    report = task_aligned_loss([answer(logits, OBJECT, region)], settings())
    assert report.matches[0].labels.tolist() == [1, 0, -1, 1]
    report.loss.total.backward()
    assert logits.grad is not None
    assert (logits.grad.flatten() != 0).tolist() == [True, True, False, True]


def taught(boxes: Tensor, logit: float = 0.0, **spared: float) -> list[bool]:
    """Which of the four anchors' scores the loss moves."""
    chosen = replace(settings(), task_aligned=replace(SETTINGS, top_k=1, **spared))
    logits = torch.full((4, 1), logit, requires_grad=True)
    task_aligned_loss([answer(logits, boxes)], chosen).loss.total.backward()
    assert logits.grad is not None
    return (logits.grad.flatten() != 0).tolist()


def test_what_nobody_labelled_can_be_spared() -> None:
    """Outside the object are anchor 1, IoU .1 and .2 of it within, and anchor 2; anchor 3 overlaps it by 4/7."""
    assert taught(OBJECT) == [True, True, True, True]
    assert taught(OBJECT, unlabelled_weight=0) == [True, False, False, True]
    assert taught(OBJECT, unlabelled_weight=0, unlabelled_score=0.6) == [True, True, True, True]
    assert taught(OBJECT, logit=1.0, unlabelled_weight=0, unlabelled_score=0.6) == [True, False, False, True]
    assert taught(NOBODY, unlabelled_weight=0) == [False, False, False, False]


def test_a_part_of_a_labelled_box_is_not_spared() -> None:
    whole = torch.tensor([[0.0, 0, 40, 40]])  # IoU of each anchor 1/16, and all of it within
    assert taught(whole, unlabelled_weight=0) == [True, True, True, True]


def test_a_share_of_the_loss_can_stay() -> None:
    def loss(weight: float) -> float:
        chosen = replace(settings(), task_aligned=replace(SETTINGS, unlabelled_weight=weight))
        return task_aligned_loss([answer(torch.zeros(4, 1), NOBODY)], chosen).loss.objectness.item()

    assert loss(0.25) == pytest.approx(loss(1) / 4)
    assert loss(1) == pytest.approx(math.log(2))  # four anchors, each weighted by the square of .5


@pytest.mark.slow
def test_descending_the_loss_makes_the_box_fit_and_the_score_its_overlap() -> None:
    logits = torch.full((4, 1), -2.0, requires_grad=True)
    deltas = torch.zeros(4, 4, requires_grad=True)
    optimizer = torch.optim.Adam([logits, deltas], lr=0.05)
    for _ in range(300):
        report = task_aligned_loss([answer(logits, OBJECT, deltas=deltas)], settings())
        optimizer.zero_grad()
        report.loss.total.backward()
        optimizer.step()
    matches = report.matches[0]
    assert matches.iou[[0, 3]].min() > 0.95
    scores = torch.sigmoid(logits.flatten())
    assert scores[[0, 3]].min() > 0.8  # the nearer the goal, the less an anchor weighs: the last bit takes long
    assert scores[[1, 2]].max() < 0.1


def test_images_may_differ_in_the_number_of_their_boxes() -> None:
    """As the boxes of the first stage do, which the refinement head is trained on."""
    whole = answer(torch.zeros(4, 1), OBJECT)
    half = ImagePredictions(
        ANCHORS[:2],
        STRIDES[:2],
        torch.zeros(2, 1),
        torch.zeros(2, 4),
        EVERYONE[:2],
        100,
        Target(OBJECT, NOBODY, (40, 40)),
    )
    for _ in range(8):  # a check of shapes looks at one image of a list, by chance
        output = task_aligned_loss([whole, half], settings())
    assert [len(anchors) for anchors in output.anchors_xyxy] == [4, 2]
    assert [sample.positives.tolist() for sample in output.samples] == [[0, 3], [0]]
