"""Weights under their names of version 0.1: checkpoints, resumable states and exported models of it still load."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

# The beginning of a name in a network's state dict, old to new.
RENAMED = {
    "head.windows.": "head.conv.",
    "head.objectness_windows.": "head.cls_tower.",
    "head.delta_windows.": "head.bbox_tower.",
    "refinement.answer.": "refinement.predictor.",
}
_IN_LAYER = (".convolution.", ".conv.")  # the convolution of each of the head's layers


def current_name(name: str) -> str:
    """The name that a weight has now; a name that was not renamed stays as it is."""
    for old, new in RENAMED.items():
        if name.startswith(old):
            return (new + name.removeprefix(old)).replace(*_IN_LAYER)
    return name


def current_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict under the names that its weights have now."""
    return {current_name(name): weight for name, weight in weights.items()}
