"""Adaptive training sample selection (ATSS, arXiv 1912.02424): each box sets its own threshold.

N anchors of all levels, G boxes, R ignore regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from objectness.rpn.extensions.localization_quality import paired_iou
from objectness.rpn.matching import POSITIVE, Matches, match
from objectness.rpn.settings import MatchSettings


def atss_match(
    anchors_xyxy: Float[Tensor, "N 4"],
    boxes_xyxy: Float[Tensor, "G 4"],
    ignore_xyxy: Float[Tensor, "R 4"] | None = None,
    settings: MatchSettings | None = None,
    valid: Bool[Tensor, " N"] | None = None,
    *,
    level_sizes: Sequence[int],
) -> Matches:
    """Match by a threshold that each box sets itself (ATSS, section 4.1).

    The candidates of a box are the ``atss_top_k`` anchors of each level whose centres lie nearest to its own. Positive
    are the candidates that are centred inside the box and overlap it at least as much as the mean of the candidates
    plus one standard deviation; an anchor that several boxes claim is matched to the one that it overlaps most. The
    other rules are those of ``match``. The anchor with the highest IoU with a box is positive, if they overlap at all,
    so that no tiny box is left out. An anchor whose IoU is below ``negative_iou`` with every box is negative. With
    ``positive_iou`` and ``negative_iou`` at 1 every anchor that is not positive is negative, as in the paper of ATSS.
    Anchors in ignore regions are never negative; invalid anchors are removed first. Memory grows with N, not N x G.

    Args:
        anchors_xyxy: All anchors of the image, level after level.
        boxes_xyxy: Its boxes; may be empty.
        ignore_xyxy: Crowd and ignore regions.
        settings: Number of candidates, thresholds.
        valid: Anchors that take part.
        level_sizes: Number of anchors of each level.

    Raises:
        ValueError: levels that do not add up to the anchors.
    """
    settings = settings or MatchSettings(assigner="atss")
    if sum(level_sizes) != len(anchors_xyxy):
        raise ValueError(f"{len(anchors_xyxy)} anchors came with levels of {list(level_sizes)}.")
    leaders = replace(settings, positive_iou=1.0)  # no IoU lies above 1: only the best anchor of a box is positive
    found = match(anchors_xyxy, boxes_xyxy, ignore_xyxy, leaders, valid)
    wide = torch.promote_types(torch.promote_types(anchors_xyxy.dtype, boxes_xyxy.dtype), torch.float32)
    anchors_xyxy, boxes_xyxy = anchors_xyxy.to(wide), boxes_xyxy.to(wide)
    rows = torch.arange(len(anchors_xyxy), device=anchors_xyxy.device)
    levels = [level if valid is None else level[valid[level]] for level in rows.split(list(level_sizes))] or [rows]
    centres = (anchors_xyxy[:, :2] + anchors_xyxy[:, 2:]) / 2
    claimed = torch.full_like(found.iou, -1.0)
    box_index = found.box_index.clone()
    for index, box in enumerate(boxes_xyxy):
        chosen, overlaps = _positives_of(box, anchors_xyxy, centres, levels, settings.atss_top_k)
        better = overlaps > claimed[chosen]
        chosen, overlaps = chosen[better], overlaps[better]
        claimed[chosen], box_index[chosen] = overlaps, index
    labels = torch.where(claimed >= 0, POSITIVE, found.labels).to(torch.int8)
    return Matches(labels, box_index, torch.where(claimed >= 0, claimed, found.iou))


def _positives_of(
    box_xyxy: Float[Tensor, " 4"],
    anchors_xyxy: Float[Tensor, "N 4"],
    centres: Float[Tensor, "N 2"],
    levels: Sequence[Int[Tensor, " _"]],
    top_k: int,
) -> tuple[Int[Tensor, " P"], Float[Tensor, " P"]]:
    """The positive anchors of one box, and their overlaps with it."""
    away = (centres - (box_xyxy[:2] + box_xyxy[2:]) / 2).square().sum(dim=1)  # (N,)
    near = torch.cat([level[away[level].topk(min(top_k, len(level)), largest=False).indices] for level in levels])
    overlaps = paired_iou(anchors_xyxy[near], box_xyxy.expand(len(near), 4))
    if not len(near):
        return near, overlaps.float()
    threshold = overlaps.mean() + overlaps.std(correction=min(1, len(near) - 1))
    inside = ((centres[near] > box_xyxy[:2]) & (centres[near] < box_xyxy[2:])).all(dim=1)
    positive = (overlaps >= threshold) & (overlaps > 0) & inside
    return near[positive], overlaps[positive].float()
