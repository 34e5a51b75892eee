"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from objectness.detector.settings import DetectorSettings
from objectness.rpn.settings import RPNSettings
from objectness.settings import Bounds, Fraction, NonNegative, Settings, require

_MOST_CROP = 16_384
_MOST_STEPS = 10**9
Rate = Annotated[float, Bounds(ge=0, le=1_000_000)]  # the optimizers compute in float32
Decay = Annotated[float, Bounds(ge=0, lt=1)]
StepCount = Annotated[int, Bounds(ge=0, le=_MOST_STEPS)]
BatchCount = Annotated[int, Bounds(ge=1, le=65_536)]
Count = Annotated[int, Bounds(ge=0)]


@dataclass(frozen=True)
class OptimizerSettings(Settings):
    """Updates of the weights; the defaults are the paper's (section 3.1.3).

    Attributes:
        kind: "sgd" with momentum, or "adamw".
        lr: Highest learning rate.
        momentum: Momentum of SGD.
        weight_decay: Weight decay; adamw does not apply it to biases and norms.
        backbone_lr_factor: Learning rate of the backbone as a multiple of ``lr``.
        clip_norm: Longest gradient; longer ones are scaled down. 0 switches it off.
        layer_decay: Learning rate of each stage of the backbone as a multiple of that of the next one, so that the
            first filters, which fit any photograph, change least (layer-wise decay of BEiT); 1 means none.
    """

    kind: Literal["sgd", "adamw"] = "sgd"
    lr: Rate = 0.001
    momentum: Decay = 0.9
    weight_decay: Rate = 0.0005
    backbone_lr_factor: Rate = 1.0
    clip_norm: NonNegative = 0.0
    layer_decay: Annotated[float, Bounds(gt=0, le=1)] = 1.0


@dataclass(frozen=True)
class ScheduleSettings(Settings):
    """Course of the learning rate; the defaults are the paper's 60k mini-batches, then a tenth for 20k.

    Attributes:
        kind: "step", "cosine", or "trapezoid": constant, then linearly down to ``final_factor``; a run can be
            prolonged from any point of the constant part.
        warmup_steps: First updates, over which the rate rises linearly.
        milestones: "step": fractions of all updates after which the rate is multiplied by ``step_factor``.
        step_factor: "step": that factor.
        decay_start: "trapezoid": fraction of all updates after which the rate falls.
        final_factor: "cosine" and "trapezoid": last rate as a fraction of the highest.
    """

    kind: Literal["step", "cosine", "trapezoid"] = "step"
    warmup_steps: StepCount = 0
    milestones: tuple[Fraction, ...] = (0.75,)
    step_factor: Fraction = 0.1  # the rate is highest before they act
    decay_start: Decay = 0.8
    final_factor: Fraction = 0.01

    RENAMED: ClassVar = {"step_at": "milestones", "fall_from": "decay_start"}


@dataclass(frozen=True)
class AugmentSettings(Settings):
    """Augmentation of training photographs; the paper only flips.

    Attributes:
        flip: Probability of a mirror image.
        flip_vertical: Probability of an upside-down image (microscopes, aerial photographs).
        scale: Smallest and largest multiple of the network's image size, drawn log-uniformly. 0.1 to 2 with ``crop``
            as large as the short side is large-scale jitter (Ghiasi et al., Simple Copy-Paste).
        crop: Side in pixels of the square, at most, that is cut out of the scaled image; 0 keeps it whole.
        min_visibility: A box of which a crop leaves less than this share becomes an ignore region.
        color_jitter: Strength of changes in brightness, contrast and saturation.
        mosaic: Probability that a training photograph is made of four, each at ``mosaic_shrink`` times the drawn
            scale, set around a point of a square of ``crop`` pixels: more objects in the same time, and large ones
            whole.
        mosaic_shrink: Scale of the photographs of a mosaic, as a multiple of the drawn scale.
        mosaic_until: Share of the epochs after which mosaics end, so that the last photographs are as in use.
    """

    flip: Fraction = 0.5
    flip_vertical: Fraction = 0.0
    scale: tuple[float, ...] = (1.0, 1.0)
    crop: int = 0
    min_visibility: Fraction = 0.4
    color_jitter: Fraction = 0.0
    mosaic: Fraction = 0.0
    mosaic_shrink: Annotated[float, Bounds(ge=0.01, le=100)] = 0.6
    mosaic_until: Fraction = 0.9

    RENAMED: ClassVar = {"keep_visible": "min_visibility", "colour": "color_jitter"}

    def __post_init__(self) -> None:
        super().__post_init__()
        rising = len(self.scale) == 2 and 0.01 <= self.scale[0] <= self.scale[1] <= 100
        require("scale", self.scale, "two numbers between 0.01 and 100, the smaller first", rising)
        whole_or_cut = self.crop == 0 or 32 <= self.crop <= _MOST_CROP
        require("crop", self.crop, f"0, or between 32 and {_MOST_CROP:,}", whole_or_cut)
        require("mosaic", self.mosaic, "0 where {here}crop is 0", not self.mosaic or self.crop > 0)


