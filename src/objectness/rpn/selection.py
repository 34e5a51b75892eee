"""From scores and deltas to proposals: decode, clip, top-k, NMS (paper, section 3.3).

L levels, N anchors of a level, M boxes. Each level is selected and suppressed on its own, then all are ranked
together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchvision.ops import nms

from objectness.boxes import nms as boxes_nms
from objectness.rpn.box_coder import DELTA_CLAMP, clip, decode
from objectness.rpn.settings import SelectSettings

UNUSABLE = -1.0  # a score below any probability

# Level, boxes ``(K, 4)`` and scores ``(K,)`` in, best first; refined ones out, best first.
Refine: TypeAlias = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class Selection:
    """Boxes of one image, in resized pixels.

    Attributes:
        boxes_xyxy: ``float32 (M, 4)``.
        scores: ``float32 (M,)`` probabilities.
        levels: ``int64 (M,)`` the level of each, 0 the finest.
    """

    boxes_xyxy: Float[Tensor, "M 4"]
    scores: Float[Tensor, " M"]
    levels: Int[Tensor, " M"]


def candidates(
    scores: Sequence[Float[Tensor, " _"]],
    deltas: Sequence[Float[Tensor, "_ 4"]],
    anchors_xyxy: Sequence[Float[Tensor, "_ 4"]],
    size_hw: tuple[int, int],
    settings: SelectSettings,
    delta_clamp: float = DELTA_CLAMP,
    refine: Refine | None = None,
) -> Selection:
    """Decode, clip, drop tiny and non-finite boxes, keep the best ``pre_nms_top_n`` of each level.

    Args:
        scores: Probabilities of each level.
        deltas: Of each level.
        anchors_xyxy: Of each level.
        size_hw: (height, width) of the image.
        settings: Counts and the smallest side.
        delta_clamp: As in ``decode``.
        refine: Changes the boxes and scores of a level that were kept.

    Returns:
        Boxes of a level best first, equal scores by index, also where they are cut; levels one after another, finest
        first.
    """
    boxes_parts, scores_parts, levels_parts = [], [], []
    for level, (level_scores, level_deltas, anchors) in enumerate(zip(scores, deltas, anchors_xyxy, strict=True)):
        boxes, best = _best_of_level(level_scores, level_deltas, anchors, size_hw, settings, delta_clamp)
        if refine is not None:
            boxes, best = refine(level, boxes, best)
        boxes_parts.append(boxes)
        scores_parts.append(best)
        levels_parts.append(torch.full_like(best, level, dtype=torch.int64))
    all_boxes, all_scores, levels = torch.cat(boxes_parts), torch.cat(scores_parts), torch.cat(levels_parts)
    usable = all_scores >= 0
    return Selection(all_boxes[usable], all_scores[usable], levels[usable])


def _best_of_level(
    scores: Float[Tensor, " N"],
    deltas: Float[Tensor, "N 4"],
    anchors_xyxy: Float[Tensor, "N 4"],
    size_hw: tuple[int, int],
    settings: SelectSettings,
    delta_clamp: float,
) -> tuple[Float[Tensor, "K 4"], Float[Tensor, " K"]]:
    """Boxes and scores of the best ``pre_nms_top_n``, best first; unusable boxes have the score -1 and come last."""
    count = torch.sym_min(settings.pre_nms_top_n, scores.shape[0])
    # A CPU need not decode the many low scores, unless one of the best boxes turns out unusable.
    if scores.device.type == "cpu" and not torch.compiler.is_compiling() and count < len(scores):
        best, leading = highest(torch.where(scores.isnan(), UNUSABLE, scores), count)
        boxes, usable = _decode(best, deltas[leading], anchors_xyxy[leading], size_hw, settings, delta_clamp)
        if bool(usable.all()):
            return boxes, best
    boxes, usable = _decode(scores, deltas, anchors_xyxy, size_hw, settings, delta_clamp)
    # Ranked last rather than cut out here: the same lines are exported, where every shape must be known.
    scores, order = highest(torch.where(usable, scores, UNUSABLE), count)
    return boxes[order], scores


def highest(scores: Float[Tensor, " N"], count: int | torch.SymInt) -> tuple[Float[Tensor, " K"], Int[Tensor, " K"]]:
    """The highest ``count`` scores and their indices, best first; equal scores keep the lower index.

    None may be NaN. PyTorch's topk takes any of those that are equal, a stable sort of all takes ten times as long.
    """
    if torch.compiler.is_exporting():
        return scores.topk(count)  # that of ONNX takes the lower index
    if count < len(scores):
        least = scores.topk(count, sorted=False).values.min()
        above = torch.nonzero(scores > least).flatten()
        equal = torch.nonzero(scores == least).flatten()[: count - len(above)]
        places = torch.cat([above, equal])
    else:
        places = torch.arange(len(scores), device=scores.device)
    best, order = scores[places].sort(descending=True, stable=True)
    return best, places[order]


def _decode(
    scores: Float[Tensor, " N"],
    deltas: Float[Tensor, "N 4"],
    anchors_xyxy: Float[Tensor, "N 4"],
    size_hw: tuple[int, int],
    settings: SelectSettings,
    delta_clamp: float,
) -> tuple[Float[Tensor, "N 4"], Bool[Tensor, " N"]]:
    """Boxes inside the image, and a mask of the usable ones: finite and not tiny."""
    boxes = clip(decode(deltas.float(), anchors_xyxy, delta_clamp), size_hw)
    sides = boxes[:, 2:] - boxes[:, :2]
    # Of the deltas, because clipping and clamping would make ordinary boxes of infinite ones.
    finite = torch.isfinite(deltas).all(dim=1) & torch.isfinite(scores)
    return boxes, finite & ((sides >= settings.min_size) & (sides > 0)).all(dim=1)


def suppress(found: Selection, settings: SelectSettings) -> Selection:
    """Non-maximum suppression within each level, then the best ``post_nms_top_n`` of all, ranked by score.

    Equal scores keep the lower index. On a CPU it stops as soon as enough are kept. ``objectness.boxes.plain_nms`` is
    the rule to read.
    """
    if found.scores.device.type == "cpu":
        boxes, scores = (values.detach().float().numpy() for values in (found.boxes_xyxy, found.scores))
        keep = torch.from_numpy(
            boxes_nms(boxes, scores, settings.nms_iou, settings.post_nms_top_n, found.levels.numpy())
        )
    else:
        parts = [torch.nonzero(found.levels == level).flatten() for level in found.levels.unique().tolist()]
        parts = [part[nms(found.boxes_xyxy[part], found.scores[part], settings.nms_iou)] for part in parts]
        keep = torch.cat(parts).sort().values if parts else found.levels
        keep = keep[torch.argsort(found.scores[keep], descending=True, stable=True)][: settings.post_nms_top_n]
    return Selection(found.boxes_xyxy[keep], found.scores[keep], found.levels[keep])
