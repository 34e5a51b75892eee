"""Settings of the extensions beyond the paper. Free of PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from objectness.settings import Bounds, Fraction, NonNegative, Settings

MOST_BOXES = 1_000_000
BoxCount = Annotated[int, Bounds(ge=1, le=MOST_BOXES)]
Channels = Annotated[int, Bounds(ge=1, le=8192)]
Exponent = Annotated[float, Bounds(ge=0, le=100)]


@dataclass(frozen=True)
class TaskAlignedSettings(Settings):
    """Positives and score targets of the "task-aligned" objective (TOOD), which trains every anchor of the image.

    The alignment metric of an anchor centred in a box is ``t = score ** alpha * iou ** beta``, with the score and the
    predicted box of the present weights. The ``top_k`` anchors with the highest ``t`` are the positives of the box;
    their score targets are ``t``, scaled so that the largest equals the best IoU. So a score tells how well a box fits.

    Attributes:
        top_k: Positives of one box, at most.
        alpha: Exponent of the score.
        beta: Exponent of the IoU.
        gamma: The log loss of each anchor is multiplied by ``|target - score| ** gamma``, so that the many easy ones
            do not drown the others (generalised focal loss); 0 weighs all alike.
        unlabelled_weight: Weight of a negative that may show an unlabelled object: its predicted box overlaps each
            labelled one by less than ``rpn.match.negative_iou``, and at most ``rpn.match.ignore_iof`` of it lies in
            one. 1 counts it as any other negative, 0 leaves it out.
        unlabelled_score: That weight applies only to scores above this: they are not pushed down, while lower scores
            still learn background; 0 means all scores.
    """

    top_k: BoxCount = 10
    alpha: Exponent = 1.0
    beta: Exponent = 6.0
    gamma: Exponent = 2.0
    unlabelled_weight: Fraction = 1.0
    unlabelled_score: Fraction = 0.0

    RENAMED: ClassVar = {"positives": "top_k", "score_power": "alpha", "iou_power": "beta", "focus": "gamma"}


@dataclass(frozen=True)
class LocalizationQualitySettings(Settings):
    """A second score, for how well the box fits, from a third sibling layer (FCOS, section 3.2; OLN).

    It is learnt from positives only, in every objective, so that unlabelled objects do not lower it.

    Attributes:
        use: "none" leaves the layer out. "both" ranks boxes by the geometric mean of objectness and this score,
            "alone" by this score alone (objectness is still trained).
        measure: "iou" of the predicted box with the target box, or "centerness" of the anchor in the target box.
        loss: "log" is the log loss against the measure, "l1" the distance to it (OLN).
        weight: Weight of this part of the loss, which is reported with objectness: the mean over the positives of the
            batch, or of each image and then over the images in the "faster-rcnn" objective.
    """

    use: Literal["none", "both", "alone"] = "none"
    measure: Literal["iou", "centerness"] = "iou"
    loss: Literal["log", "l1"] = "log"
    weight: NonNegative = 1.0


@dataclass(frozen=True)
class OLNSettings(Settings):
    """Score targets of the "oln" objective (OLN, arXiv 2108.06753, section 3): unlabelled boxes are not background.

    Positives and negatives are those of ``rpn.match`` (OLN: positive_iou 0.3, negative_iou 0.1), with at most
    ``rpn.sample.size`` positives of an image. ``rpn.head.initial_score`` should be 0.5: an l1 loss learns slowly
    from near 0.

    Attributes:
        measure: Score target of a positive, as in ``LocalizationQualitySettings``; OLN: "centerness".
        loss: "l1" (OLN) or "log".
        negatives: Anchors with target 0: "none"; "ring", negatives that touch a labelled box and are known to fit it
            badly; "all", any negative, which is background classification again.
        negatives_per_positive: Negatives for each positive, at most.
    """

    measure: Literal["iou", "centerness"] = "centerness"
    loss: Literal["log", "l1"] = "l1"
    negatives: Literal["none", "ring", "all"] = "ring"
    negatives_per_positive: Annotated[float, Bounds(ge=0, le=MOST_BOXES)] = 1.0

    RENAMED: ClassVar = {"share": "negatives_per_positive"}


@dataclass(frozen=True)
class RefinementSettings(Settings):
    """The second stage: a class-agnostic refinement of the best boxes of the first.

    It is trained by the "task-aligned" objective with the boxes of the first stage in place of anchors; unlabelled
    objects count as background. ``rpn.loss.box`` should compare boxes: the deltas of this stage are small, and smooth
    L1 hardly distinguishes them.

    Attributes:
        grid: Points a side at which features are read in each box; 0 means no second stage.
        channels: Width to which the features are reduced first.
        hidden: Width of the two hidden layers.
        boxes: Boxes of each level that are refined, the best first; the others stay as they are.
        margin: The grid spans this multiple of the box.
        finer: Features come from the map this many levels finer than the one that found the box, or the finest.
        weight: Weight of the loss of this stage beside that of the first.
    """

    grid: Annotated[int, Bounds(ge=0, le=64)] = 0
    channels: Channels = 32
    hidden: Channels = 128
    boxes: BoxCount = 400
    margin: Annotated[float, Bounds(gt=0, le=100)] = 1.2
    finer: Annotated[int, Bounds(ge=0)] = 1
    weight: NonNegative = 1.0
