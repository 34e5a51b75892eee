"""Every number of the Region Proposal Network, by name. The defaults are the paper's.

Free of PyTorch, so that a model's description can be read anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from objectness.errors import InputError
from objectness.rpn.extensions.settings import (
    MOST_BOXES,
    MOST_CHANNELS,
    LocalizationQualitySettings,
    OLNSettings,
    RefinementSettings,
    TaskAlignedSettings,
)
from objectness.settings import require, require_within

# A few bytes of settings, in a model file of strangers, say, must not ask for more than a machine has.
_MOST_PIXELS = 65_536
_MOST_STRIDE = 4096
_MOST_EXTRA_LEVELS = 8
_MOST_CONVOLUTIONS = 64
_MOST_ANCHOR_SHAPES = 1000


@dataclass(frozen=True)
class AnchorSettings:
    """The reference boxes (paper, section 3.1.1).

    Attributes:
        sizes: Square roots of the areas, in pixels of the resized image. With several levels they are dealt
            out in order, ``len(sizes) / levels`` to each level, finest first.
        ratios_height_over_width: Shapes at each size; the area stays.
        offset: Where in its cell an anchor is centred, as a fraction of the stride: 0.5 is the middle (right
            for VGG's even pooling), 0 the top left corner, as torchvision and detectron2 place them.
        style: "paper" places exact floats; "py-faster-rcnn" reproduces the released code's rounded nine.
    """

    sizes: tuple[float, ...] = (128.0, 256.0, 512.0)
    ratios_height_over_width: tuple[float, ...] = (0.5, 1.0, 2.0)
    offset: float = 0.5
    style: Literal["paper", "py-faster-rcnn"] = "paper"

    def __post_init__(self) -> None:
        lengths = f"one or more lengths above 0 and at most {_MOST_PIXELS:,}"
        require("sizes", self.sizes, lengths, _positive(self.sizes, _MOST_PIXELS))
        ratios = self.ratios_height_over_width
        most = "one or more ratios between 0.001 and 1,000"
        require("ratios_height_over_width", ratios, most, _positive(ratios, 1000) and min(ratios) >= 0.001)
        shapes = len(self.sizes) * len(ratios)
        require("sizes times ratios", shapes, f"at most {_MOST_ANCHOR_SHAPES:,} anchors", shapes <= _MOST_ANCHOR_SHAPES)
        require_within(self, ["offset"], -10, 10)

    def sizes_per_level(self, levels: int) -> tuple[tuple[float, ...], ...]:
        """Deal the sizes out to the levels, finest first.

        Raises:
            InputError: the sizes do not divide evenly.
        """
        if len(self.sizes) % levels:
            raise InputError(
                f"rpn.anchors.sizes holds {len(self.sizes)} sizes, which cannot be dealt evenly to {levels} "
                f"feature levels: give {levels} sizes, or a multiple of it."
            )
        share = len(self.sizes) // levels
        return tuple(self.sizes[i * share : (i + 1) * share] for i in range(levels))


@dataclass(frozen=True)
class BackboneSettings:
    """The convolutional layers below the head.

    Attributes:
        name: "vgg16" and "zf" are the paper's; any other name is a timm model.
        strides: Strides of the maps used, from the backbone's own; each one is a level.
        pyramid_channels: Join the levels by a feature pyramid of this width; 0 leaves them alone.
        extra_levels: Coarser levels on top of the pyramid, each half the one below.
        extra_by: "pool" takes every second cell of the level below, as the standard RPN does; "convolution" is a
            3 x 3 window of stride 2 with weights of its own (RetinaNet, FCOS).
        pretrained: Start from ImageNet weights through timm, where the machine can reach them.
        weights: A safetensors file to start from instead.
        frozen_stages: The first stages of the backbone that stay as they were loaded (paper, section 3.1.3:
            VGG-16 tunes conv3_1 and up, so 2). Without loaded weights nothing is frozen: there is nothing to
            keep.
        frozen_norm: Keep the batch norms' loaded statistics (small batches on big backbones); likewise only where
            weights were loaded.
    """

    name: str = "vgg16"
    strides: tuple[int, ...] = (16,)
    pyramid_channels: int = 0
    extra_levels: int = 0
    extra_by: Literal["pool", "convolution"] = "pool"
    pretrained: bool = True
    weights: str | None = None
    frozen_stages: int = 2
    frozen_norm: bool = False

    def __post_init__(self) -> None:
        rising = _positive(self.strides, _MOST_STRIDE) and list(self.strides) == sorted(set(self.strides))
        wanted = f"one or more strides above 0 and at most {_MOST_STRIDE:,}, finest first"
        require("strides", self.strides, wanted, rising)
        require_within(self, ["pyramid_channels"], 0, MOST_CHANNELS)
        require_within(self, ["extra_levels"], 0, _MOST_EXTRA_LEVELS)
        require_within(self, ["frozen_stages"], 0, math.inf)

    @property
    def level_strides(self) -> tuple[int, ...]:
        """Strides of all levels, finest first: of the backbone's maps, then of the extra levels."""
        return (*self.strides, *(self.strides[-1] * 2 ** (extra + 1) for extra in range(self.extra_levels)))


@dataclass(frozen=True)
class HeadSettings:
    """The small network slid over the feature map (paper, section 3.1), shared over levels.

    Attributes:
        channels: Width of the intermediate layer: 512 for VGG-16, 256 for ZF.
        convolutions: How many 3 x 3 convolutions before the two siblings.
        tower_convolutions: How many more each of the siblings has to itself.
        norm: "batch" follows each of these convolutions by a batch norm, whose statistics each level has to itself.
        two_class: Two logits an anchor and a softmax, as in the paper; else one logit and a sigmoid (its
            footnote).
        initial_std: New layers are drawn from N(0, initial_std).
        initial_score: What an untrained network answers everywhere; dense objectives start low, because most
            anchors show background (RetinaNet).
        delta_clamp: tw and th are decoded up to this: exp of it is the most that a box outgrows its anchor.
    """

    channels: int = 512
    convolutions: int = 1
    tower_convolutions: int = 0
    norm: Literal["none", "batch"] = "none"
    two_class: bool = True
    initial_std: float = 0.01
    initial_score: float = 0.5
    delta_clamp: float = 4.135166556742356  # log(1000 / 16), the habit of detectors since

    RENAMED = MappingProxyType({"own_convolutions": "tower_convolutions"})

    def __post_init__(self) -> None:
        require_within(self, ["channels"], 1, MOST_CHANNELS)
        require_within(self, ["convolutions", "tower_convolutions"], 0, _MOST_CONVOLUTIONS)
        require("initial_score", self.initial_score, "between 0 and 1, exclusive", 0 < self.initial_score < 1)
        require_within(self, ["initial_std"], 0, 10)
        require_within(self, ["delta_clamp"], 0, 80)


@dataclass(frozen=True)
class MatchSettings:
    """Which anchors are positive and which negative (paper, section 3.1.2).

    Attributes:
        positive_iou: Positive above this (or, below it, the best anchor for some box).
        negative_iou: Negative below this for all boxes.
        tie_tolerance: An anchor is the best for a box too where its IoU is below the highest by at most this fraction
            of it. What ties on paper differs by about 1e-6 as computed, for small anchors by 1e-5; with 0
            only what is equal to the last bit ties.
        drop_cross_boundary: Ignore anchors that leave the image, before matching (paper, section 3.1.3).
        allowed_border: How many pixels they may leave it by.
        ignore_iof: An anchor with more than this fraction of itself in an ignore region is never a negative.
        assigner: "iou" is the paper's rule. "atss" lets each box set its own threshold in place of ``positive_iou``, by
            the overlaps of the anchors around its centre (``atss_match``). The "task-aligned" objective asks neither.
        atss_top_k: "atss": that many anchors of each level.
    """

    positive_iou: float = 0.7
    negative_iou: float = 0.3
    tie_tolerance: float = 1e-4
    drop_cross_boundary: bool = True
    allowed_border: float = 0.0
    ignore_iof: float = 0.5
    assigner: Literal["iou", "atss"] = "iou"
    atss_top_k: int = 9

    RENAMED = MappingProxyType({"candidates": "atss_top_k"})

    def __post_init__(self) -> None:
        require_within(self, ["positive_iou", "negative_iou", "ignore_iof"], 0, 1)
        below = self.negative_iou <= self.positive_iou
        require("negative_iou", self.negative_iou, f"at most {{here}}positive_iou, {self.positive_iou}", below)
        require_within(self, ["tie_tolerance"], 0, 0.5)
        require_within(self, ["atss_top_k"], 1, MOST_BOXES)
        require_within(self, ["allowed_border"], -_MOST_PIXELS, _MOST_PIXELS)


@dataclass(frozen=True)
class SampleSettings:
    """The mini-batch of one image (paper, section 3.1.3).

    Attributes:
        sampler: "random" (the paper), "hard-loss" (the negatives with the highest loss), "hard-window" (those that
            overlap an object a little and whose features vary, never flat background) or "iou-balanced" (as many
            that overlap an object much as little).
        size: Anchors in a mini-batch.
        positive_fraction: Positives at most; missing ones are padded with negatives.
        random_share: "hard-loss": this share of the negatives is drawn at random all the same.
        window_rule: "hard-window": "partial-then-varying" draws negatives that overlap an object a little and vary;
            where they are too few, those that vary, then those that overlap, then any that is not flat.
            "partial-and-varying" draws the first of these only, and the batch stays short without them.
            "partial-or-varying" draws from the first three alike.
        window_variation: "hard-window": features under an anchor vary when the root mean square of the differences
            between neighbouring cells is above this fraction of the standard deviation of the map.
        bins: "iou-balanced": parts of the range of overlaps that give the same number each.
    """

    sampler: Literal["random", "hard-loss", "hard-window", "iou-balanced"] = "random"
    size: int = 256
    positive_fraction: float = 0.5
    random_share: float = 0.25
    window_rule: Literal["partial-then-varying", "partial-and-varying", "partial-or-varying"] = "partial-then-varying"
    window_variation: float = 0.5
    bins: int = 3

    RETIRED = frozenset({"window_quantile"})  # a threshold by rank, in files of earlier versions

    def __post_init__(self) -> None:
        require_within(self, ["size"], 1, MOST_BOXES)
        require_within(self, ["bins"], 1, 1000)
        require_within(self, ["positive_fraction", "random_share"], 0, 1)
        require_within(self, ["window_variation"], 0, 100)


@dataclass(frozen=True)
class LossSettings:
    """L = 1/N_cls sum L_cls + lambda 1/N_reg sum p* smoothL1 (paper, equation 1).

    Attributes:
        objective: "faster-rcnn" is the paper's: anchors are matched by their own overlap and a mini-batch of them is
            drawn. "task-aligned" trains every anchor of the image (``TaskAlignedSettings``) and divides
            both parts by the sum of the targets, whatever ``normalise`` says. "oln" learns from labelled
            boxes only and takes nothing for background: see ``OLNSettings``; it divides by the number of samples.
        normalise: "paper" divides by N_cls = the mini-batch size and N_reg = the number of anchor locations;
            "samples" divides both by the number of samples, as the released code does with box_weight 1.
        box_weight: lambda.
        box: "smooth-l1" compares deltas, as the paper does; "giou", "diou" and "ciou" compare the boxes that they
            mean by generalised, distance or complete IoU.
        smooth_l1_beta: Where the smooth L1 loss turns from square to linear (released code: 1/9).
    """

    objective: Literal["faster-rcnn", "task-aligned", "oln"] = "faster-rcnn"
    normalise: Literal["paper", "samples"] = "paper"
    box_weight: float = 10.0
    box: Literal["smooth-l1", "giou", "diou", "ciou"] = "smooth-l1"
    smooth_l1_beta: float = 1.0

    RENAMED_VALUES = MappingProxyType(
        {"objective": {"sampled": "faster-rcnn", "aligned": "task-aligned", "open-world": "oln"}}
    )

    def __post_init__(self) -> None:
        require_within(self, ["box_weight", "smooth_l1_beta"], 0, math.inf)


@dataclass(frozen=True)
class SelectSettings:
    """From scores and boxes to proposals (paper, section 3.3; counts as in the released code).

    Attributes:
        pre_nms_top_n: The best boxes of each level that enter suppression.
        nms_iou: Suppress above this IoU.
        post_nms_top_n: Proposals kept of an image.
        min_size: Boxes with a side below this (pixels of the resized image) are dropped; empty ones always.
    """

    pre_nms_top_n: int = 6000
    nms_iou: float = 0.7
    post_nms_top_n: int = 300
    min_size: float = 1.0

    RENAMED = MappingProxyType({"before_nms": "pre_nms_top_n", "after_nms": "post_nms_top_n"})

    def __post_init__(self) -> None:
        require_within(self, ["pre_nms_top_n", "post_nms_top_n"], 1, MOST_BOXES)
        require_within(self, ["nms_iou"], 0, 1)
        require_within(self, ["min_size"], 0, _MOST_PIXELS)


@dataclass(frozen=True)
class ImageSettings:
    """What the network sees (paper, section 3.3).

    Attributes:
        short_side: The image is scaled so that its short side has this many pixels ...
        long_side: ... unless its long side would pass this one.
        mean_rgb: Subtracted from pixels in [0, 1].
        std_rgb: Divided by.
    """

    short_side: int = 600
    long_side: int = 1000
    mean_rgb: tuple[float, ...] = (0.485, 0.456, 0.406)
    std_rgb: tuple[float, ...] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        require_within(self, ["short_side", "long_side"], 1, _MOST_PIXELS)
        mean, std = self.mean_rgb, self.std_rgb
        require("mean_rgb", mean, "three numbers, one for each colour", len(mean) == 3)
        require("std_rgb", std, "three numbers above 0", len(std) == 3 and _positive(std, math.inf))


@dataclass(frozen=True)
class RPNSettings:
    """One Region Proposal Network."""

    images: ImageSettings = field(default_factory=ImageSettings)
    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    head: HeadSettings = field(default_factory=HeadSettings)
    anchors: AnchorSettings = field(default_factory=AnchorSettings)
    match: MatchSettings = field(default_factory=MatchSettings)
    sample: SampleSettings = field(default_factory=SampleSettings)
    task_aligned: TaskAlignedSettings = field(default_factory=TaskAlignedSettings)
    oln: OLNSettings = field(default_factory=OLNSettings)
    localization_quality: LocalizationQualitySettings = field(default_factory=LocalizationQualitySettings)
    loss: LossSettings = field(default_factory=LossSettings)
    refinement: RefinementSettings = field(default_factory=RefinementSettings)
    select: SelectSettings = field(default_factory=SelectSettings)
    select_train: SelectSettings = field(
        default_factory=lambda: SelectSettings(pre_nms_top_n=12000, post_nms_top_n=2000)
    )

    RENAMED = MappingProxyType(
        {"align": "task_aligned", "open": "oln", "quality": "localization_quality", "refine": "refinement"}
    )

    def __post_init__(self) -> None:
        # A second stage is taught by the task-aligned objective, which takes what nobody labelled for background.
        closed = self.loss.objective != "oln" or not self.refinement.grid
        require("refinement.grid", self.refinement.grid, "0 where {here}loss.objective is oln", closed)


def _positive(numbers: Sequence[float], most: float) -> bool:
    """Whether there is any number, and all are finite, above 0 and at most ``most``."""
    return bool(numbers) and all(0 < number <= most and number < math.inf for number in numbers)
