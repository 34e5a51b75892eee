"""The two-part loss (paper, equation 1), finite for any image. S sampled anchors, P positives, M of all levels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss

from objectness.rpn.box_coder import DELTA_CLAMP, decode, encode
from objectness.rpn.matching import Matches
from objectness.rpn.sampling import Sample
from objectness.rpn.settings import LossSettings


@dataclass(frozen=True, eq=False)
class RPNLoss:
    """Scalars with gradients: ``objectness`` (and all other score losses) and ``box``, as weighted in the total."""

    objectness: Float[Tensor, ""]
    box: Float[Tensor, ""]

    @property
    def total(self) -> Float[Tensor, ""]:
        """L of equation 1."""
        return self.objectness + self.box


@dataclass(frozen=True, eq=False)
class LossOutput:
    """The loss of a batch, and its anchors, samples and matches for drawing.

    Attributes:
        loss: Of the batch.
        anchors_xyxy: ``(M, 4)`` of each image; M may differ.
        samples: The mini-batch of each image; where all anchors are trained, the positives and the negatives with the
            highest losses.
        matches: Labels of the anchors of each image.
    """

    loss: RPNLoss
    anchors_xyxy: list[Float[Tensor, "_ 4"]]
    samples: list[Sample]
    matches: list[Matches]


def objectness_logit(logits: Float[Tensor, "S K"]) -> Float[Tensor, " S"]:
    """A logit of each anchor: its sigmoid is the probability of an object.

    K = 2: background and object logits under a softmax, whose object probability is the sigmoid of their
    difference; K = 1: the logit itself.
    """
    logits = logits.float()  # the difference of two half-precision numbers would be rounded again
    return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]


def objectness_scores(logits: Float[Tensor, "S K"]) -> Float[Tensor, " S"]:
    """The probabilities of an object."""
    return torch.sigmoid(objectness_logit(logits))


def objectness_losses(logits: Float[Tensor, "S K"], labels: Int[Tensor, " S"]) -> Float[Tensor, " S"]:
    """L_cls of each anchor: the log loss over object and background (labels 1 and 0)."""
    logit = objectness_logit(logits)
    return F.binary_cross_entropy_with_logits(logit, labels.to(logit.dtype), reduction="none")


def smooth_l1(deltas: Float[Tensor, "P 4"], targets: Float[Tensor, "P 4"], beta: float = 1.0) -> Float[Tensor, " P"]:
    """L_reg of each anchor: the robust loss of Fast R-CNN, summed over the four coordinates.

    Square below ``beta``, linear above; beta = 0 is plain L1. The released code's sigma: beta = 1 / sigma ** 2.
    """
    return F.smooth_l1_loss(deltas.float(), targets, reduction="none", beta=beta).sum(dim=1)


def box_losses(
    deltas: Float[Tensor, "P 4"],
    anchors_xyxy: Float[Tensor, "P 4"],
    boxes_xyxy: Float[Tensor, "P 4"],
    settings: LossSettings,
    delta_clamp: float = DELTA_CLAMP,
) -> Float[Tensor, " P"]:
    """Regression loss of each positive: L_reg, or 1 - an IoU of some kind.

    Args:
        deltas: Predicted, relative to the anchors.
        anchors_xyxy: Positive anchors.
        boxes_xyxy: Target boxes.
        settings: Kind of loss.
        delta_clamp: As in ``decode``; only for the IoU losses, which compare boxes.
    """
    if settings.box == "smooth-l1":
        return smooth_l1(deltas, encode(boxes_xyxy, anchors_xyxy), settings.smooth_l1_beta)
    predicted = decode(deltas, anchors_xyxy, delta_clamp)
    match settings.box:
        case "giou":
            return generalized_box_iou_loss(predicted, boxes_xyxy)
        case "diou":
            return distance_box_iou_loss(predicted, boxes_xyxy)
        case "ciou":
            return complete_box_iou_loss(predicted, boxes_xyxy)


def image_loss(
    logits: Float[Tensor, "S K"],
    labels: Int[Tensor, " S"],
    box_losses: Float[Tensor, " P"],
    *,
    batch_size: int,
    locations: int,
    settings: LossSettings,
) -> RPNLoss:
    """The loss of one image's mini-batch.

    Args:
        logits: Of the sampled anchors.
        labels: 1 or 0.
        box_losses: Of the positives.
        batch_size: N_cls, the size of a full mini-batch (256), also where fewer anchors could be drawn.
        locations: N_reg, the number of anchor locations of the image (about 2,400).
        settings: Normalisation, lambda.

    Returns:
        Both parts; without positives the box part is exactly 0.
    """
    objectness = objectness_losses(logits, labels).sum()
    box = box_losses.sum()
    if settings.normalize == "paper":
        return RPNLoss(objectness / batch_size, settings.box_weight * box / locations)
    count = max(1, len(labels))
    return RPNLoss(objectness / count, settings.box_weight * box / count)


def mean_loss(losses: list[RPNLoss]) -> RPNLoss:
    """The mean over the images of a batch."""
    objectness = torch.stack([loss.objectness for loss in losses]).mean()
    return RPNLoss(objectness, torch.stack([loss.box for loss in losses]).mean())
