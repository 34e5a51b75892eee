"""From scores and deltas to proposals (paper, section 3.3).

L levels, N anchors of a level, M boxes. Each level is selected and suppressed on its own, then all are ranked
together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchvision.ops import nms

from objectness.boxes import nms as boxes_nms
from objectness.rpn.box_coder import DELTA_CLAMP, clip, decode
from objectness.rpn.extensions.localization_quality import ranking_scores
from objectness.rpn.extensions.settings import LocalizationQualitySettings
from objectness.rpn.settings import SelectSettings

_UNUSABLE = -1.0  # below any probability
CERTAIN = 1e-6  # a first score of exactly 0 or 1 can still be corrected

Correct = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Level, boxes ``(K, 4)`` and logits ``(K,)`` to deltas from these boxes and better logits: a second stage."""


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
    quality: Sequence[Float[Tensor, "_ 1"]] | None = None,
    ranking: LocalizationQualitySettings | None = None,
    correct: Correct | None = None,
    corrected: int = 0,
) -> Selection:
    """Decode, clip, drop tiny boxes and what is not finite, keep the best ``pre_nms_top_n`` of each level.

    Boxes of a level come best first, equal scores by index, also where they are cut; levels follow one another, finest
    first. Where the network gives the fit's
    logits, ``quality``, boxes are scored as ``ranking`` says. Where there is a second stage, ``correct``, it is asked
    about the best ``corrected`` of each level.
    """
    ranking = ranking or LocalizationQualitySettings()
    boxes_parts, scores_parts, levels_parts = [], [], []
    each_level = zip(logits, deltas, anchors_xyxy, strict=True)
    for level, (level_logits, level_deltas, anchors) in enumerate(each_level):
        scores = ranking_scores(level_logits, None if quality is None else quality[level], ranking)
        boxes, scores = _best_of_level(scores, level_deltas, anchors, size_hw, settings, delta_clamp)
        if correct is not None:
            boxes, scores = _second_look(boxes, scores, level, correct, corrected, size_hw, settings, delta_clamp)
        boxes_parts.append(boxes)
        scores_parts.append(scores)
        levels_parts.append(torch.full_like(scores, level, dtype=torch.int64))
    boxes, scores, levels = torch.cat(boxes_parts), torch.cat(scores_parts), torch.cat(levels_parts)
    kept = scores >= 0
    return Selection(boxes[kept], scores[kept], levels[kept])


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
    # A processor need not decode the many that have no chance, unless one of the best turns out unusable.
    if scores.device.type == "cpu" and not torch.compiler.is_compiling() and count < len(scores):
        best, leading = _highest(torch.where(scores.isnan(), _UNUSABLE, scores), count)
        boxes, usable = _decode(best, deltas[leading], anchors_xyxy[leading], size_hw, settings, delta_clamp)
        if bool(usable.all()):
            return boxes, best
    boxes, usable = _decode(scores, deltas, anchors_xyxy, size_hw, settings, delta_clamp)
    # Ranked last rather than cut out here: the same lines are exported, where every shape must be known.
    scores, order = _highest(torch.where(usable, scores, _UNUSABLE), count)
    return boxes[order], scores


def _highest(scores: Float[Tensor, " N"], count: int | torch.SymInt) -> tuple[Float[Tensor, " K"], Int[Tensor, " K"]]:
    """The highest ``count`` scores and where they stand, best first; equal scores keep the lower index.

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


def _second_look(
    boxes_xyxy: Float[Tensor, "K 4"],
    scores: Float[Tensor, " K"],
    level: int,
    correct: Correct,
    corrected: int,
    size_hw: tuple[int, int],
    settings: SelectSettings,
    delta_clamp: float,
) -> tuple[Float[Tensor, "K 4"], Float[Tensor, " K"]]:
    """The boxes with what a second stage says of the first few, best first; what it makes unusable stays as it was."""
    count = torch.sym_min(corrected, scores.shape[0])
    before, first = boxes_xyxy[:count], scores[:count]
    usable = first >= 0
    # A box that is not finite has no place in a map.
    deltas, margins = correct(level, torch.where(usable[:, None], before, 0), torch.logit(first, eps=CERTAIN))
    after = clip(decode(deltas, before, delta_clamp), size_hw)
    sides = after[:, 2:] - after[:, :2]
    better = ((sides >= settings.min_size) & (sides > 0)).all(dim=1) & torch.isfinite(margins) & usable
    boxes = torch.cat([torch.where(better[:, None], after, before), boxes_xyxy[count:]])
    scores = torch.cat([torch.where(better, torch.sigmoid(margins), first), scores[count:]])
    scores, order = _highest(scores, scores.shape[0])  # len would be a fixed number in an exported graph
    return boxes[order], scores


def _decode(
    scores: Float[Tensor, " N"],
    deltas: Float[Tensor, "N 4"],
    anchors_xyxy: Float[Tensor, "N 4"],
    size_hw: tuple[int, int],
    settings: SelectSettings,
    delta_clamp: float,
) -> tuple[Float[Tensor, "N 4"], Bool[Tensor, " N"]]:
    """Boxes inside the image, and which of them can be used."""
    boxes = clip(decode(deltas.float(), anchors_xyxy, delta_clamp), size_hw)
    sides = boxes[:, 2:] - boxes[:, :2]
    # Asked of the deltas: clipping and clamping would make ordinary boxes of infinite ones.
    finite = torch.isfinite(deltas).all(dim=1) & torch.isfinite(scores)
    return boxes, finite & ((sides >= settings.min_size) & (sides > 0)).all(dim=1)


def suppress(found: Selection, settings: SelectSettings) -> Selection:
    """Non-maximum suppression within each level, then the best ``post_nms_top_n`` of all, ranked by score.

    Equal scores keep the lower index. On a CPU it stops as soon as enough are kept.
    """
    if found.scores.device.type == "cpu":
        boxes, scores = (values.detach().float().numpy() for values in (found.boxes_xyxy, found.scores))
        kept = boxes_nms(boxes, scores, settings.nms_iou, settings.post_nms_top_n, found.levels.numpy())
        keep = torch.from_numpy(kept)
    else:
        parts = [torch.nonzero(found.levels == level).flatten() for level in found.levels.unique().tolist()]
        parts = [part[nms(found.boxes_xyxy[part], found.scores[part], settings.nms_iou)] for part in parts]
        keep = torch.cat(parts).sort().values if parts else found.levels
        keep = keep[torch.argsort(found.scores[keep], descending=True, stable=True)][: settings.post_nms_top_n]
    return Selection(found.boxes_xyxy[keep], found.scores[keep], found.levels[keep])
