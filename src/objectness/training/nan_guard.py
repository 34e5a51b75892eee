"""Errors of a run whose numbers no longer make sense: a loss or deltas that are not finite, weights that explode."""

from __future__ import annotations

import torch
from torch import nn

from objectness.errors import InputError
from objectness.rpn.outputs import Outputs

LARGEST_WEIGHT = 1e6  # trained ones stay far below 1e3; a network with a larger one does not come back


class NonFiniteLossError(InputError):
    """Training cannot go on: the message names the step, and the photographs and level or the weights."""


def non_finite_loss(
    loss: torch.Tensor, outputs: Outputs, names: list[str], step: int, lr: float, saved: str
) -> NonFiniteLossError:
    """The error of a batch whose loss or deltas are not finite.

    Args:
        loss: Of the batch, in all.
        outputs: That it was computed from.
        names: Of the batch's photographs.
        step: Updates done before.
        lr: Learning rate of this update.
        saved: The end of the sentence: which weights have been saved.
    """
    return NonFiniteLossError(
        f"The loss is {float(loss.detach())} at step {step + 1} (learning rate {lr:.2g}): "
        f"{_origin(outputs, names)}. Look at these photographs, or lower optimizer.lr; {saved}."
    )


@torch.no_grad()
def unsound_weights(network: nn.Module, step: int, lr: float, saved: str) -> NonFiniteLossError:
    """The error of an update that left a weight above ``LARGEST_WEIGHT``, or a statistic of a norm not finite.

    Args:
        network: After the update.
        step: Updates done before.
        lr: Learning rate of this update.
        saved: The end of the sentence: which weights have been saved.
    """
    weights: dict[str, torch.Tensor] = dict(network.named_parameters())
    statistics = dict(network.named_buffers())
    limits = dict.fromkeys(weights, LARGEST_WEIGHT) | dict.fromkeys(statistics, torch.finfo(torch.float32).max)
    sizes = ((name, float(tensor.abs().amax())) for name, tensor in (weights | statistics).items())
    name, size = next((name, size) for name, size in sizes if not size <= limits[name])  # NaN is below no limit
    return NonFiniteLossError(
        f"Update {step + 1} (learning rate {lr:.2g}) threw the weights off every scale ({name} grew to {size:.2g}): "
        f"lower optimizer.lr, or set optimizer.clip_norm; {saved}."
    )


def _origin(outputs: Outputs, names: list[str]) -> str:
    """The photographs and levels whose outputs are not finite."""
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
