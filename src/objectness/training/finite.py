"""A loss or a box that is not a number stops the run with the photographs and the level that caused it."""

from __future__ import annotations

import torch

from objectness.errors import InputError
from objectness.rpn.losses import RPNLoss
from objectness.rpn.outputs import Outputs


class NonFiniteLossError(InputError):
    """Training cannot go on: the message says at which step, on which photographs and at which level."""


def require_finite(loss: RPNLoss, outputs: Outputs, names: list[str], step: int, lr: float) -> None:
    """Pass silently while the loss and all deltas are finite: an objective may find no use for boxes that are not.

    Raises:
        NonFiniteLossError: they are not.
    """
    finite = [torch.isfinite(part).all() for part in (loss.total, *outputs.deltas)]
    if bool(torch.stack(finite).all()):
        return
    raise NonFiniteLossError(
        f"The loss is {float(loss.total.detach())} at step {step + 1} (learning rate {lr:.2g}): "
        f"{_culprits(outputs, names)}. Look at these photographs, or lower optimiser.lr; earlier weights "
        "are in last.safetensors, where the run came so far."
    )


def _culprits(outputs: Outputs, names: list[str]) -> str:
    found = []
    for index, name in enumerate(names):
        for kind, levels in (
            ("features", outputs.features),
            ("scores", outputs.logits),
            ("scores of the fit", outputs.quality or []),
            ("deltas", outputs.deltas),
            ("maps of the second stage", outputs.detail or []),
        ):
            broken = [str(at) for at, level in enumerate(levels) if not bool(torch.isfinite(level[index]).all())]
            if broken:
                found.append(f"{name} (non-finite {kind} at level {', '.join(broken)})")
                break
    if found:
        return "first seen on " + "; ".join(found)
    return "the network's outputs are finite on " + ", ".join(names) + ", so a target or the loss itself overflowed"
