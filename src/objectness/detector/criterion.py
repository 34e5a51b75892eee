"""The loss of the detector on a batch: proposals are matched, sampled, classified and compared with ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from objectness.detector.losses import DetectorLoss, detector_loss
from objectness.detector.network import FasterRCNN
from objectness.detector.sampling import SampledRoIs, sample_rois
from objectness.rpn.outputs import Outputs
from objectness.rpn.targets import Target

_LARGEST_SEED = 2**62


@dataclass(frozen=True, eq=False)
class DetectorLossOutput:
    """The loss of a batch, and the RoIs of each image for drawing."""

    loss: DetectorLoss
    rois: list[SampledRoIs]


def detector_criterion(
    network: FasterRCNN,
    outputs: Outputs,
    targets: Sequence[Target],
    class_ids: Sequence[Int[Tensor, " _"]],
    generator: torch.Generator,
    proposals: Sequence[Float[Tensor, "_ 4"]] | None = None,
) -> DetectorLossOutput:
    """The loss of Fast R-CNN on a batch.

    Args:
        network: Whose outputs these are.
        outputs: Of the batch.
        targets: Ground truth of each image.
        class_ids: Of the objects of each image, positions in the network's class names.
        generator: On the CPU; it decides which RoIs are sampled and what is dropped, and nothing else is random.
        proposals: Boxes of each image in resized pixels; None for those of the RPN. Either way no gradient flows
            through their coordinates (paper, section 3.2).
    """
    if proposals is None:
        sizes_hw = [target.size_hw for target in targets]
        selected = network.rpn.propose(outputs, sizes_hw, network.rpn.settings.select_train)
        proposals = [found.boxes_xyxy for found in selected]
    rois = [
        sample_rois(boxes.detach(), target, ids, network.settings.sample, generator)
        for boxes, target, ids in zip(proposals, targets, class_ids, strict=True)
    ]
    seed = int(torch.randint(_LARGEST_SEED, (1,), generator=generator))
    device = outputs.features[0].device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # of dropout, which takes no generator
        logits, deltas = network.classify(outputs, [one.rois_xyxy for one in rois])
    labels = torch.cat([one.labels for one in rois])
    coder = network.roi.box_coder
    wanted = coder.encode_single(
        torch.cat([one.boxes_xyxy for one in rois]), torch.cat([one.rois_xyxy for one in rois])
    )
    return DetectorLossOutput(detector_loss(logits, deltas, labels, wanted, network.settings.loss), rois)
