"""The loss of a batch: ground truth is matched, sampled and compared as the settings say (paper, section 3.1.2).

The objectives, one file each: ``faster_rcnn_loss`` (the paper's), ``extensions.task_aligned``, ``extensions.oln``.
Extensions are chosen here and handed in, so that no file of the paper knows them. M anchors of all levels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import torch

from objectness.rpn.anchors import valid_anchors
from objectness.rpn.extensions.atss import atss_match
from objectness.rpn.extensions.hard_negatives import sample_hard_window, sample_iou_balanced, sample_ohem
from objectness.rpn.extensions.localization_quality import quality_loss
from objectness.rpn.extensions.oln import oln_loss
from objectness.rpn.extensions.refinement_loss import refinement_loss
from objectness.rpn.extensions.task_aligned import task_aligned_loss
from objectness.rpn.faster_rcnn_loss import faster_rcnn_loss
from objectness.rpn.losses import LossOutput, RPNLoss
from objectness.rpn.matching import Matcher, match
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.outputs import ImagePredictions, Outputs
from objectness.rpn.sampling import Sampler, sample_random
from objectness.rpn.settings import MatchSettings, RPNSettings, SampleSettings
from objectness.rpn.targets import Target

# Predictions of the images, settings and random numbers in, the loss of the batch out.
Objective: TypeAlias = Callable[[Sequence[ImagePredictions], RPNSettings, torch.Generator], LossOutput]
# Network, outputs, ground truth and random numbers in, the loss of the batch out: what a trainer calls.
Criterion: TypeAlias = Callable[[RegionProposalNetwork, Outputs, Sequence[Target], torch.Generator], LossOutput]


def criterion(
    network: RegionProposalNetwork, outputs: Outputs, targets: Sequence[Target], generator: torch.Generator
) -> LossOutput:
    """The loss of a batch by the objective of the network's settings.

    Args:
        network: Whose outputs these are.
        outputs: Of the batch.
        targets: Ground truth of each image.
        generator: On the CPU; it decides which anchors are sampled, and nothing else is random.
    """
    settings = network.settings
    levels = network.anchors(outputs.maps_hw, outputs.logits[0].device)
    predictions = _predictions(network, outputs, targets, levels)
    report = objective_of(settings, [len(level) for level in levels])(predictions, settings, generator)
    if outputs.quality is not None:
        report = _add(report, RPNLoss(quality_loss(predictions, report, settings), torch.zeros_like(report.loss.box)))
    if network.refinement is not None:
        refined = replace(settings.select, pre_nms_top_n=settings.refinement.boxes)
        with torch.no_grad():
            first_stage = [
                network.candidates(outputs, levels, index, target.size_hw, refined, refine=False)
                for index, target in enumerate(targets)
            ]
        report = _add(report, refinement_loss(network.refinement, outputs, first_stage, targets, settings))
    return report


def objective_of(settings: RPNSettings, level_sizes: Sequence[int]) -> Objective:
    """The objective that the settings name, with its matcher and sampler; ``level_sizes`` counts anchors by level."""
    match settings.loss.objective:
        case "faster-rcnn":
            matcher, sampler = matcher_of(settings.match, level_sizes), sampler_of(settings.sample)
            return partial(faster_rcnn_loss, match=matcher, sample=sampler)
        case "task-aligned":
            return task_aligned_loss
        case "oln":
            return partial(oln_loss, match=matcher_of(settings.match, level_sizes))


def matcher_of(settings: MatchSettings, level_sizes: Sequence[int]) -> Matcher:
    """The rule by which anchors are labelled."""
    match settings.assigner:
        case "iou":
            return match
        case "atss":
            return partial(atss_match, level_sizes=level_sizes)


def sampler_of(settings: SampleSettings) -> Sampler:
    """The sampler that the settings name."""
    match settings.sampler:
        case "random":
            return sample_random
        case "ohem":
            return sample_ohem
        case "hard-window":
            return sample_hard_window
        case "iou-balanced":
            return sample_iou_balanced


def _predictions(
    network: RegionProposalNetwork, outputs: Outputs, targets: Sequence[Target], levels: Sequence[torch.Tensor]
) -> list[ImagePredictions]:
    anchors = torch.cat(list(levels))
    strides = torch.cat([level.new_full((len(level),), s) for level, s in zip(levels, network.strides, strict=True)])
    logits, deltas = torch.cat(outputs.logits, dim=1), torch.cat(outputs.deltas, dim=1)
    quality = None if outputs.quality is None else torch.cat(outputs.quality, dim=1)[..., 0]
    return [
        ImagePredictions(
            anchors,
            strides,
            logits[index],
            deltas[index],
            valid_anchors(anchors, target.size_hw, network.settings.match),
            count_locations(network, outputs, target.size_hw),
            target,
            None if quality is None else quality[index],
            outputs.features[0][index],
            None if outputs.pixels is None else outputs.pixels[index],
        )
        for index, target in enumerate(targets)
    ]


def count_locations(network: RegionProposalNetwork, outputs: Outputs, size_hw: tuple[int, int]) -> int:
    """N_reg of the paper: the anchor locations of an image of (height, width), over all levels.

    Where the batch pads the image, only the part of the maps counts that the image would have alone.
    """
    count = 0
    for map_hw, stride in zip(outputs.maps_hw, network.strides, strict=True):
        cells = 1
        for axis, (most, side) in enumerate(zip(map_hw, size_hw, strict=True)):
            if outputs.pixels is not None and outputs.pixels.shape[2 + axis] == side:
                cells *= most
            else:
                alone = side // stride if network.backbone.rounds_down else -(-side // stride)
                cells *= min(most, max(1, alone))
        count += cells
    return count


def _add(report: LossOutput, more: RPNLoss) -> LossOutput:
    loss = report.loss
    return replace(report, loss=RPNLoss(loss.objectness + more.objectness, loss.box + more.box))
