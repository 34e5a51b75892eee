from __future__ import annotations

import math

import pytest
import torch
from torchvision.models.detection.roi_heads import fastrcnn_loss

from objectness.detector.losses import detector_loss
from objectness.detector.settings import DetectorLossSettings


def test_without_rois_both_parts_are_zero() -> None:
    logits = torch.zeros(0, 3, requires_grad=True)
    loss = detector_loss(
        logits, torch.zeros(0, 12), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4), DetectorLossSettings()
    )
    assert (loss.classification.item(), loss.box.item()) == (0, 0)
    loss.total.backward()


def test_by_hand() -> None:
    """Two RoIs, logits of 0: log 3 each; the positive is off by 2 in one coordinate (2 - 0.5 = 1.5), over two RoIs."""
    deltas = torch.zeros(2, 12)
    deltas[0, 8:] = torch.tensor([2.0, 0, 0, 0])
    deltas[1] = 100.0  # of the background: not looked at
    labels, targets = torch.tensor([2, 0]), torch.zeros(2, 4)
    loss = detector_loss(torch.zeros(2, 3), deltas, labels, targets, DetectorLossSettings(box_weight=3.0))
    assert loss.classification.item() == pytest.approx(math.log(3))
    assert loss.box.item() == pytest.approx(3 * 1.5 / 2)


def test_equal_to_torchvision() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, deltas = torch.randn(9, 4, generator=generator), torch.randn(9, 16, generator=generator)
    labels, targets = torch.arange(9) % 4, torch.randn(9, 4, generator=generator)
    theirs = fastrcnn_loss(logits, deltas, [labels], [targets])
    ours = detector_loss(logits, deltas, labels, targets, DetectorLossSettings(smooth_l1_beta=1 / 9))
    assert ours.classification.item() == pytest.approx(theirs[0].item(), rel=1e-6)
    assert ours.box.item() == pytest.approx(theirs[1].item(), rel=1e-6)
