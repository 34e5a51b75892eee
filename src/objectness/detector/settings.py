"""Settings of the detector on top of a Region Proposal Network; the defaults are those of Fast R-CNN and the paper.

Free of PyTorch, so that the description of a model can be read anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from objectness.rpn.extensions.settings import BoxCount
from objectness.settings import Bounds, Fraction, NonNegative, Settings, require

# Settings also come from untrusted model files: a few bytes must not ask for more than a machine has.
_MOST_UNITS = 16_384

Units = Annotated[int, Bounds(ge=1, le=_MOST_UNITS)]
Weight = Annotated[float, Bounds(gt=0, le=1000)]


@dataclass(frozen=True)
class PoolSettings(Settings):
    """Features of a box, of a fixed size (Fast R-CNN, section 2.1).

    Attributes:
        kind: "roi-pool" takes the largest value of each bin, on whole cells of a single level, as in the paper;
            "roi-align" reads between cells (Mask R-CNN), from the level of the pyramid that suits the box.
        size: Bins on each side.
        sampling: "roi-align": points read on each side of a bin; 0: as many as the bin has cells.
        canonical_size: "roi-align": square root of the area, in pixels of the resized image, of the boxes that are
            read at stride 16; those half as large are read at half the stride (FPN, equation 1).
    """

    kind: Literal["roi-pool", "roi-align"] = "roi-pool"
    size: Annotated[int, Bounds(ge=1, le=64)] = 7
    sampling: Annotated[int, Bounds(ge=0, le=16)] = 2
    canonical_size: Annotated[float, Bounds(ge=1, le=65_536)] = 224.0


@dataclass(frozen=True)
class BoxHeadSettings(Settings):
    """Layers on the features of a box (Fast R-CNN, section 2.1).

    Attributes:
        layers: Width of each fully connected layer: fc6 and fc7 of VGG-16.
        dropout: Share of each layer's values that is dropped in training.
        pretrained: fc6 and fc7 start from the ImageNet weights of VGG-16, where the backbone does and the file of its
            weights holds them.
        box_regression: "per-class" predicts a box for each class, as in the paper; "agnostic" one for all.
    """

    layers: tuple[Units, ...] = (4096, 4096)
    dropout: Annotated[float, Bounds(ge=0, lt=1)] = 0.5
    pretrained: bool = True
    box_regression: Literal["per-class", "agnostic"] = "per-class"

    def __post_init__(self) -> None:
        super().__post_init__()
        require("layers", self.layers, "one or more widths", len(self.layers) > 0)


@dataclass(frozen=True)
class RoISampleSettings(Settings):
    """Mini-batch of regions of interest (RoIs) of an image (Fast R-CNN, section 2.3).

    Attributes:
        size: RoIs of an image.
        positive_fraction: Share of positives, at most.
        positive_iou: Positive from this overlap with an object on.
        negative_iou: Lowest and highest overlap of a negative with all objects; the highest does not belong to it.
            0.1 skips the easiest background, which Fast R-CNN takes for a heuristic of hard example mining.
        add_ground_truth: The labelled boxes are proposals too.
        ignore_iof: A negative with more than this share of itself in an ignore region is not drawn.
    """

    size: BoxCount = 128
    positive_fraction: Fraction = 0.25
    positive_iou: Fraction = 0.5
    negative_iou: tuple[Fraction, ...] = (0.1, 0.5)
    add_ground_truth: bool = True
    ignore_iof: Fraction = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        rising = len(self.negative_iou) == 2 and self.negative_iou[0] < self.negative_iou[1] <= self.positive_iou
        require("negative_iou", self.negative_iou, "two numbers that rise, up to {here}positive_iou", rising)


@dataclass(frozen=True)
class DetectorLossSettings(Settings):
    """L = L_cls + lambda [u >= 1] L_loc (Fast R-CNN, equation 1), both divided by the number of RoIs.

    Attributes:
        box_weight: lambda.
        smooth_l1_beta: Distance at which the smooth L1 loss turns from square to linear (torchvision: 1/9).
        regression_weights: Multiples of tx, ty, tw and th, which make their targets about as large as one another
            (the released code divides by deviations of 0.1, 0.1, 0.2 and 0.2).
    """

    box_weight: NonNegative = 1.0
    smooth_l1_beta: NonNegative = 1.0
    regression_weights: tuple[Weight, ...] = (10.0, 10.0, 5.0, 5.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = self.regression_weights
        require("regression_weights", weights, "four numbers, of tx, ty, tw and th", len(weights) == 4)


@dataclass(frozen=True)
class DetectionSettings(Settings):
    """Detections of an image from scored boxes (Fast R-CNN, section 3.1).

    Attributes:
        proposals: Best proposals of the image that are classified.
        score: Detections below this score are left out.
        nms_iou: A box above this IoU with a better one of its class is suppressed.
        detections: Detections of an image at most, of all classes.
    """

    proposals: BoxCount = 300
    score: Fraction = 0.05
    nms_iou: Fraction = 0.3
    detections: BoxCount = 100


@dataclass(frozen=True)
class DetectorSettings(Settings):
    """Settings of the part of a Faster R-CNN that names objects."""

    pool: PoolSettings = field(default_factory=PoolSettings)
    head: BoxHeadSettings = field(default_factory=BoxHeadSettings)
    sample: RoISampleSettings = field(default_factory=RoISampleSettings)
    loss: DetectorLossSettings = field(default_factory=DetectorLossSettings)
    select: DetectionSettings = field(default_factory=DetectionSettings)
