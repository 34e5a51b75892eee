"""The numbers of scores that say how well a box fits. Free of PyTorch, as ``settings``, which holds them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from objectness.settings import require


@dataclass(frozen=True)
class QualitySettings:
    """A score beside objectness that says how well the box fits, by a third sibling layer (FCOS, section 3.2; OLN).

    It is learnt from positives only, in every objective; so nothing that is left unlabelled speaks against it.

    Attributes:
        use: "none" leaves the layer out. "both" ranks boxes by the geometric mean of the two scores, "alone" by the
            fit alone: objectness is then trained, but not asked.
        measure: "iou" of the predicted box with the one that its anchor stands for, or "centerness": how near the
            middle of that box the anchor's centre lies.
        loss: "log" is the log loss against the measure, "l1" the distance to it (OLN).
        weight: Of this part of the loss; it is the mean over the positives, and is reported with objectness.
    """

    use: Literal["none", "both", "alone"] = "none"
    measure: Literal["iou", "centerness"] = "iou"
    loss: Literal["log", "l1"] = "log"
    weight: float = 1.0

    def __post_init__(self) -> None:
        require("rpn.quality.weight", self.weight, "at least 0", 0 <= self.weight < math.inf)


@dataclass(frozen=True)
class OpenSettings:
    """What the score learns where no box is background ("open-world" objective): OLN (arXiv 2108.06753), section 3.

    Positives and negatives are those of ``rpn.match`` (OLN: positive_iou 0.3, negative_iou 0.1), of the positives at
    most ``rpn.sample.size`` an image. Let ``rpn.head.initial_score`` be 0.5: from near 0 an l1 loss learns slowly.

    Attributes:
        measure: What the score of a positive is asked for; see ``QualitySettings``. OLN: "centerness".
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
        require("rpn.open.share", self.share, "at least 0", 0 <= self.share < math.inf)
