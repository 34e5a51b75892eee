"""Optimizer, learning rate and moving average of the weights."""

from __future__ import annotations

import math
from typing import cast

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import nn

from objectness.rpn.backbones import Backbone
from objectness.training.settings import OptimizerSettings, ScheduleSettings


def build_optimizer(network: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """The optimizer of all weights that are not frozen; the backbone at its own rate, its early stages at lower ones.

    Each group carries ``base_lr``, which the schedule multiplies. With adamw, biases and norms have no weight decay;
    the paper's Caffe solver decays all weights alike.
    """
    factors = _backbone_factors(network, settings)
    groups: dict[tuple[bool, float, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            spared = settings.kind == "adamw" and parameter.ndim < 2
            key = (id(parameter) in factors, factors.get(id(parameter), 1.0), spared)
            groups.setdefault(key, []).append(parameter)
    parameters = [
        {
            "params": members,
            "base_lr": settings.lr * factor,
            "weight_decay": 0.0 if spared else settings.weight_decay,
        }
        for (_, factor, spared), members in groups.items()
    ]
    match settings.kind:
        case "sgd":
            return torch.optim.SGD(parameters, lr=settings.lr, momentum=settings.momentum)
        case "adamw":
            return torch.optim.AdamW(parameters, lr=settings.lr)


def _backbone_factors(network: nn.Module, settings: OptimizerSettings) -> dict[int, float]:
    """Learning rates of the backbone's parameters as multiples of the head's, by ``id``."""
    backbone = cast("Backbone", network.backbone)
    factors = {id(parameter): settings.backbone_lr_factor for parameter in backbone.parameters()}
    used = backbone.stages[: backbone.used_stages]
    for distance, stage in enumerate(reversed(used), start=1):
        for module in stage:
            for parameter in module.parameters(recurse=False):
                factors[id(parameter)] = settings.backbone_lr_factor * settings.layer_decay**distance
    return factors


def rate_factor(settings: ScheduleSettings, step: int, steps: int) -> float:
    """The learning rate of update ``step`` (from 0) of ``steps``, as a multiple of the highest."""
    warmup = min(1.0, (step + 1) / settings.warmup_steps) if settings.warmup_steps else 1.0
    match settings.kind:
        case "step":
            passed = sum(step >= fraction * steps for fraction in settings.milestones)
            return warmup * settings.step_factor**passed
        case "cosine":
            share = min(1.0, step / max(1, steps))
            cosine = (1 + math.cos(math.pi * share)) / 2
            return warmup * (settings.final_factor + (1 - settings.final_factor) * cosine)
        case "trapezoid":
            left = min(1.0, (1 - step / max(1, steps)) / (1 - settings.decay_start))
            return warmup * (settings.final_factor + (1 - settings.final_factor) * max(0.0, left))


def build_ema(network: nn.Module, decay: float) -> ModelEmaV3:
    """The moving average of a network's weights and statistics, which ``ema.update(network, step)`` moves.

    After ``step`` updates (from 1) its decay is step / (step + 9), and ``decay`` at most: early on it follows quickly.
    """
    return ModelEmaV3(network, decay, update_after_step=-1, use_warmup=True, warmup_gamma=9, warmup_power=1)
