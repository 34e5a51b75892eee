"""Every number of a training run, by name."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from objectness.rpn.settings import RPNSettings
from objectness.settings import require, require_within

_MOST_STEPS = 10**9
_MOST_CROP = 16_384
_MOST_RATE = 1_000_000  # the optimizers compute in float32


@dataclass(frozen=True)
class OptimizerSettings:
    """How weights are updated; the defaults are the paper's (section 3.1.3).

    Attributes:
        kind: "sgd" with momentum, or "adamw".
        lr: Learning rate at its highest.
        momentum: Of SGD.
        weight_decay: Not applied to biases and norms with adamw.
        backbone_lr_factor: The backbone learns at this multiple of ``lr``.
        clip_norm: Gradients longer than this are scaled down; 0 switches it off.
        layer_decay: Each stage of the backbone learns at this multiple of the rate of what comes after it, so that the
            first filters, which fit any photograph, change least (layer-wise decay of BEiT); 1 treats all alike.
    """

    kind: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 0.0005
    backbone_lr_factor: float = 1.0
    clip_norm: float = 0.0
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        require_within(self, ["lr", "weight_decay", "backbone_lr_factor"], 0, _MOST_RATE)
        require_within(self, ["clip_norm"], 0, math.inf)
        require("layer_decay", self.layer_decay, "above 0 and at most 1", 0 < self.layer_decay <= 1)
        require("momentum", self.momentum, "at least 0 and below 1", 0 <= self.momentum < 1)


@dataclass(frozen=True)
class ScheduleSettings:
    """How the learning rate moves; the defaults are the paper's 60k mini-batches, then a tenth for 20k.

    Attributes:
        kind: "step", "cosine", or "trapezoid": level, then falling in a straight line to ``final_factor``; a run can
            be prolonged from any point of the level part.
        warmup_steps: The rate rises linearly over these first.
        step_at: "step": fractions of all steps after which the rate is multiplied by ``step_factor``.
        step_factor: See there.
        fall_from: "trapezoid": the fraction of all steps after which the rate falls.
        final_factor: "cosine" and "trapezoid": the last rate as a fraction of the highest.
    """

    kind: Literal["step", "cosine", "trapezoid"] = "step"
    warmup_steps: int = 0
    step_at: tuple[float, ...] = (0.75,)
    step_factor: float = 0.1
    fall_from: float = 0.8
    final_factor: float = 0.01

    def __post_init__(self) -> None:
        require_within(self, ["warmup_steps"], 0, _MOST_STEPS)
        within = all(0 <= fraction <= 1 for fraction in self.step_at)
        require("step_at", self.step_at, "fractions between 0 and 1", within)
        require_within(self, ["step_factor", "final_factor"], 0, 1)  # the rate is highest before they act
        require("fall_from", self.fall_from, "at least 0 and below 1", 0 <= self.fall_from < 1)


@dataclass(frozen=True)
class AugmentSettings:
    """How training photographs vary; the paper only flips.

    Attributes:
        flip: Probability of a mirror image.
        flip_vertical: Probability of an upside-down image (microscopes, aerial photographs).
        scale: Smallest and largest multiple of the network's image size, drawn log-uniformly. 0.1 to 2 with ``crop``
            as large as the short side is large-scale jitter (Ghiasi et al., Simple Copy-Paste).
        crop: Cut a square of at most this many pixels a side out of the scaled image; 0 keeps it whole.
        keep_visible: A box of which a crop leaves less than this share becomes an ignore region.
        colour: Strength of brightness, contrast and saturation changes.
        mosaic: Probability that a training photograph is made of four, each at ``mosaic_shrink`` times the drawn
            scale, set around a point of a square of ``crop`` pixels: more objects for the same time, and large ones
            whole.
        mosaic_shrink: See there.
        mosaic_until: Share of the epochs after which there are no more of them, so that the network ends on
            photographs as it will meet them.
    """

    flip: float = 0.5
    flip_vertical: float = 0.0
    scale: tuple[float, ...] = (1.0, 1.0)
    crop: int = 0
    keep_visible: float = 0.4
    colour: float = 0.0
    mosaic: float = 0.0
    mosaic_shrink: float = 0.6
    mosaic_until: float = 0.9

    def __post_init__(self) -> None:
        require_within(self, ["flip", "flip_vertical", "keep_visible", "colour", "mosaic", "mosaic_until"], 0, 1)
        rising = len(self.scale) == 2 and 0.01 <= self.scale[0] <= self.scale[1] <= 100
        require("scale", self.scale, "two numbers between 0.01 and 100, the smaller first", rising)
        whole_or_cut = self.crop == 0 or 32 <= self.crop <= _MOST_CROP
        require("crop", self.crop, f"0, or between 32 and {_MOST_CROP:,}", whole_or_cut)
        require("mosaic", self.mosaic, "0 where {here}crop is 0", not self.mosaic or self.crop > 0)
        require_within(self, ["mosaic_shrink"], 0.01, 100)


@dataclass(frozen=True)
class DataSettings:
    """Which boxes of the data set count as labelled, in training and in validation.

    Attributes:
        only_classes: As if nobody had labelled the others; empty means all.
        held_out_classes: As if nobody had labelled these.
    """

    only_classes: tuple[str, ...] = ()
    held_out_classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoopSettings:
    """The loop itself.

    Attributes:
        epochs: Passes over the training photographs.
        epoch_images: Photographs drawn for an epoch, so that a large data set is validated and saved more often; 0
            means all.
        steps: Updates in all; 0 leaves it to ``epochs``.
        least_steps: Where ``epochs`` mean fewer updates than this, there are more of them: few photographs need more
            passes.
        batch_size: Photographs at a time (the paper: one).
        accumulate: Batches whose gradients are summed up for one update.
        amp: Train in bfloat16 where it is safe (losses and boxes stay float32) and the hardware has instructions for
            it: a processor without them would be ten times slower, and trains in float32. Validation is float32.
        channels_last: Memory layout that CPUs and tensor cores prefer.
        ema: Decay of the moving average of the weights, which is what is validated and saved; 0 switches it off.
        seed: Decides initial weights, order, augmentation and samples.
        workers: Processes that read photographs.
        verify_images: Decode every photograph before the first step, so that a truncated one is left out and named
            then and does not stop the run later; it costs a few seconds per thousand.
        device: "auto", "cpu", "cuda" or "cuda:1".
        validate_every: Epochs between validations (0: only at the end).
        validate_images: At most this many validation photographs, drawn by the seed; 0 means all.
        save_minutes: A resumable checkpoint at least this often, and after every epoch.
        patience: Stop after this many validations without a better AR@100; 0 never.
    """

    epochs: int = 12
    epoch_images: int = 0
    steps: int = 0
    least_steps: int = 0
    batch_size: int = 1
    accumulate: int = 1
    amp: bool = True
    channels_last: bool = True
    ema: float = 0.0
    seed: int = 0
    workers: int = 2
    verify_images: bool = True
    device: str = "auto"
    validate_every: int = 1
    validate_images: int = 0
    save_minutes: float = 5.0
    patience: int = 0

    def __post_init__(self) -> None:
        require_within(self, ["epochs"], 1, _MOST_STEPS)
        require_within(self, ["batch_size", "accumulate"], 1, 65_536)
        require_within(self, ["steps", "least_steps"], 0, _MOST_STEPS)
        require_within(self, ["epoch_images", "patience", "validate_every", "validate_images"], 0, math.inf)
        require_within(self, ["seed"], 0, 2**63 - 1)
        require_within(self, ["workers"], 0, 1024)
        require("ema", self.ema, "at least 0 and below 1", 0 <= self.ema < 1)
        require_within(self, ["save_minutes"], 0, math.inf)


@dataclass(frozen=True)
class RunSettings:
    """One training run: what ``--set`` changes and ``config.json`` holds.

    Attributes:
        initial_weights: A trained network whose weights the new one takes over where they fit: "default" for the
            bundled model, an exported .onnx file, a checkpoint or a run folder. Empty: only the backbone may have
            initial weights, those that ``rpn.backbone`` names.
    """

    recipe: str = "paper-vgg16"
    initial_weights: str = ""
    rpn: RPNSettings = field(default_factory=RPNSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    data: DataSettings = field(default_factory=DataSettings)
    loop: LoopSettings = field(default_factory=LoopSettings)

    RENAMED = MappingProxyType({"optimiser": "optimizer", "start": "initial_weights"})
    RENAMED_VALUES = MappingProxyType({"recipe": {"aligned": "task-aligned", "refined": "two-stage"}})
