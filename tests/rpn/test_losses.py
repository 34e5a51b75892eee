from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from objectness.rpn.losses import (
    RPNLoss,
    box_losses,
    image_loss,
    mean_loss,
    objectness_logit,
    objectness_losses,
    smooth_l1,
)
from objectness.rpn.settings import LossSettings

PAPER = {"batch_size": 256, "locations": 2400, "settings": LossSettings()}


def leaf(values: list[list[float]], width: int) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(-1, width).requires_grad_()


@pytest.mark.parametrize("normalize", ["paper", "samples"])
@pytest.mark.parametrize("width", [1, 2])
def test_an_empty_mini_batch_costs_nothing(normalize: str, width: int) -> None:
    logits, deltas = leaf([], width), leaf([], 4)
    settings = LossSettings(normalize=normalize)  # type: ignore[arg-type]
    labels = torch.zeros(0, dtype=torch.int64)
    loss = image_loss(
        logits, labels, smooth_l1(deltas, torch.zeros(0, 4)), batch_size=256, locations=2400, settings=settings
    )
    assert (loss.objectness.item(), loss.box.item(), loss.total.item()) == (0, 0, 0)
    loss.total.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("normalize", ["paper", "samples"])
def test_without_positives_the_box_part_is_exactly_0(normalize: str) -> None:
    logits, deltas = leaf([[3.0], [-2.0]], 1), leaf([], 4)
    settings = LossSettings(normalize=normalize)  # type: ignore[arg-type]
    labels = torch.zeros(2, dtype=torch.int64)
    loss = image_loss(
        logits, labels, smooth_l1(deltas, torch.zeros(0, 4)), batch_size=256, locations=2400, settings=settings
    )
    assert loss.box.item() == 0
    assert loss.objectness.item() > 0
    loss.total.backward()
    assert logits.grad is not None
    assert deltas.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().min() > 0


def test_equation_1_by_hand() -> None:
    """Two anchors at log 2 each over N_cls = 256; one positive off by 2 and 0.5 over N_reg = 2400, lambda = 10."""
    logits = torch.zeros(2, 2)
    deltas = torch.tensor([[2.0, 0.5, 0.0, 0.0]])
    loss = image_loss(logits, torch.tensor([1, 0]), smooth_l1(deltas, torch.zeros(1, 4)), **PAPER)
    assert loss.objectness.item() == pytest.approx(2 * math.log(2) / 256)
    assert loss.box.item() == pytest.approx(10 * (1.5 + 0.125) / 2400)
    assert loss.total.item() == pytest.approx(2 * math.log(2) / 256 + 16.25 / 2400)


def test_both_terms_weigh_about_the_same() -> None:
    """Lambda = 10 does that (paper, section 3.1.2): 10 / 2400 is near 1 / 256."""
    ratio = LossSettings().box_weight / 2400 * 256
    assert ratio == pytest.approx(1.0667, abs=1e-4)


def test_lambda_weighs_the_box_part_alone() -> None:
    logits, deltas = torch.zeros(2, 1), torch.ones(1, 4)
    one, three = (
        image_loss(
            logits,
            torch.tensor([1, 0]),
            smooth_l1(deltas, torch.zeros(1, 4)),
            batch_size=256,
            locations=2400,
            settings=LossSettings(box_weight=weight),
        )
        for weight in (1.0, 3.0)
    )
    assert three.box.item() == pytest.approx(3 * one.box.item())
    assert three.objectness.item() == one.objectness.item()


def test_samples_divides_both_parts_by_the_mini_batch() -> None:
    """The released code: both terms over 256, lambda 1, sigma 3."""
    logits = torch.zeros(256, 2)
    labels = torch.tensor([1] * 128 + [0] * 128)
    deltas = torch.ones(128, 4)
    settings = LossSettings(normalize="samples", box_weight=1.0, smooth_l1_beta=1 / 9)
    boxes = smooth_l1(deltas, torch.zeros(128, 4), 1 / 9)
    loss = image_loss(logits, labels, boxes, batch_size=256, locations=1, settings=settings)
    assert loss.objectness.item() == pytest.approx(math.log(2))
    assert loss.box.item() == pytest.approx(128 * 4 * (1 - 1 / 18) / 256)


def test_samples_counts_what_was_drawn() -> None:
    settings = LossSettings(normalize="samples", box_weight=1.0)
    loss = image_loss(
        torch.zeros(4, 1),
        torch.tensor([1, 0, 0, 0]),
        smooth_l1(torch.full((1, 4), 3.0), torch.zeros(1, 4)),
        batch_size=256,
        locations=1,
        settings=settings,
    )
    assert loss.objectness.item() == pytest.approx(math.log(2))
    assert loss.box.item() == pytest.approx(4 * 2.5 / 4)


ANCHOR = torch.tensor([[0.0, 0.0, 10.0, 10.0]])


