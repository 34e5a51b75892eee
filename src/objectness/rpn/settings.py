"""Settings of the Region Proposal Network; the defaults are the paper's.

Free of PyTorch, so that the description of a model can be read anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from objectness.errors import InputError
from objectness.rpn.extensions.settings import (
    BoxCount,
    Channels,
    LocalizationQualitySettings,
    OLNSettings,
    RefinementSettings,
    TaskAlignedSettings,
)
from objectness.settings import Bounds, Fraction, NonNegative, Settings, require

# Settings also come from untrusted model files: a few bytes must not ask for more than a machine has.
_MOST_PIXELS = 65_536
_MOST_ANCHOR_SHAPES = 1000

Side = Annotated[int, Bounds(ge=1, le=_MOST_PIXELS)]
LayerCount = Annotated[int, Bounds(ge=0, le=64)]


@dataclass(frozen=True)
class AnchorSettings(Settings):
    """Anchors, the reference boxes (paper, section 3.1.1).

    Attributes:
        sizes: Square roots of the areas, in pixels of the resized image. Several levels get ``len(sizes) / levels``
            of them each, in order, the finest level first.
        ratios_height_over_width: Aspect ratios at each size, of equal area.
        offset: Centre of an anchor in its cell, as a fraction of the stride: 0.5 is the middle (right for VGG's even
            pooling), 0 the top left corner, as torchvision and detectron2 place them.
        style: "paper" gives exact floats; "py-faster-rcnn" the nine rounded anchors of the released code.
    """

    sizes: tuple[Annotated[float, Bounds(gt=0, le=_MOST_PIXELS)], ...] = (128.0, 256.0, 512.0)
    ratios_height_over_width: tuple[Annotated[float, Bounds(ge=0.001, le=1000)], ...] = (0.5, 1.0, 2.0)
    offset: Annotated[float, Bounds(ge=-10, le=10)] = 0.5
    style: Literal["paper", "py-faster-rcnn"] = "paper"

    def __post_init__(self) -> None:
        super().__post_init__()
        ratios = self.ratios_height_over_width
        require("sizes", self.sizes, "one or more lengths", len(self.sizes) > 0)
        require("ratios_height_over_width", ratios, "one or more ratios", len(ratios) > 0)
        shapes = len(self.sizes) * len(ratios)
        require("sizes times ratios", shapes, f"at most {_MOST_ANCHOR_SHAPES:,} anchors", shapes <= _MOST_ANCHOR_SHAPES)

    def sizes_per_level(self, levels: int) -> tuple[tuple[float, ...], ...]:
        """Sizes of each level, finest first.

        Raises:
            InputError: the number of sizes is no multiple of the number of levels.
        """
        if len(self.sizes) % levels:
            raise InputError(
                f"rpn.anchors.sizes holds {len(self.sizes)} sizes, which cannot be dealt evenly to {levels} "
                f"feature levels: give {levels} sizes, or a multiple of it."
            )
        share = len(self.sizes) // levels
        return tuple(self.sizes[i * share : (i + 1) * share] for i in range(levels))


@dataclass(frozen=True)
class BackboneSettings(Settings):
    """The convolutional layers below the head.

    Attributes:
        name: "vgg16" and "zf" are the paper's; any other name is a timm model.
        strides: Strides of the feature maps that become levels, among those of the backbone.
        pyramid_channels: Width of the feature pyramid (FPN) that joins the levels; 0 means none.
        extra_levels: Coarser levels on top of the pyramid, each half the one below.
        extra_by: "pool" takes every second cell of the level below, as the standard RPN does; "convolution" is a
            3 x 3 window of stride 2 with weights of its own (RetinaNet, FCOS).
        pretrained: Initial weights from ImageNet through timm, where the machine can reach them.
        weights: A safetensors file of initial weights instead.
        frozen_stages: Number of first stages that keep their loaded weights (paper, section 3.1.3: VGG-16 tunes
            conv3_1 and up, so 2). Without loaded weights nothing is frozen.
        frozen_norm: Batch norms keep their loaded statistics (small batches on big backbones); without loaded
            weights nothing is frozen.
    """

    name: str = "vgg16"
    strides: tuple[Annotated[int, Bounds(ge=1, le=4096)], ...] = (16,)
    pyramid_channels: Annotated[int, Bounds(ge=0, le=8192)] = 0
    extra_levels: Annotated[int, Bounds(ge=0, le=8)] = 0
    extra_by: Literal["pool", "convolution"] = "pool"
    pretrained: bool = True
    weights: str | None = None
    frozen_stages: Annotated[int, Bounds(ge=0)] = 2
    frozen_norm: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        rising = len(self.strides) > 0 and list(self.strides) == sorted(set(self.strides))
        require("strides", self.strides, "one or more strides, finest first", rising)

    @property
    def level_strides(self) -> tuple[int, ...]:
        """Strides of all levels, finest first: of the backbone's maps, then of the extra levels."""
        return (*self.strides, *(self.strides[-1] * 2 ** (extra + 1) for extra in range(self.extra_levels)))


