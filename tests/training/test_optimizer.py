from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import nn

from objectness.rpn.network import RegionProposalNetwork
from objectness.training.optimizer import build_ema, build_optimizer, rate_factor
from objectness.training.recipes import RECIPES, recipe
from objectness.training.settings import OptimizerSettings, RunSettings, ScheduleSettings


def test_the_papers_schedule() -> None:
    paper = ScheduleSettings()
    assert rate_factor(paper, 0, 80_000) == 1
    assert rate_factor(paper, 59_999, 80_000) == 1
    assert rate_factor(paper, 60_000, 80_000) == pytest.approx(0.1)
    assert rate_factor(paper, 79_999, 80_000) == pytest.approx(0.1)


def test_cosine_with_warmup() -> None:
    settings = ScheduleSettings(kind="cosine", warmup_steps=4, final_factor=0.1)
    assert rate_factor(settings, 0, 100) == pytest.approx(0.25)
    assert rate_factor(settings, 50, 100) == pytest.approx(0.55)
    assert rate_factor(settings, 100, 100) == pytest.approx(0.1)


def test_the_papers_numbers_are_the_defaults() -> None:
    settings = recipe("paper-vgg16")
    assert settings.optimizer == OptimizerSettings("sgd", 0.001, 0.9, 0.0005, 1.0, 0.0)
    assert (settings.loop.steps, settings.loop.batch_size) == (80_000, 1)
    assert settings.rpn.anchors.sizes == (128, 256, 512)
    assert settings.rpn.anchors.ratios_height_over_width == (0.5, 1, 2)
    assert (settings.rpn.images.short_side, settings.rpn.images.long_side) == (600, 1000)
    assert (settings.rpn.match.positive_iou, settings.rpn.match.negative_iou) == (0.7, 0.3)
    assert settings.rpn.match.drop_cross_boundary
    assert (settings.rpn.sample.size, settings.rpn.sample.positive_fraction) == (256, 0.5)
    assert (settings.rpn.loss.normalize, settings.rpn.loss.box_weight) == ("paper", 10)
    assert (settings.rpn.head.channels, settings.rpn.head.two_class, settings.rpn.head.initial_std) == (512, True, 0.01)
    assert recipe("paper-zf").rpn.head.channels == 256
    assert (settings.rpn.select.pre_nms_top_n, settings.rpn.select.nms_iou, settings.rpn.select.post_nms_top_n) == (
        6000,
        0.7,
        300,
    )
    assert (settings.rpn.select_train.pre_nms_top_n, settings.rpn.select_train.post_nms_top_n) == (12_000, 2000)


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_names_itself_and_promises(name: str) -> None:
    assert RECIPES[name]().recipe == name
    text = RECIPES[name].__doc__ or ""
    reached = "AR" if RECIPES[name]().scheme == "rpn" else "mAP"
    for word in ("objectness train", "Hardware", "Time", reached):
        assert word in text, f"{name} does not promise its {word}"


def test_groups_and_rates(tiny: Callable[..., RunSettings]) -> None:
    settings = tiny("optimizer.backbone_lr_factor=0.1", "optimizer.lr=0.5")
    network = RegionProposalNetwork(settings.rpn)
    optimizer = build_optimizer(network, settings.optimizer)
    rates = {id(p): group["base_lr"] for group in optimizer.param_groups for p in group["params"]}
    assert {rates[id(p)] for p in network.backbone.parameters()} == {0.05}
    assert {rates[id(p)] for p in network.head.parameters()} == {0.5}
    spared = [p for group in optimizer.param_groups if group["weight_decay"] == 0 for p in group["params"]]
    assert spared
    assert all(p.ndim < 2 for p in spared)


def test_each_stage_learns_at_its_own_rate(tiny: Callable[..., RunSettings]) -> None:
    """lr 0.8, half of it for each stage further down: the last of n that are used has 0.4, the first 0.8 / 2 ** n."""
    settings = tiny("optimizer.layer_decay=0.5", "optimizer.lr=0.8")
    network = RegionProposalNetwork(settings.rpn)
    optimizer = build_optimizer(network, settings.optimizer)
    rates = {id(p): group["base_lr"] for group in optimizer.param_groups for p in group["params"]}
    assert len(rates) == len(list(network.parameters()))
    assert {rates[id(p)] for p in network.head.parameters()} == {0.8}
    stages = network.backbone.stages
    assert len(stages) == 5  # the map of stride 16 needs the first four
    for stage, rate in zip(stages, (0.05, 0.1, 0.2, 0.4), strict=False):
        own = [rates[id(p)] for module in stage for p in module.parameters(recurse=False)]
        assert own == pytest.approx([rate] * len(own))
    assert rates[id(next(network.backbone.parameters()))] == pytest.approx(0.05)


def test_without_layer_decay_the_groups_are_as_they_were(tiny: Callable[..., RunSettings]) -> None:
    """Backbone and rest, decayed and spared: four, in this order, which a resumed run's state counts on."""
    settings = tiny()
    optimizer = build_optimizer(RegionProposalNetwork(settings.rpn), settings.optimizer)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.05, 0.0, 0.05, 0.0]


def test_frozen_parameters_are_left_out(tiny: Callable[..., RunSettings]) -> None:
    settings = tiny("optimizer.kind=sgd")
    network = RegionProposalNetwork(settings.rpn)
    network.backbone.requires_grad_(False)
    optimizer = build_optimizer(network, settings.optimizer)
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in network.head.parameters()}


def test_the_average_follows_quickly_first_and_slowly_later() -> None:
    """The decay after update ``step``, counted from 1, is step / (step + 9), and 0.9 at most."""
    layer = nn.Linear(1, 1, bias=False)
    for step, moved in ((1, 1 - 1 / 10), (2, 1 - 2 / 11), (80, 1 - 80 / 89), (81, 0.1), (10_000, 0.1)):
        nn.init.zeros_(layer.weight)
        ema = build_ema(layer, 0.9)
        nn.init.ones_(layer.weight)
        ema.update(layer, step)
        assert ema.module.weight.item() == pytest.approx(moved)


def test_the_average_copies_what_is_no_floating_point_number() -> None:
    norm = nn.BatchNorm1d(1)
    ema = build_ema(norm, 0.9)
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.fill_(7)
    ema.update(norm, 1)
    assert ema.module.num_batches_tracked.item() == 7
