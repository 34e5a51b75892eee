"""Rows of the ablation: their names, and the changes of each in the recipe ``task-aligned``.

A row's name says what it is: ``ours``, ``standard`` (every ingredient taken away: the standard RPN's objective and
head in our code), ``ours-giou-mosaic`` (without these), ``standard+aligned`` (with this alone), a row of ``MORE``, or
``torchvision``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from objectness.errors import InputError, did_you_mean

OURS, TORCHVISION = "ours", "torchvision"

# Ingredient (one anchor a cell, own convolutions and norms, an extra level with weights, ...) -> what takes it away.
# SIZES stands for the anchor sizes that fit the data best, one a level.
INGREDIENTS: dict[str, tuple[str, ...]] = {
    "anchors": ("rpn.anchors.sizes=SIZES", "rpn.anchors.ratios_height_over_width=0.5,1,2"),
    "layers": ("rpn.head.tower_convolutions=0", "rpn.head.norm=none", "rpn.head.initial_std=0.01"),
    "level": ("rpn.backbone.extra_by=pool",),
    "giou": ("rpn.loss.box=smooth-l1", "rpn.loss.smooth_l1_beta=0.1111", "rpn.loss.box_weight=1"),
    "aligned": ("rpn.loss.objective=faster-rcnn", "rpn.loss.normalize=samples", "rpn.head.initial_score=0.5"),
    "mosaic": ("augment.mosaic=0",),
}

# Photographs at one size and uncut, as torchvision's own references train.
WHOLE = ("augment.mosaic=0", "augment.crop=0", "augment.scale=1,1", "augment.color_jitter=0")

# Row -> (the row that it starts from, what it changes there). One line adds one.
MORE: dict[str, tuple[str, tuple[str, ...]]] = {
    "standard, hard windows": ("standard", ("rpn.sample.sampler=hard-window",)),
    "standard, hard losses": ("standard", ("rpn.sample.sampler=ohem",)),
    "ours, one positive": ("ours", ("rpn.task_aligned.top_k=1",)),
    "ours, DIoU": ("ours", ("rpn.loss.box=diou",)),
    "ours, CIoU": ("ours", ("rpn.loss.box=ciou",)),
    "ours, second stage": ("ours", ("rpn.refinement.grid=4", "rpn.refinement.boxes=300")),
    "ours, fit beside objectness": ("ours", ("rpn.localization_quality.use=both",)),
    "ours, fit alone": ("ours", ("rpn.localization_quality.use=alone",)),
    "ours, tolerant": ("ours", ("rpn.task_aligned.unlabelled_weight=0", "rpn.task_aligned.unlabelled_score=0.1")),
    "ours, two convolutions": ("ours", ("rpn.head.tower_convolutions=2",)),
    "ours, last weights": ("ours", ("loop.ema=0",)),
    "ours, layer decay": ("ours", ("optimizer.layer_decay=0.8",)),
    "ours, wide jitter": ("ours", ("augment.scale=0.1,2",)),
    "ours, one scale": ("ours", ("augment.scale=1,1",)),
    "standard, ATSS": ("standard", ("rpn.match.assigner=atss",)),
    "standard, IoU-balanced": ("standard", ("rpn.sample.sampler=iou-balanced",)),
    "torchvision, 256 wide": (TORCHVISION, ("rpn.backbone.pyramid_channels=256",)),
    "torchvision, no mosaic": (TORCHVISION, ("augment.mosaic=0",)),
    "torchvision, whole photographs": (TORCHVISION, WHOLE),
    "ours, whole photographs": ("ours", WHOLE),
}

ABLATION = (
    "standard",
    *(f"standard+{name}" for name in INGREDIENTS),
    *(f"ours-{name}" for name in INGREDIENTS),
    *MORE,
)


def is_torchvision(row: str) -> bool:
    """Whether torchvision's network runs in this row."""
    return row == TORCHVISION or (row in MORE and MORE[row][0] == TORCHVISION)


def overrides(row: str, sizes: Sequence[float]) -> list[str]:
    """The ``--set`` assignments of a row, in the order in which they apply.

    Args:
        row: Its name.
        sizes: Anchor sizes for rows that have the standard's anchors, one a level.

    Raises:
        InputError: no such row.
    """
    if row in MORE:
        base, more = MORE[row]
        return [*overrides(base, sizes), *more]
    if row == TORCHVISION:
        return []  # it looks at nothing that an ingredient changes, but for the photographs
    base, *signs = re.split(r"(?=[+-])", row)
    names = [sign[1:] for sign in signs]
    unknown = [name for name in names if name not in INGREDIENTS]
    if base not in ("ours", "standard") or unknown or any(sign[0] != "+-"[base == "ours"] for sign in signs):
        raise InputError(f"Unknown row {row!r}: {did_you_mean(row, [OURS, TORCHVISION, *ABLATION])}")
    away = names if base == "ours" else [name for name in INGREDIENTS if name not in names]
    text = ",".join(f"{size:g}" for size in sizes)
    return [assignment.replace("SIZES", text) for name in away for assignment in INGREDIENTS[name]]