@dataclass(frozen=True)
class HeadSettings(Settings):
    """The small network slid over the feature map (paper, section 3.1), shared over levels.

    Attributes:
        channels: Width of the intermediate layer: 512 for VGG-16, 256 for ZF.
        convolutions: Number of 3 x 3 convolutions before the two sibling layers.
        tower_convolutions: Number of further ones before each sibling layer, in a tower of its own.
        norm: "batch" puts a batch norm behind each of these convolutions, with statistics of its own for each level.
        two_class: Two logits an anchor and a softmax, as in the paper; else one logit and a sigmoid (its
            footnote).
        initial_std: New layers are drawn from N(0, initial_std).
        initial_score: Score of an untrained network, everywhere (the prior probability of RetinaNet); low for dense
            objectives, because most anchors show background.
        delta_clamp: Largest tw and th that are decoded: a box is at most exp of this times as large as its anchor.
    """

    channels: Channels = 512
    convolutions: LayerCount = 1
    tower_convolutions: LayerCount = 0
    norm: Literal["none", "batch"] = "none"
    two_class: bool = True
    initial_std: Annotated[float, Bounds(ge=0, le=10)] = 0.01
    initial_score: Annotated[float, Bounds(gt=0, lt=1)] = 0.5
    delta_clamp: Annotated[float, Bounds(ge=0, le=80)] = 4.135166556742356  # log(1000 / 16), usual in detectors

    RENAMED: ClassVar = {"own_convolutions": "tower_convolutions"}


@dataclass(frozen=True)
class MatchSettings(Settings):
    """Matching of anchors to labelled boxes: positives and negatives (paper, section 3.1.2).

    Attributes:
        positive_iou: Positive above this, and the best anchor of each box also below it.
        negative_iou: Negative below this for all boxes.
        tie_tolerance: An anchor ties with the best of a box where its IoU is lower by at most this fraction. IoUs
            that are equal on paper differ by about 1e-6 as computed, for small anchors by 1e-5; 0 asks for equality
            to the last bit.
        drop_cross_boundary: Ignore anchors that leave the image, before matching (paper, section 3.3).
        allowed_border: Pixels by which they may leave it.
        ignore_iof: An anchor with more than this fraction of itself in an ignore region is never a negative.
        assigner: "iou" is the paper's rule. "atss" lets each box set its own threshold in place of ``positive_iou``, by
            the overlaps of the anchors around its centre (``atss_match``). The "task-aligned" objective uses neither.
        atss_top_k: "atss": number of candidate anchors of each level.
    """

    positive_iou: Fraction = 0.7
    negative_iou: Fraction = 0.3
    tie_tolerance: Annotated[float, Bounds(ge=0, le=0.5)] = 1e-4
    drop_cross_boundary: bool = True
    allowed_border: Annotated[float, Bounds(ge=-_MOST_PIXELS, le=_MOST_PIXELS)] = 0.0
    ignore_iof: Fraction = 0.5
    assigner: Literal["iou", "atss"] = "iou"
    atss_top_k: BoxCount = 9

    RENAMED: ClassVar = {"candidates": "atss_top_k"}

    def __post_init__(self) -> None:
        super().__post_init__()
        below = self.negative_iou <= self.positive_iou
        require("negative_iou", self.negative_iou, f"at most {{here}}positive_iou, {self.positive_iou}", below)


