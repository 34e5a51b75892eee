"""The numbers of what goes beyond the paper. Free of PyTorch, as ``settings``, which holds them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from objectness.settings import require, require_within

MOST_BOXES = 1_000_000
MOST_CHANNELS = 8192
_MOST_GRID = 64


@dataclass(frozen=True)
class TaskAlignedSettings:
    """Positives and score targets of the "task-aligned" objective, which trains every anchor (TOOD).

    An anchor centred in a box is worth ``score ** alpha * iou ** beta`` to it, with the score and the
    overlap that the network gives it now; the best few are positive, and what the score is to say is that
    worth, scaled so that the best of a box is asked for its overlap. So a score says how well the box fits.

    Attributes:
        positives: Anchors at most that stand for one box.
        alpha: See above.
        beta: See above.
        gamma: Each anchor's log loss is weighted by ``|target - score| ** gamma``, so that the many easy ones
            do not drown the others (generalised focal loss); 0 weighs all alike.
        unlabelled_weight: What the loss of a negative counts that may show an object nobody labelled: its predicted
            box lies outside the labelled ones (overlaps each less than ``rpn.match.negative_iou``, and at most
            ``rpn.match.ignore_iof`` of it lies in one). 1 takes it for background as any other; 0 asks it nothing.
        unlabelled_score: Only negatives with a score above this are spared so; 0 means all. Above it a
            score is not pushed down, below it background is learnt as ever.
    """

    positives: int = 10
    alpha: float = 1.0
    beta: float = 6.0
    gamma: float = 2.0
    unlabelled_weight: float = 1.0
    unlabelled_score: float = 0.0

    RENAMED = MappingProxyType({"score_power": "alpha", "iou_power": "beta", "focus": "gamma"})

    def __post_init__(self) -> None:
        require_within(self, ["positives"], 1, MOST_BOXES)
        require_within(self, ["alpha", "beta", "gamma"], 0, 100)
        require_within(self, ["unlabelled_weight", "unlabelled_score"], 0, 1)


@dataclass(frozen=True)
class LocalizationQualitySettings:
    """A score beside objectness that says how well the box fits, by a third sibling layer (FCOS, section 3.2; OLN).

    It is learnt from positives only, in every objective; so nothing that is left unlabelled speaks against it.

    Attributes:
        use: "none" leaves the layer out. "both" ranks boxes by the geometric mean of the two scores, "alone" by the
            fit alone: objectness is then trained, but not asked.
        measure: "iou" of the predicted box with the one that its anchor stands for, or "centerness": how near the
            middle of that box the anchor's centre lies.
        loss: "log" is the log loss against the measure, "l1" the distance to it (OLN).
        weight: Of this part of the loss, which is reported with objectness: the mean over the positives of the batch,
            or of each image and then over the images in the "faster-rcnn" objective.
    """

    use: Literal["none", "both", "alone"] = "none"
    measure: Literal["iou", "centerness"] = "iou"
    loss: Literal["log", "l1"] = "log"
    weight: float = 1.0

    def __post_init__(self) -> None:
        require_within(self, ["weight"], 0, math.inf)


@dataclass(frozen=True)
class OLNSettings:
    """What the score learns where no box is background ("oln" objective): OLN (arXiv 2108.06753), section 3.

    Positives and negatives are those of ``rpn.match`` (OLN: positive_iou 0.3, negative_iou 0.1), of the positives at
    most ``rpn.sample.size`` an image. Let ``rpn.head.initial_score`` be 0.5: from near 0 an l1 loss learns slowly.

    Attributes:
        measure: What the score of a positive is asked for; see ``LocalizationQualitySettings``. OLN: "centerness".
        loss: "l1" (OLN) or "log".
        negatives: Which anchors are asked for 0. "none"; "ring": negatives that touch a labelled box, of which one
            knows that they fit it badly; "all": any negative, which is background classification again.
        share: Negatives for each positive at most.
    """

    measure: Literal["iou", "centerness"] = "centerness"
    loss: Literal["log", "l1"] = "l1"
    negatives: Literal["none", "ring", "all"] = "ring"
    share: float = 1.0

    def __post_init__(self) -> None:
        require_within(self, ["share"], 0, MOST_BOXES)


@dataclass(frozen=True)
class RefinementSettings:
    """The second stage, which looks again at the best boxes of the first (see ``refinement``).

    It is trained by the "task-aligned" objective with the boxes of the first stage in place of anchors: unlabelled
    objects count as background. Let ``rpn.loss.box`` compare boxes: its deltas are small, and smooth L1 hardly sees
    them.

    Attributes:
        grid: Points a side that it looks at in each box; 0: there is no second stage.
        channels: Width to which the features are brought before.
        hidden: Width of its two hidden layers.
        boxes: How many of each level it looks at, the best first; the others stay as they are.
        margin: The grid spans this multiple of the box.
        finer: It reads the map this many levels finer than the one that found the box, as far as there is one.
        weight: Of its loss beside that of the first stage.
    """

    grid: int = 0
    channels: int = 32
    hidden: int = 128
    boxes: int = 400
    margin: float = 1.2
    finer: int = 1
    weight: float = 1.0

    def __post_init__(self) -> None:
        require_within(self, ["grid"], 0, _MOST_GRID)
        require_within(self, ["finer"], 0, math.inf)
        require_within(self, ["channels", "hidden"], 1, MOST_CHANNELS)
        require_within(self, ["boxes"], 1, MOST_BOXES)
        require("margin", self.margin, "above 0 and at most 100", 0 < self.margin <= 100)
        require_within(self, ["weight"], 0, math.inf)
