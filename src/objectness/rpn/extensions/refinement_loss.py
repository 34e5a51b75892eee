"""Training of the refinement head. B images, L levels.

No gradient passes from the refinement head to the boxes and scores of the first stage.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from objectness.rpn.extensions.refinement_head import SCORE_EPS, RefinementHead
from objectness.rpn.extensions.task_aligned import task_aligned_loss
from objectness.rpn.losses import RPNLoss
from objectness.rpn.outputs import ImagePredictions, Outputs
from objectness.rpn.selection import Selection
from objectness.rpn.settings import RPNSettings
from objectness.rpn.targets import Target


def refinement_loss(
    head: RefinementHead,
    outputs: Outputs,
    first_stage: Sequence[Selection],
    targets: Sequence[Target],
    settings: RPNSettings,
) -> RPNLoss:
    """The task-aligned loss of the refined boxes; the boxes of the first stage take the place of anchors.

    Args:
        head: The refinement head.
        outputs: Of the batch.
        first_stage: Boxes of each image that the head refines.
        targets: One for each image.
        settings: Of the whole network.
    """
    assert outputs.refinement_maps is not None
    predictions = []
    strides = torch.tensor(head.strides, device=outputs.logits[0].device)
    for index, (first, target) in enumerate(zip(first_stage, targets, strict=True)):
        maps, before = [level[index] for level in outputs.refinement_maps], torch.logit(first.scores, eps=SCORE_EPS)
        parts = []
        for level in range(len(maps)):
            of_level = first.levels == level
            parts.append(head.correct(maps, level, first.boxes_xyxy[of_level], before[of_level]))
        deltas, logits = (torch.cat(part) for part in zip(*parts, strict=True))
        predictions.append(
            ImagePredictions(
                first.boxes_xyxy,
                strides[first.levels].to(logits.dtype),
                logits[:, None],
                deltas,
                torch.ones_like(logits, dtype=torch.bool),
                len(logits),
                target,
            )
        )
    loss = task_aligned_loss(predictions, settings).loss
    return RPNLoss(settings.refinement.weight * loss.objectness, settings.refinement.weight * loss.box)
