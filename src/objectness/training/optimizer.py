"""Optimizer, learning rate and moving average."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from objectness.rpn.network import RegionProposalNetwork
from objectness.training.settings import OptimizerSettings, ScheduleSettings


def build_optimiser(network: RegionProposalNetwork, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """The optimizer over all that is not frozen; the backbone at its own rate, its early stages at lower ones.

    Each group carries ``base_lr``, which the schedule multiplies. Decay spares biases and norms with adamw only:
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


def _backbone_factors(network: RegionProposalNetwork, settings: OptimizerSettings) -> dict[int, float]:
    """By the identity of each parameter of the backbone, the multiple of the rate that it learns at."""
    factors = {id(parameter): settings.backbone_lr_factor for parameter in network.backbone.parameters()}
    used = network.backbone.stages[: network.backbone.used_stages]
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


@torch.no_grad()
def update_ema(average: dict[str, Tensor], network: nn.Module, decay: float, step: int) -> None:
    """Move the average towards the network's weights; early on it follows quickly."""
    decay = min(decay, (1 + step) / (10 + step))
    for key, value in network.state_dict().items():
        if value.is_floating_point():
            average[key].lerp_(value, 1 - decay)
        else:
            average[key].copy_(value)
