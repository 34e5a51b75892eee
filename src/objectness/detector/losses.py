"""The multi-task loss of Fast R-CNN (its equation 1), finite for any batch. S RoIs of a batch, K outputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from objectness.detector.sampling import BACKGROUND
from objectness.detector.settings import DetectorLossSettings
from objectness.rpn.losses import smooth_l1


@dataclass(frozen=True, eq=False)
class DetectorLoss:
    """Scalars with gradients: ``classification`` and ``box``, as weighted in the total."""

    classification: Float[Tensor, ""]
    box: Float[Tensor, ""]

    @property
    def total(self) -> Float[Tensor, ""]:
        """L of equation 1."""
        return self.classification + self.box


def detector_loss(
    logits: Float[Tensor, "S K"],
    deltas: Float[Tensor, "S K4"],
    labels: Int[Tensor, " S"],
    targets: Float[Tensor, "S 4"],
    settings: DetectorLossSettings,
) -> DetectorLoss:
    """The log loss of the true class, and the smooth L1 loss of the box predicted for that class.

    Without RoIs both are exactly 0. torchvision's function has a fixed beta, and is NaN then.

    Args:
        logits: Of all outputs.
        deltas: Four for each output.
        labels: Class ids + 1; 0 is the background.
        targets: Deltas from RoI to object; not looked at for the background.
        settings: lambda and beta.
    """
    count = max(1, len(labels))
    classification = F.cross_entropy(logits.float(), labels, reduction="sum") / count
    positives = torch.nonzero(labels != BACKGROUND).flatten()
    predicted = deltas.reshape(len(labels), logits.shape[1], 4)[positives, labels[positives]]
    box = smooth_l1(predicted, targets[positives], settings.smooth_l1_beta).sum() / count
    return DetectorLoss(classification, settings.box_weight * box)
