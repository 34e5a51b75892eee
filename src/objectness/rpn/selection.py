"""From scores and deltas to proposals (paper, section 3.3).

L levels, N anchors of a level, M boxes. Each level is selected and suppressed on its own, then all are ranked
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchvision.ops import nms

from objectness.boxes import nms as boxes_nms
from objectness.rpn.deltas import DELTA_CLAMP, clip, decode
from objectness.rpn.losses import objectness_margin
from objectness.rpn.settings import SelectSettings

_UNUSABLE = -1.0  # below any probability


@dataclass(frozen=True, eq=False)
class Selection:
    """Boxes of one image in the pixels that the network saw.

    Attributes:
        boxes_xyxy: ``float32 (M, 4)``.
        scores: ``float32 (M,)`` probabilities.
        levels: ``int64 (M,)`` the level each came from, 0 the finest.
    """

    boxes_xyxy: Float[Tensor, "M 4"]
    scores: Float[Tensor, " M"]
    levels: Int[Tensor, " M"]


def candidates(
    logits: Sequence[Float[Tensor, "_ K"]],
    deltas: Sequence[Float[Tensor, "_ 4"]],
    anchors_xyxy: Sequence[Float[Tensor, "_ 4"]],
    size_hw: tuple[int, int],
    settings: SelectSettings,
    delta_clamp: float = DELTA_CLAMP,
) -> Selection:
    """Decode, clip, drop tiny boxes and what is not finite, keep the best ``before_nms`` of each level.

    Boxes of a level come best first; levels follow one another, finest first.
    """
    boxes_parts, scores_parts, levels_parts = [], [], []
    each_level = zip(logits, deltas, anchors_xyxy, strict=True)
    for level, (level_logits, level_deltas, anchors) in enumerate(each_level):
        scores = torch.sigmoid(objectness_margin(level_logits))
        boxes = clip(decode(level_deltas.float(), anchors, delta_clamp), size_hw)
        sides = boxes[:, 2:] - boxes[:, :2]
        # Asked of the deltas: clipping and clamping would make ordinary boxes of infinite ones.
        finite = torch.isfinite(level_deltas).all(dim=1) & torch.isfinite(scores)
        usable = finite & ((sides >= settings.min_size) & (sides > 0)).all(dim=1)
        # Ranked last rather than cut out here: the same lines are exported, where every shape must be known.
        scores, order = torch.where(usable, scores, _UNUSABLE).topk(torch.sym_min(settings.before_nms, scores.shape[0]))
        boxes_parts.append(boxes[order])
        scores_parts.append(scores)
        levels_parts.append(torch.full_like(order, level))
    boxes, scores, levels = torch.cat(boxes_parts), torch.cat(scores_parts), torch.cat(levels_parts)
    kept = scores >= 0
    return Selection(boxes[kept], scores[kept], levels[kept])


def suppress(found: Selection, settings: SelectSettings) -> Selection:
    """Non-maximum suppression within each level, then the best ``after_nms`` of all, ranked by score.

    Equal scores keep the lower index. On a CPU it stops as soon as enough are kept.
    """
    if found.scores.device.type == "cpu":
        boxes, scores = (values.detach().float().numpy() for values in (found.boxes_xyxy, found.scores))
        kept = boxes_nms(boxes, scores, settings.nms_iou, settings.after_nms, found.levels.numpy())
        keep = torch.from_numpy(kept)
    else:
        parts = [torch.nonzero(found.levels == level).flatten() for level in found.levels.unique().tolist()]
        parts = [part[nms(found.boxes_xyxy[part], found.scores[part], settings.nms_iou)] for part in parts]
        keep = torch.cat(parts).sort().values if parts else found.levels
        keep = keep[torch.argsort(found.scores[keep], descending=True, stable=True)][: settings.after_nms]
    return Selection(found.boxes_xyxy[keep], found.scores[keep], found.levels[keep])
