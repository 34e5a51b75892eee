"""Where the second stage meets the first: which boxes it looks at, and what it is taught about them.

B images, L levels, N anchors of a level. No gradient passes from the second stage to the boxes and scores of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from objectness.rpn.extensions.refinement_head import Refinement
from objectness.rpn.extensions.task_aligned import task_aligned_losses
from objectness.rpn.losses import RPNLoss
from objectness.rpn.outputs import Outputs
from objectness.rpn.selection import CERTAIN, Correct, Selection
from objectness.rpn.settings import RPNSettings
from objectness.rpn.targets import ImagePredictions, Target


def corrector(refinement: Refinement | None, outputs: Outputs, index: int) -> Correct | None:
    """The second stage for image ``index`` of the batch; None where the network has none."""
    if refinement is None or outputs.detail is None:
        return None
    return partial(refinement.correct, [level[index] for level in outputs.detail])


def second_loss(
    refinement: Refinement,
    outputs: Outputs,
    firsts: Sequence[Selection],
    targets: Sequence[Target],
    settings: RPNSettings,
) -> RPNLoss:
    """The task-aligned objective on the boxes that the second stage is asked about, which stand where anchors stood.

    Args:
        refinement: The second stage.
        outputs: Of the batch.
        firsts: What the first stage found in each image: the boxes that the second is asked about.
        targets: One for each image.
        settings: Of the whole network.
    """
    anchors, cells, answers = [], [], []
    strides = torch.tensor(refinement.strides, device=outputs.logits[0].device)
    for index, (first, target) in enumerate(zip(firsts, targets, strict=True)):
        correct = corrector(refinement, outputs, index)
        assert correct is not None
        before = torch.logit(first.scores, eps=CERTAIN)
        parts = []
        for level in range(len(outputs.logits)):
            of_level = first.levels == level
            parts.append(correct(level, first.boxes_xyxy[of_level], before[of_level]))
        deltas, margins = (torch.cat(part) for part in zip(*parts, strict=True))
        kept, unused = torch.ones_like(margins, dtype=torch.bool), torch.zeros_like(margins)
        anchors.append(first.boxes_xyxy)
        cells.append(strides[first.levels].to(margins.dtype))
        answers.append(ImagePredictions(margins[:, None], deltas, kept, unused, len(margins), target))
    loss, _, _ = task_aligned_losses(anchors, cells, answers, settings)
    return RPNLoss(settings.refinement.weight * loss.objectness, settings.refinement.weight * loss.box)
