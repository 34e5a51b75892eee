from __future__ import annotations

import pytest
import torch

from objectness.detector.sampling import sample_rois
from objectness.detector.settings import RoISampleSettings
from objectness.rpn.targets import Target
from objectness.settings import SettingError

NONE = torch.empty(0, 4)
NO_CLASS = torch.empty(0, dtype=torch.int64)


def target(boxes: torch.Tensor = NONE, ignore: torch.Tensor = NONE) -> Target:
    return Target(boxes, ignore, (100, 100))


def seed(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def test_nothing_at_all() -> None:
    found = sample_rois(NONE, target(), NO_CLASS, RoISampleSettings(), seed())
    assert found.rois_xyxy.shape == (0, 4)
    assert found.labels.shape == (0,)


def test_labels_by_hand() -> None:
    """Boxes of 10 x 10 on an object of 10 x 10, shifted: overlap s is IoU s / (20 - s)."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]])
    shifted = torch.tensor([[0.0, 0, 10, 10]]).repeat(4, 1)
    shifted[:, [0, 2]] += torch.tensor([2.0, 3.4, 5.0, 9.0])[:, None]  # IoU 0.667, 0.493, 0.333, 0.053
    settings = RoISampleSettings(add_ground_truth=False)
    found = sample_rois(shifted, target(boxes), torch.tensor([1, 0]), settings, seed())
    assert found.labels.tolist() == [2, 0, 0]  # class 1 is output 2; the last is below 0.1 and not drawn
    torch.testing.assert_close(found.rois_xyxy, shifted[:3])
    torch.testing.assert_close(found.boxes_xyxy[0], boxes[0])
    assert found.sample.positives.tolist() == [0]
    assert found.sample.negatives.tolist() == [1, 2]
    easy = RoISampleSettings(add_ground_truth=False, negative_iou=(0.0, 0.5))
    assert len(sample_rois(shifted, target(boxes), torch.tensor([1, 0]), easy, seed()).labels) == 4


def test_ground_truth_is_a_proposal_too() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]])
    found = sample_rois(NONE, target(boxes), torch.tensor([1, 0]), RoISampleSettings(), seed())
    assert found.labels.tolist() == [2, 1]
    torch.testing.assert_close(found.rois_xyxy, boxes)


def test_a_quarter_is_positive() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10]])
    proposals = torch.cat([boxes.repeat(100, 1), torch.tensor([[0.0, 0, 10, 40]]).repeat(200, 1)])
    found = sample_rois(proposals, target(boxes), torch.tensor([0]), RoISampleSettings(), seed())
    assert (len(found.labels), int((found.labels > 0).sum())) == (128, 32)
    again = sample_rois(proposals, target(boxes), torch.tensor([0]), RoISampleSettings(), seed())
    assert torch.equal(found.rois_xyxy, again.rois_xyxy)


def test_background_without_objects_and_ignore_regions() -> None:
    proposals = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]])
    ignore = torch.tensor([[45.0, 45, 60, 58]])  # 0.8 of the second
    found = sample_rois(proposals, target(ignore=ignore), NO_CLASS, RoISampleSettings(), seed())
    assert found.labels.tolist() == [0]
    torch.testing.assert_close(found.rois_xyxy, proposals[:1])


@pytest.mark.parametrize("limits", [(0.5, 0.1), (0.1, 0.6), (0.1,)])
def test_limits_that_do_not_fit(limits: tuple[float, ...]) -> None:
    with pytest.raises(SettingError, match="negative_iou must be two numbers"):
        RoISampleSettings(negative_iou=limits)