@dataclass(frozen=True)
class SampleSettings(Settings):
    """The mini-batch of one image (paper, section 3.1.3).

    Attributes:
        sampler: Choice of negatives: "random" (the paper); "ohem", those with the highest loss (online hard example
            mining); "hard-window", those that overlap an object a little and have varied features, never flat
            background; "iou-balanced", equal numbers from each range of overlap (Libra R-CNN).
        size: Anchors in a mini-batch.
        positive_fraction: Largest share of positives; missing ones are replaced by negatives.
        random_share: "ohem": share of the negatives that is drawn at random.
        window_rule: "hard-window": "partial-then-varying" draws negatives that overlap an object a little and vary;
            where they are too few, those that vary, then those that overlap, then any that is not flat.
            "partial-and-varying" draws the first of these only, and the batch stays short without them.
            "partial-or-varying" draws from the first three alike.
        window_variation: "hard-window": features under an anchor vary when the root mean square of the differences
            between neighbouring cells is above this fraction of the standard deviation of the map.
        bins: "iou-balanced": number of ranges of overlap.
    """

    sampler: Literal["random", "ohem", "hard-window", "iou-balanced"] = "random"
    size: BoxCount = 256
    positive_fraction: Fraction = 0.5
    random_share: Fraction = 0.25
    window_rule: Literal["partial-then-varying", "partial-and-varying", "partial-or-varying"] = "partial-then-varying"
    window_variation: Annotated[float, Bounds(ge=0, le=100)] = 0.5
    bins: Annotated[int, Bounds(ge=1, le=1000)] = 3

    RENAMED_VALUES: ClassVar = {"sampler": {"hard-loss": "ohem"}}
    RETIRED: ClassVar = frozenset({"window_quantile"})  # a threshold by rank, in files of earlier versions


@dataclass(frozen=True)
class LossSettings(Settings):
    """L = 1/N_cls sum L_cls + lambda 1/N_reg sum p* smoothL1 (paper, equation 1).

    Attributes:
        objective: "faster-rcnn" is the paper's: anchors are matched by their own overlap, and a mini-batch of them is
            drawn. "task-aligned" trains every anchor of the image (``TaskAlignedSettings``) and divides both parts by
            the sum of the targets, whatever ``normalize`` is. "oln" learns from labelled boxes only, without
            background (``OLNSettings``), and divides the score by the number of samples, the box by that of positives.
        normalize: "paper" divides by N_cls = the mini-batch size and N_reg = the number of anchor locations;
            "samples" divides both by the number of samples, as the released code does with box_weight 1.
        box_weight: lambda.
        box: "smooth-l1" compares deltas, as the paper does; "giou", "diou" and "ciou" compare the decoded boxes by
            generalised, distance or complete IoU.
        smooth_l1_beta: Distance at which the smooth L1 loss turns from square to linear (released code: 1/9).
    """

    objective: Literal["faster-rcnn", "task-aligned", "oln"] = "faster-rcnn"
    normalize: Literal["paper", "samples"] = "paper"
    box_weight: NonNegative = 10.0
    box: Literal["smooth-l1", "giou", "diou", "ciou"] = "smooth-l1"
    smooth_l1_beta: NonNegative = 1.0

    RENAMED: ClassVar = {"normalise": "normalize"}
    RENAMED_VALUES: ClassVar = {"objective": {"sampled": "faster-rcnn", "aligned": "task-aligned", "open-world": "oln"}}


@dataclass(frozen=True)
class SelectSettings(Settings):
    """Selection of proposals from scored boxes (paper, section 3.3; counts as in the released code).

    Attributes:
        pre_nms_top_n: Best boxes of each level that enter suppression.
        nms_iou: Boxes above this IoU with a better one are suppressed.
        post_nms_top_n: Proposals of an image.
        min_size: Shortest side of a box, in pixels of the resized image; empty boxes are always dropped.
    """

    pre_nms_top_n: BoxCount = 6000
    nms_iou: Fraction = 0.7
    post_nms_top_n: BoxCount = 300
    min_size: Annotated[float, Bounds(ge=0, le=_MOST_PIXELS)] = 1.0

    RENAMED: ClassVar = {"before_nms": "pre_nms_top_n", "after_nms": "post_nms_top_n"}


@dataclass(frozen=True)
class ImageSettings(Settings):
    """Size and normalisation of the network's input (paper, section 3.3).

    Attributes:
        short_side: The image is scaled so that its short side has this many pixels ...
        long_side: ... unless its long side would pass this one.
        mean_rgb: Mean that is subtracted from pixels in [0, 1].
        std_rgb: Deviation by which they are divided.
    """

    short_side: Side = 600
    long_side: Side = 1000
    mean_rgb: tuple[float, ...] = (0.485, 0.456, 0.406)
    std_rgb: tuple[Annotated[float, Bounds(gt=0)], ...] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("mean_rgb", "std_rgb"):
            numbers = getattr(self, name)
            require(name, numbers, "three numbers, one for each colour", len(numbers) == 3)


@dataclass(frozen=True)
class RPNSettings(Settings):
    """Settings of one Region Proposal Network."""

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

    RENAMED: ClassVar = {
        "align": "task_aligned",
        "open": "oln",
        "quality": "localization_quality",
        "refine": "refinement",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        # The second stage is trained by the task-aligned objective, where unlabelled objects are background.
        closed = self.loss.objective != "oln" or not self.refinement.grid
        require("refinement.grid", self.refinement.grid, "0 where {here}loss.objective is oln", closed)
