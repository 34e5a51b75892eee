from __future__ import annotations

import math
import re
from typing import Any

import pytest

from objectness.errors import InputError
from objectness.rpn.extensions.settings import LocalizationQualitySettings, OLNSettings, TaskAlignedSettings
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
from objectness.settings import from_dict, override, to_dict


def test_the_defaults_are_the_papers() -> None:
    settings = RPNSettings()
    assert (settings.images.short_side, settings.images.long_side) == (600, 1000)
    assert (settings.backbone.name, settings.backbone.strides, settings.backbone.frozen_stages) == ("vgg16", (16,), 2)
    assert (settings.head.channels, settings.head.two_class, settings.head.initial_std) == (512, True, 0.01)
    assert settings.anchors.sizes == (128, 256, 512)
    assert settings.anchors.ratios_height_over_width == (0.5, 1, 2)
    assert (settings.match.positive_iou, settings.match.negative_iou) == (0.7, 0.3)
    assert settings.match.tie_tolerance == 1e-4  # "the highest IoU", free of rounding
    assert settings.match.drop_cross_boundary
    assert (settings.sample.size, settings.sample.positive_fraction) == (256, 0.5)
    assert (settings.match.assigner, settings.sample.sampler, settings.loss.objective) == (
        "iou",
        "random",
        "faster-rcnn",
    )
    assert (settings.localization_quality.use, settings.task_aligned.unlabelled_weight) == ("none", 1)
    assert (settings.loss.normalize, settings.loss.box_weight, settings.loss.smooth_l1_beta) == ("paper", 10, 1)


def test_a_round_trip_through_plain_data() -> None:
    settings = RPNSettings(
        backbone=BackboneSettings("resnet18", (8, 16, 32), 64, weights="w.safetensors"),
        anchors=AnchorSettings((16.0, 32.0, 64.0), (1.0,), style="py-faster-rcnn"),
        loss=LossSettings(normalize="samples", box_weight=1.0),
    )
    assert from_dict(RPNSettings, to_dict(settings)) == settings


def test_files_of_earlier_versions_load() -> None:
    earlier = {"sample": {"sampler": "hard-window", "window_quantile": 0.5, "size": 64}, "match": {"positive_iou": 0.6}}
    settings = from_dict(RPNSettings, earlier)
    assert (settings.sample.size, settings.sample.window_variation, settings.match.tie_tolerance) == (64, 0.5, 1e-4)
    with pytest.raises(InputError, match="Unknown setting"):
        override(RPNSettings(), ["sample.window_quantile=0.4"])


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (ImageSettings, {"short_side": 0}, "short_side must be between 1 and 65,536; it is 0."),
        (
            ImageSettings,
            {"mean_rgb": (0.5,)},
            "mean_rgb must be three numbers, one for each colour; it is 0.5.",
        ),
        (
            ImageSettings,
            {"std_rgb": (1.0, 0.0, 1.0)},
            "std_rgb[1] must be above 0; it is 0.0.",
        ),
        (
            BackboneSettings,
            {"strides": ()},
            "strides must be one or more strides, finest first; it is empty.",
        ),
        (
            BackboneSettings,
            {"strides": (16, 8)},
            "strides must be one or more strides, finest first; it is 16, 8.",
        ),
        (BackboneSettings, {"frozen_stages": -1}, "frozen_stages must be at least 0; it is -1."),
        (HeadSettings, {"channels": 0}, "channels must be between 1 and 8,192; it is 0."),
        (HeadSettings, {"initial_std": math.nan}, "initial_std must be a finite number; it is nan."),
        (AnchorSettings, {"sizes": ()}, "sizes must be one or more lengths; it is empty."),
        (
            AnchorSettings,
            {"sizes": (64.0, -1.0)},
            "sizes[1] must be above 0 and at most 65,536; it is -1.0.",
        ),
        (
            AnchorSettings,
            {"ratios_height_over_width": (0.0, 1.0)},
            "ratios_height_over_width[0] must be between 0.001 and 1,000; it is 0.0.",
        ),
        (
            AnchorSettings,
            {"sizes": (1.0,) * 101, "ratios_height_over_width": (1.0,) * 10},
            "sizes times ratios must be at most 1,000 anchors; it is 1010.",
        ),
        (MatchSettings, {"positive_iou": 70.0}, "positive_iou must be between 0 and 1; it is 70.0."),
        (MatchSettings, {"negative_iou": 0.8}, "negative_iou must be at most positive_iou, 0.7; it is 0.8."),
        (MatchSettings, {"tie_tolerance": -0.1}, "tie_tolerance must be between 0 and 0.5; it is -0.1."),
        (SampleSettings, {"size": 0}, "size must be between 1 and 1,000,000; it is 0."),
        (SampleSettings, {"random_share": 1.5}, "random_share must be between 0 and 1; it is 1.5."),
        (SampleSettings, {"bins": 0}, "bins must be between 1 and 1,000; it is 0."),
        (MatchSettings, {"atss_top_k": 0}, "atss_top_k must be between 1 and 1,000,000; it is 0."),
        (TaskAlignedSettings, {"unlabelled_weight": 2.0}, "unlabelled_weight must be between 0 and 1; it is 2.0."),
        (TaskAlignedSettings, {"unlabelled_score": -0.1}, "unlabelled_score must be between 0 and 1; it is -0.1."),
        (
            OLNSettings,
            {"negatives_per_positive": math.inf},
            "negatives_per_positive must be a finite number; it is inf.",
        ),
        (LocalizationQualitySettings, {"weight": -1.0}, "weight must be at least 0; it is -1.0."),
        (LossSettings, {"box_weight": -1.0}, "box_weight must be at least 0; it is -1.0."),
        (LossSettings, {"smooth_l1_beta": math.inf}, "smooth_l1_beta must be a finite number; it is inf."),
        (SelectSettings, {"post_nms_top_n": 0}, "post_nms_top_n must be between 1 and 1,000,000; it is 0."),
        (SelectSettings, {"nms_iou": 1.1}, "nms_iou must be between 0 and 1; it is 1.1."),
    ],
)
def test_numbers_that_cannot_be(kind: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        kind(**values)


def test_an_override_is_checked_too() -> None:
    with pytest.raises(InputError, match=r"^sample\.size must be between 1 and 1,000,000; it is -5\.$"):
        override(RPNSettings(), ["sample.size=-5"])


def test_two_groups_of_one_kind_are_told_apart() -> None:
    """Both are ``SelectSettings``: only where it lies tells which one was meant."""
    for key in ("select", "select_train"):
        with pytest.raises(InputError, match=rf"^{key}\.pre_nms_top_n must be between 1 and 1,000,000; it is 0\.$"):
            override(RPNSettings(), [f"{key}.pre_nms_top_n=0"])
