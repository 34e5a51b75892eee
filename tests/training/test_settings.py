"""Every number of a run against values that cannot be: refused by its own name, or sound."""

from __future__ import annotations

import math
import re
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from objectness.errors import InputError
from objectness.settings import describe, from_dict, override
from objectness.training.settings import RunSettings

NUMBERS = [
    key
    for key, value in describe(RunSettings())
    if isinstance(value, int | float | tuple) and not isinstance(value, bool) and not key.startswith("data.")
]

# What may be below 0, and what may be as large as one likes: numbers that training only compares with a count, and
# weights and rates, whose excess ends as a loss that is no number.
BELOW_ZERO = {"rpn.anchors.offset", "rpn.match.allowed_border"}
BOUNDLESS = {
    "rpn.backbone.frozen_stages", "rpn.localization_quality.weight", "rpn.loss.box_weight", "rpn.loss.smooth_l1_beta",
    "rpn.refinement.finer", "rpn.refinement.weight", "optimizer.clip_norm", "loop.epoch_images", "loop.validate_every",
    "loop.validate_images", "loop.save_minutes", "loop.patience", "detector.loss.box_weight",
    "detector.loss.smooth_l1_beta",
}  # fmt: skip
ABOVE_ZERO = {
    "rpn.images.short_side", "rpn.images.long_side", "rpn.images.mean_rgb", "rpn.images.std_rgb",
    "rpn.backbone.strides", "rpn.head.channels", "rpn.head.initial_score", "rpn.anchors.sizes",
    "rpn.anchors.ratios_height_over_width", "rpn.match.positive_iou", "rpn.match.atss_top_k", "rpn.sample.size",
    "rpn.sample.bins", "rpn.task_aligned.top_k", "rpn.refinement.channels", "rpn.refinement.hidden",
    "rpn.refinement.boxes",
    "rpn.refinement.margin", "rpn.select.pre_nms_top_n", "rpn.select.post_nms_top_n", "rpn.select_train.pre_nms_top_n",
    "rpn.select_train.post_nms_top_n", "optimizer.layer_decay", "augment.scale", "augment.mosaic_shrink", "loop.epochs",
    "loop.batch_size", "loop.accumulate", "detector.pool.size", "detector.pool.canonical_size", "detector.head.layers",
    "detector.sample.size", "detector.sample.positive_iou", "detector.sample.negative_iou",
    "detector.loss.regression_weights", "detector.select.proposals", "detector.select.detections",
    "alternating.detector_share",
}  # fmt: skip


def refusal(key: str, text: str) -> str:
    """What is said to ``--set key=text``; empty where it is taken."""
    try:
        override(RunSettings(), [f"{key}={text}"])
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("-1", BELOW_ZERO),
        ("1e300", BOUNDLESS),
        (str(10**30), BOUNDLESS),
        ("nan", set()),
        ("inf", set()),
        ("-inf", set()),
    ],
)
def test_a_number_that_cannot_be_is_refused_by_its_own_name(key: str, text: str, taken: set[str]) -> None:
    said = refusal(key, text)
    if key in taken and not (text == "1e300" and "must be a whole number" in said):
        assert said == ""
    else:
        assert re.match(rf"{re.escape(key)}(\[\d\])? must be ", said), said or "it was taken"
        assert "\n" not in said


@pytest.mark.parametrize("key", NUMBERS)
def test_nought_is_refused_where_nothing_can_be_done_with_it(key: str) -> None:
    said = refusal(key, "0")
    assert bool(said) == (key in ABOVE_ZERO), said
    assert not said or re.search(rf"\b{re.escape(key)}\b", said), said


def test_the_lists_above_name_settings_that_there_are() -> None:
    assert set(NUMBERS) >= BELOW_ZERO | BOUNDLESS | ABOVE_ZERO


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_none_are_refused_from_python_too(value: float) -> None:
    groups: list[Any] = [RunSettings()]
    refused = 0
    for group in groups:
        for field in fields(group):
            current = getattr(group, field.name)
            if is_dataclass(current):
                groups.append(current)
            elif isinstance(current, float):
                with pytest.raises(InputError, match=f"^{field.name} must be"):
                    replace(group, **{field.name: value})
                refused += 1
    assert refused > 30


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            "rpn.select_train.pre_nms_top_n=0",
            "rpn.select_train.pre_nms_top_n must be between 1 and 1,000,000; it is 0.",
        ),
        ("schedule.step_factor=-5", "schedule.step_factor must be between 0 and 1; it is -5.0."),
        ("schedule.final_factor=-3", "schedule.final_factor must be between 0 and 1; it is -3.0."),
        ("augment.mosaic=0.5", "augment.mosaic must be 0 where augment.crop is 0; it is 0.5."),
        (
            "rpn.match.positive_iou=0.2",
            "rpn.match.negative_iou must be at most rpn.match.positive_iou, 0.2; it is 0.3.",
        ),
    ],
)
def test_refusals_word_for_word(change: str, sentence: str) -> None:
    assert refusal(*change.split("=")) == sentence


def test_a_refusal_from_a_file_names_the_whole_key() -> None:
    with pytest.raises(InputError, match=r"^rpn\.select_train\.nms_iou must be between 0 and 1; it is 2\.0\.$"):
        from_dict(RunSettings, {"rpn": {"select_train": {"nms_iou": 2}}})
    both = {"rpn": {"refinement": {"grid": 3}, "loss": {"objective": "oln"}}}
    with pytest.raises(InputError, match=r"^rpn\.refinement\.grid must be 0 where rpn\.loss\.objective is oln"):
        from_dict(RunSettings, both)
