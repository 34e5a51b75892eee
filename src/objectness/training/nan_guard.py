"""Values that are not finite stop the run: a loss or a box with its photographs and level, weights with their name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from objectness.errors import InputError
from objectness.rpn.losses import RPNLoss
from objectness.rpn.outputs import Outputs

_LARGEST_WEIGHT = 1e6  # trained ones stay far below 1e3; what is above has left every scale on which it could come back


class NonFiniteLossError(InputError):
    """Training cannot go on: the message says at which step, on which photographs and at which level."""


def require_finite(
    loss: RPNLoss, outputs: Outputs, names: list[str], step: int, lr: float, kept: Callable[[], str]
) -> None:
    """Pass silently while the loss and all deltas are finite: an objective may find no use for boxes that are not.

    Args:
        loss: Of a batch.
        outputs: That it was computed from.
        names: Of the batch's photographs.
        step: Updates done before.
        lr: Learning rate of this update.
        kept: The end of the sentence: which weights there are from before.

    Raises:
        NonFiniteLossError: they are not.
    """
    finite = [torch.isfinite(part).all() for part in (loss.total, *outputs.deltas)]
    if bool(torch.stack(finite).all()):
        return
    raise NonFiniteLossError(
        f"The loss is {float(loss.total.detach())} at step {step + 1} (learning rate {lr:.2g}): "
        f"{_culprits(outputs, names)}. Look at these photographs, or lower optimizer.lr; {kept()}."
    )


@torch.no_grad()
def require_sound(network: nn.Module, step: int, lr: float, kept: Callable[[], str]) -> None:
    """Pass silently while an update has left all weights, and the statistics of norms, on a scale that makes sense.

    Args:
        network: After the update.
        step: Updates done before.
        lr: Learning rate of this update.
        kept: The end of the sentence: which weights there are from before.

    Raises:
        NonFiniteLossError: they are not.
    """
    weights = dict(network.named_parameters())
    statistics = {name: buffer for name, buffer in network.named_buffers() if buffer.is_floating_point()}
    largest = torch.stack(
        [tensor.detach().abs().amax().float() for tensor in (*weights.values(), *statistics.values())]
    )
    limits = largest.new_tensor([_LARGEST_WEIGHT] * len(weights) + [torch.finfo(torch.float32).max] * len(statistics))
    wild = ~(largest <= limits)  # what is not a number is not below a limit either
    if not bool(wild.any()):
        return
    at = int(wild.nonzero()[0])
    name = [*weights, *statistics][at]
    raise NonFiniteLossError(
        f"Update {step + 1} (learning rate {lr:.2g}) threw the weights off every scale ({name} grew to "
        f"{float(largest[at]):.2g}): lower optimizer.lr, or set optimizer.clip_norm; {kept()}."
    )


def _culprits(outputs: Outputs, names: list[str]) -> str:
    found = []
    for index, name in enumerate(names):
        for kind, levels in (
            ("features", outputs.features),
            ("scores", outputs.logits),
            ("scores of the fit", outputs.quality or []),
            ("deltas", outputs.deltas),
            ("maps of the second stage", outputs.refinement_maps or []),
        ):
            broken = [str(at) for at, level in enumerate(levels) if not bool(torch.isfinite(level[index]).all())]
            if broken:
                found.append(f"{name} (non-finite {kind} at level {', '.join(broken)})")
                break
    if found:
        return "first seen on " + "; ".join(found)
    return "the network's outputs are finite on " + ", ".join(names) + ", so a target or the loss itself overflowed"