@pytest.mark.parametrize("box", ["smooth-l1", "giou", "diou", "ciou"])
def test_a_perfect_box_costs_nothing_and_no_box_costs_an_empty_tensor(box: str) -> None:
    settings = LossSettings(box=box)  # type: ignore[arg-type]
    assert box_losses(leaf([], 4), torch.zeros(0, 4), torch.zeros(0, 4), settings).shape == (0,)
    assert box_losses(torch.zeros(1, 4), ANCHOR, ANCHOR, settings).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        # The box made is (10, 0, 20, 10): beside the anchor, which is wanted. IoU 0, hull 20 x 10.
        ("giou", 1 + (200 - 200) / 200),
        ("diou", 1 + 10**2 / (20**2 + 10**2)),
        ("ciou", 1 + 10**2 / (20**2 + 10**2)),
        ("smooth-l1", 0.5),
    ],
)
def test_box_losses_by_hand(box: str, expected: float) -> None:
    settings = LossSettings(box=box)  # type: ignore[arg-type]
    beside = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    assert box_losses(beside, ANCHOR, ANCHOR, settings).item() == pytest.approx(expected, abs=1e-5)


def test_generalised_iou_still_pulls_boxes_that_do_not_touch() -> None:
    """GIoU of (20, 0, 30, 10) and (0, 0, 10, 10): hull 30 x 10, of which a third is empty."""
    apart = torch.tensor([[2.0, 0.0, 0.0, 0.0]], requires_grad=True)
    loss = box_losses(apart, ANCHOR, ANCHOR, LossSettings(box="giou"))
    assert loss.item() == pytest.approx(1 + 100 / 300, abs=1e-5)
    loss.sum().backward()
    assert apart.grad is not None
    assert apart.grad[0, 0] > 0


def test_two_classes_are_the_softmax_of_the_paper() -> None:
    logits = torch.randn(50, 2, generator=torch.Generator().manual_seed(1)) * 5
    labels = (torch.arange(50) % 3 == 0).long()
    expected = F.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(objectness_losses(logits, labels), expected, rtol=1e-5, atol=1e-6)
    probability = torch.sigmoid(objectness_logit(logits))
    torch.testing.assert_close(probability, logits.softmax(dim=1)[:, 1])


def test_one_logit_is_the_logistic_loss() -> None:
    logits = torch.randn(50, 1, generator=torch.Generator().manual_seed(1)) * 5
    labels = (torch.arange(50) % 3 == 0).long()
    expected = F.binary_cross_entropy(torch.sigmoid(logits[:, 0]), labels.float(), reduction="none")
    torch.testing.assert_close(objectness_losses(logits, labels), expected, rtol=1e-4, atol=1e-5)


def test_saturated_logits_stay_finite() -> None:
    logits = leaf([[-1e4], [1e4]], 1)
    losses = objectness_losses(logits, torch.tensor([1, 0]))
    assert losses.tolist() == [1e4, 1e4]
    losses.sum().backward()
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == [-1, 1]


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_subtracted_in_float32(kind: torch.dtype) -> None:
    logits = torch.tensor([[100.0, 0.25]]).to(kind)
    assert objectness_logit(logits).tolist() == [-99.75]  # bfloat16 would round it to -100
    assert objectness_losses(logits, torch.tensor([1])).dtype == torch.float32


@pytest.mark.parametrize(
    ("beta", "distance", "expected"),
    [
        (1.0, 0.5, 0.125),
        (1.0, 1.0, 0.5),
        (1.0, 3.0, 2.5),
        (1 / 9, 0.1, 0.045),  # 0.5 * 0.01 * 9
        (1 / 9, 0.5, 0.5 - 1 / 18),
        (0.0, 0.3, 0.3),
    ],
)
def test_smooth_l1_by_hand(beta: float, distance: float, expected: float) -> None:
    targets = torch.zeros(2, 4)
    deltas = torch.zeros(2, 4)
    deltas[1, 2], deltas[1, 3] = distance, -distance
    found = smooth_l1(deltas, targets, beta)
    assert found.tolist() == pytest.approx([0, 2 * expected])


def test_sigma_of_the_released_code() -> None:
    """Caffe: 0.5 (sigma x)^2 below 1 / sigma^2, |x| - 0.5 / sigma^2 above."""
    x = torch.linspace(-1, 1, 41)
    sigma = 3.0
    expected = torch.where(x.abs() < 1 / sigma**2, 0.5 * (sigma * x) ** 2, x.abs() - 0.5 / sigma**2)
    found = smooth_l1(x[:, None].expand(-1, 4), torch.zeros(41, 4), beta=1 / sigma**2) / 4
    torch.testing.assert_close(found, expected)


def test_the_mean_over_images() -> None:
    losses = [RPNLoss(torch.tensor(1.0), torch.tensor(2.0)), RPNLoss(torch.tensor(3.0), torch.tensor(0.0))]
    mean = mean_loss(losses)
    assert (mean.objectness.item(), mean.box.item(), mean.total.item()) == (2, 1, 3)
