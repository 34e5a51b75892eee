"""RoIs of an image for training (Fast R-CNN, section 2.3). P proposals, G objects, S sampled RoIs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchvision.ops import box_iou

from objectness.detector.settings import RoISampleSettings
from objectness.rpn.matching import inside_fraction
from objectness.rpn.sampling import Sample, draw
from objectness.rpn.targets import Target

BACKGROUND = 0


@dataclass(frozen=True, eq=False)
class SampledRoIs:
    """The mini-batch of one image.

    Attributes:
        rois_xyxy: ``(S, 4)``.
        labels: ``int64 (S,)``: class ids + 1; 0 is the background.
        boxes_xyxy: ``(S, 4)`` the object of each positive; the RoI itself for the background.
        sample: The positives and the negatives among them.
    """

    rois_xyxy: Float[Tensor, "S 4"]
    labels: Int[Tensor, " S"]
    boxes_xyxy: Float[Tensor, "S 4"]
    sample: Sample


def sample_rois(
    proposals_xyxy: Float[Tensor, "P 4"],
    target: Target,
    class_ids: Int[Tensor, " G"],
    settings: RoISampleSettings,
    generator: torch.Generator,
) -> SampledRoIs:
    """Label the proposals by the object that they overlap most, and draw a mini-batch.

    Args:
        proposals_xyxy: In resized pixels.
        target: Ground truth.
        class_ids: Of its objects.
        settings: Thresholds and numbers.
        generator: On the CPU.

    Returns:
        Fewer than ``settings.size`` RoIs where there are not as many; none without proposals and objects.
    """
    rois = torch.cat([proposals_xyxy, target.boxes_xyxy]) if settings.add_ground_truth else proposals_xyxy
    if len(target.boxes_xyxy):
        iou, index = box_iou(rois, target.boxes_xyxy).max(dim=1)
    else:
        iou, index = rois.new_zeros(len(rois)), torch.zeros(len(rois), dtype=torch.int64, device=rois.device)
    lowest, highest = settings.negative_iou
    negative = (iou >= lowest) & (iou < highest)
    if len(target.boxes_xyxy) == 0:  # nothing is hard background where there is no object
        negative = torch.ones_like(negative)
    if len(target.ignore_xyxy) and len(rois):
        negative &= inside_fraction(rois, target.ignore_xyxy) <= settings.ignore_iof
    positives = torch.nonzero(iou >= settings.positive_iou).flatten()
    if len(target.boxes_xyxy) == 0:
        positives = positives[:0]
    positives = draw(positives, int(settings.size * settings.positive_fraction), generator)
    negatives = draw(torch.nonzero(negative).flatten(), settings.size - len(positives), generator)
    chosen = torch.cat([positives, negatives])
    labels = torch.full((len(chosen),), BACKGROUND, dtype=torch.int64, device=rois.device)
    boxes = rois[chosen].clone()
    count = len(positives)
    if count:
        labels[:count] = class_ids[index[positives]] + 1
        boxes[:count] = target.boxes_xyxy[index[positives]]
    places = torch.arange(len(chosen), device=rois.device)
    return SampledRoIs(rois[chosen], labels, boxes, Sample(places[:count], places[count:]))
