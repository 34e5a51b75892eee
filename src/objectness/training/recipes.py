"""Recipes: each a function whose docstring promises command, hardware, time and average recall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from objectness.detector.settings import (
    BoxHeadSettings,
    DetectionSettings,
    DetectorLossSettings,
    DetectorSettings,
    PoolSettings,
    RoISampleSettings,
)
from objectness.errors import InputError, did_you_mean
from objectness.rpn.extensions.settings import RefinementSettings
from objectness.rpn.settings import (
    AnchorSettings,
    BackboneSettings,
    HeadSettings,
    ImageSettings,
    LossSettings,
    MatchSettings,
    RPNSettings,
    SampleSettings,
    SelectSettings,
)
from objectness.training.settings import (
    AugmentSettings,
    LoopSettings,
    OptimizerSettings,
    RunSettings,
    ScheduleSettings,
)


def paper_vgg16() -> RunSettings:
    """The paper's network on VGG-16 (section 3): every number as printed.

    Command: ``objectness train VOC --recipe paper-vgg16``. Hardware: a GPU, or patience: 3.5 s for each
    photograph on two CPU cores. Time for all 80,000 steps: not measured by us. AR: the paper prints none; 160 photos
    from scratch at 300 px reached AR@100 .150 on 20 photographs of BCCD (docs/experiments/LOG.md).
    """
    return RunSettings(recipe="paper-vgg16", loop=LoopSettings(steps=80_000))


def paper_zf() -> RunSettings:
    """The paper's network on the Zeiler and Fergus model: 256-d, all layers tuned.

    Command: ``objectness train VOC --recipe paper-zf``. Hardware: a GPU, or patience: 1 s a photograph on two
    CPU cores. Time for all 80,000 steps: not measured by us. AR: the paper prints none; 160 photographs from scratch
    reached AR@100 .355 on 20 photographs of BCCD (docs/experiments/LOG.md).
    """
    return RunSettings(
        recipe="paper-zf",
        rpn=RPNSettings(backbone=BackboneSettings(name="zf", frozen_stages=0), head=HeadSettings(channels=256)),
        loop=LoopSettings(steps=80_000),
    )


def fpn_resnet50() -> RunSettings:
    """The RPN that became the standard: ResNet-50, five-level pyramid, one logit, samples counted alike.

    Command: ``objectness train COCO --recipe fpn-resnet50`` (16 photographs an update: 8 batches of 2 summed up).
    Hardware: a GPU. Time and AR: not measured by us beyond a few updates on a CPU, which work; detectron2 and
    mmdetection report AR@1000 of about .58 on COCO val2017 for these settings, trained on train2017 for 12 epochs.
    """
    return RunSettings(
        recipe="fpn-resnet50",
        rpn=RPNSettings(
            images=ImageSettings(short_side=800, long_side=1333),
            backbone=BackboneSettings(
                name="resnet50",
                strides=(4, 8, 16, 32),
                pyramid_channels=256,
                extra_levels=1,
                frozen_stages=2,
                frozen_norm=True,
            ),
            head=HeadSettings(channels=256, two_class=False),
            anchors=AnchorSettings(sizes=(32.0, 64.0, 128.0, 256.0, 512.0), offset=0.0),
            match=MatchSettings(drop_cross_boundary=False),
            loss=LossSettings(normalize="samples", box_weight=1.0, smooth_l1_beta=0.0),
            select=SelectSettings(pre_nms_top_n=1000, post_nms_top_n=1000),
            select_train=SelectSettings(pre_nms_top_n=2000, post_nms_top_n=2000),
        ),
        optimizer=OptimizerSettings(lr=0.02, weight_decay=0.0001),
        schedule=ScheduleSettings(warmup_steps=500, milestones=(2 / 3, 8 / 9)),
        loop=LoopSettings(epochs=12, batch_size=2, accumulate=8),
    )


def small() -> RunSettings:
    """A MobileNetV2 with a slim four-level pyramid at 384 px: trains usefully on two CPU cores.

    Command: ``objectness train BCCD --recipe small --set rpn.backbone.pretrained=false`` (from scratch, 40 epochs of
    205 blood-cell micrographs). Hardware: two CPU cores, 2 GB. Time: 29 minutes of training, one thread beside other
    work. AR@100: .674 on the test split; .50 on the validation split after 10 minutes.
    """
    return RunSettings(
        recipe="small",
        rpn=RPNSettings(
            images=ImageSettings(short_side=384, long_side=640),
            backbone=BackboneSettings(
                name="mobilenetv2_100",
                strides=(8, 16, 32),
                pyramid_channels=96,
                extra_levels=1,
                frozen_stages=0,
            ),
            head=HeadSettings(channels=96, two_class=False),
            anchors=AnchorSettings(sizes=(16.0, 26.0, 42.0, 66.0, 104.0, 152.0, 216.0, 310.0), offset=0.5),
            match=MatchSettings(drop_cross_boundary=False),
            sample=SampleSettings(),
            loss=LossSettings(normalize="samples", box_weight=2.0, smooth_l1_beta=0.1),
            select=SelectSettings(pre_nms_top_n=1000, post_nms_top_n=300),
            select_train=SelectSettings(pre_nms_top_n=2000, post_nms_top_n=2000),
        ),
        optimizer=OptimizerSettings(kind="adamw", lr=0.001, weight_decay=0.05, clip_norm=5.0),
        schedule=ScheduleSettings(kind="cosine", warmup_steps=100),
        augment=AugmentSettings(scale=(0.6, 1.25), crop=320, color_jitter=0.2),
        loop=LoopSettings(epochs=40, batch_size=8, ema=0.998),
    )


def task_aligned() -> RunSettings:
    """One anchor a cell, every anchor trained, scores that say how well the box fits: recall above the standard RPN.

    The network of ``small`` with the head of today's one-stage detectors and the objective of TOOD
    (``TaskAlignedSettings``).
    Command: ``objectness train COCO --recipe task-aligned``. Hardware: two CPU cores, 3 GB. Time: 5 photographs a
    second on a core that has nothing else to do. AR@100: .331 after 6 epochs of 2,339 everyday photographs, from
    ImageNet weights, on 120 others; ``small`` had .223 there (docs/experiments/LOG.md).
    """
    return RunSettings(
        recipe="task-aligned",
        rpn=RPNSettings(
            images=ImageSettings(short_side=384, long_side=640),
            backbone=BackboneSettings(
                name="mobilenetv2_100",
                strides=(8, 16, 32),
                pyramid_channels=96,
                extra_levels=1,
                extra_by="convolution",
                frozen_stages=0,
            ),
            head=HeadSettings(
                channels=96, tower_convolutions=1, norm="batch", two_class=False, initial_std=0.03, initial_score=0.02
            ),
            anchors=AnchorSettings(sizes=(24.0, 56.0, 120.0, 256.0), ratios_height_over_width=(1.0,), offset=0.5),
            match=MatchSettings(drop_cross_boundary=False),
            loss=LossSettings(objective="task-aligned", box="giou", box_weight=2.0),
            select=SelectSettings(pre_nms_top_n=1000, post_nms_top_n=300),
            select_train=SelectSettings(pre_nms_top_n=2000, post_nms_top_n=2000),
        ),
        optimizer=OptimizerSettings(kind="adamw", lr=0.001, weight_decay=0.05, clip_norm=5.0),
        schedule=ScheduleSettings(kind="cosine", warmup_steps=200),
        augment=AugmentSettings(scale=(0.5, 1.3), crop=384, color_jitter=0.2, mosaic=0.5),
        loop=LoopSettings(epochs=40, batch_size=8, ema=0.999),
    )


def two_stage() -> RunSettings:
    """``task-aligned`` at 448 px with a refinement stage on its best boxes: the last training of the bundled model.

    Command: ``objectness train COCO --recipe two-stage --weights RUN``, where RUN was trained by ``task-aligned``.
    Hardware: two CPU cores, 4 GB. Time: 4 photographs a second on a core that has little else to do. AR@100: .397 on
    120 everyday photographs after 12 epochs of ``task-aligned`` and 8 of this one (docs/experiments/LOG.md).
    """
    base = task_aligned()
    return replace(
        base,
        recipe="two-stage",
        rpn=replace(
            base.rpn,
            images=ImageSettings(short_side=448, long_side=748),
            refinement=RefinementSettings(grid=4, boxes=300),
            select=replace(base.rpn.select, nms_iou=0.75),
        ),
        schedule=ScheduleSettings(kind="trapezoid", warmup_steps=100, decay_start=0.4),
        augment=replace(base.augment, scale=(0.45, 1.2), mosaic_until=0.7),
        loop=replace(base.loop, epochs=8),
    )


def fine_tune() -> RunSettings:
    """The bundled model on your own photographs: its network and objective, few and gentle updates.

    The first filters change least (``layer_decay``), the moving average keeps step with so short a run, and 200
    photographs or fewer are passed as often as it takes for 250 updates.
    Command: ``objectness train BCCD`` (260 updates). Hardware: two CPU cores, 3 GB. Time: 59 seconds of processor time
    for a run of 30 updates; the whole one has not been timed. AR@100: after these 30 (240 photographs) .593 on BCCD's
    test split, from scratch .138 (docs/experiments/fine-tuning.md).
    """
    base = task_aligned()
    return replace(
        base,
        recipe="fine-tune",
        initial_weights="default",
        optimizer=replace(base.optimizer, lr=0.0005, layer_decay=0.7),
        schedule=ScheduleSettings(kind="cosine", warmup_steps=20),
        loop=replace(base.loop, epochs=10, min_steps=250, ema=0.998),
    )


def faster_rcnn() -> RunSettings:
    """The bundled model with a light box head that names its proposals, both trained in one loop.

    Approximate joint training (paper, section 3.2) from the bundled model: its network and objective for the
    proposals; RoIAlign on the pyramid and one fully connected layer for the names.
    Command: ``objectness train BCCD --recipe faster-rcnn --set loop.steps=130``. Hardware: two CPU cores, 3 GB. Time: 5
    minutes of processor time on one core, validation included. mAP: .523 on BCCD's test split, mAP@.5 .823
    (docs/experiments/LOG.md); the recipe itself takes 250 updates or more.
    """
    base = fine_tune()
    return replace(
        base,
        recipe="faster-rcnn",
        scheme="joint",
        optimizer=replace(base.optimizer, lr=0.001),
        rpn=replace(base.rpn, select_train=replace(base.rpn.select_train, pre_nms_top_n=1000, post_nms_top_n=300)),
        detector=_light_detector(),
    )


def fast_rcnn() -> RunSettings:
    """The detector of ``faster-rcnn`` on proposals from a file, of any method: table 2 of the paper on your own data.

    Command: ``objectness train VOC --recipe fast-rcnn --proposals selective_search.mat``. Hardware: two CPU cores,
    3 GB. Time and mAP depend on the proposals and were not measured by us.
    """
    return replace(faster_rcnn(), recipe="fast-rcnn", scheme="fast-rcnn")


def faster_rcnn_vgg16() -> RunSettings:
    """The paper's Faster R-CNN on VGG-16, trained in four steps (section 3.2): every number as printed.

    80,000 updates of each of the two steps of the RPN, 40,000 of those of the detector, as in the released code;
    ``--set scheme=joint`` trains it in one loop.
    Command: ``objectness train VOC --recipe faster-rcnn-vgg16``. Hardware: a GPU. Time and mAP: not measured by us; the
    paper has a mAP of .699 on VOC 2007 test, trained on VOC 2007 trainval.
    """
    return replace(paper_vgg16(), recipe="faster-rcnn-vgg16", scheme="alternating", detector=DetectorSettings())


def _light_detector() -> DetectorSettings:
    """A detector for two CPU cores."""
    return DetectorSettings(
        pool=PoolSettings(kind="roi-align"),
        head=BoxHeadSettings(layers=(256,), dropout=0.0, pretrained=False),
        sample=RoISampleSettings(size=64, negative_iou=(0.0, 0.5)),
        loss=DetectorLossSettings(smooth_l1_beta=1 / 9),
        select=DetectionSettings(proposals=200, nms_iou=0.5),
    )


RECIPES: dict[str, Callable[[], RunSettings]] = {
    "paper-vgg16": paper_vgg16,
    "paper-zf": paper_zf,
    "fpn-resnet50": fpn_resnet50,
    "small": small,
    "task-aligned": task_aligned,
    "two-stage": two_stage,
    "fine-tune": fine_tune,
    "faster-rcnn": faster_rcnn,
    "faster-rcnn-vgg16": faster_rcnn_vgg16,
    "fast-rcnn": fast_rcnn,
}


def name_of_today(recipe_name: str) -> str:
    """Name of a recipe that may be called by its name in an earlier version."""
    return RunSettings.RENAMED_VALUES["recipe"].get(recipe_name, recipe_name)


def recipe(name: str) -> RunSettings:
    """The settings of a recipe by name.

    Raises:
        InputError: no such recipe.
    """
    name = name_of_today(name)
    if name not in RECIPES:
        raise InputError(f"Unknown recipe {name!r}: {did_you_mean(name, RECIPES)}")
    return RECIPES[name]()