@dataclass(frozen=True)
class DataSettings(Settings):
    """Classes whose boxes count as labelled, in training and in validation.

    Attributes:
        only_classes: Classes that count; boxes of all others are treated as unlabelled. Empty means all.
        held_out_classes: Classes whose boxes are treated as unlabelled.
    """

    only_classes: tuple[str, ...] = ()
    held_out_classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoopSettings(Settings):
    """The training loop.

    Attributes:
        epochs: Passes over the training photographs.
        epoch_images: Photographs of an epoch, so that a large data set is validated and saved more often; 0 means all.
        steps: Updates in all; 0 leaves it to ``epochs``.
        min_steps: Fewest updates: few photographs need more passes than ``epochs``.
        batch_size: Photographs of a batch (the paper: one).
        accumulate: Batches whose gradients are summed up for one update.
        amp: bfloat16 where it is safe (losses and boxes stay float32) and the hardware has instructions for it; a
            processor without them would be ten times slower, and trains in float32. Validation is float32.
        channels_last: Memory layout that CPUs and tensor cores prefer.
        ema: Decay of the moving average of the weights, which is validated and saved; 0 switches it off.
        seed: Seed of initial weights, order, augmentation and samples.
        workers: Processes that read photographs.
        verify_images: Decode every photograph before the first update, so that a truncated one is named and left out
            at once and does not stop the run later; it takes a few seconds per thousand.
        device: "auto", "cpu", "cuda" or "cuda:1".
        validate_every: Epochs between validations; 0: only at the end.
        validate_images: Validation photographs at most, drawn by the seed; 0 means all.
        save_minutes: Longest time between two resumable checkpoints; every epoch ends with one too.
        patience: Validations without a better AR@100 (of a detector: mAP) after which training stops; 0 means never.
    """

    epochs: Annotated[int, Bounds(ge=1, le=_MOST_STEPS)] = 12
    epoch_images: Count = 0
    steps: StepCount = 0
    min_steps: StepCount = 0
    batch_size: BatchCount = 1
    accumulate: BatchCount = 1
    amp: bool = True
    channels_last: bool = True
    ema: Decay = 0.0
    seed: Annotated[int, Bounds(ge=0, le=2**63 - 1)] = 0
    workers: Annotated[int, Bounds(ge=0, le=1024)] = 2
    verify_images: bool = True
    device: str = "auto"
    validate_every: Count = 1
    validate_images: Count = 0
    save_minutes: NonNegative = 5.0
    patience: Count = 0

    RENAMED: ClassVar = {"least_steps": "min_steps"}


@dataclass(frozen=True)
class AlternatingSettings(Settings):
    """The paper's 4-step training (section 3.2).

    Attributes:
        detector_share: Updates of each of the two steps of the detector, as a multiple of those of each of the two
            steps of the RPN; the released code takes 40,000 and 80,000.
    """

    detector_share: Annotated[float, Bounds(gt=0, le=1000)] = 0.5


@dataclass(frozen=True)
class RunSettings(Settings):
    """Settings of one training run, as ``config.json`` holds them.

    Attributes:
        scheme: What is trained, and how: "rpn" is a Region Proposal Network. "joint" is a whole Faster R-CNN in one
            loop, where no gradient flows through the coordinates of proposals, "alternating" one in the paper's four
            steps (section 3.2). "fast-rcnn" trains a detector on proposals from a file.
        initial_weights: A trained network whose weights the new one takes over where they fit: "default" for the
            bundled model, an exported .onnx file, a checkpoint or a run folder. Empty: only the backbone may have
            initial weights, those that ``rpn.backbone`` names.
    """

    recipe: str = "paper-vgg16"
    scheme: Literal["rpn", "joint", "alternating", "fast-rcnn"] = "rpn"
    initial_weights: str = ""
    rpn: RPNSettings = field(default_factory=RPNSettings)
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    alternating: AlternatingSettings = field(default_factory=AlternatingSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    data: DataSettings = field(default_factory=DataSettings)
    loop: LoopSettings = field(default_factory=LoopSettings)

    RENAMED: ClassVar = {"optimiser": "optimizer", "start": "initial_weights"}
    RENAMED_VALUES: ClassVar = {"recipe": {"aligned": "task-aligned", "refined": "two-stage"}}
