"""Settings of an export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from objectness.errors import InputError
from objectness.inference.model_files import ONNX, OPENVINO
from objectness.rpn.settings import RPNSettings
from objectness.settings import override

FREE_SETTINGS = ("images.short_side", "images.long_side", "select.")
"""Settings of a trained network that can change without new weights, by the start of their keys."""

_SUFFIXES = {"onnx": ONNX, "openvino": OPENVINO}


@dataclass(frozen=True)
class ExportSettings:
    """Format, precision and contents of the file.

    Attributes:
        format: "onnx", or "openvino" for an .xml with its .bin.
        precision: "fp32"; "fp16" stores weights in half the space; "int8" quantises convolutions.
        nms: Suppression and ranking inside the graph; else it ends with candidates.
        licence: Of the weights, as a name or a sentence; None for what the checkpoint says, else "not stated".
        changes: ``key=value`` of ``FREE_SETTINGS``: the size of photographs and the thresholds of selection.
        most_lost: int8 is refused where a larger share of the best 100 proposals in fp32 has no counterpart at IoU 0.5.
    """

    format: Literal["onnx", "openvino"] = "onnx"
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    nms: bool = True
    licence: str | None = None
    changes: tuple[str, ...] = ()
    most_lost: float = 0.5

    @property
    def variant(self) -> str:
        """Part of the file's name: empty for fp32 with suppression, else ".int8", ".candidates"."""
        return ("" if self.precision == "fp32" else f".{self.precision}") + ("" if self.nms else ".candidates")

    @property
    def suffix(self) -> str:
        """Suffix of the file."""
        return _SUFFIXES[self.format]


def changed(settings: RPNSettings, changes: Sequence[str]) -> RPNSettings:
    """The settings of a trained network with some of ``FREE_SETTINGS`` changed.

    Args:
        settings: Of the checkpoint.
        changes: ``key=value``, with or without the prefix ``rpn.``.

    Raises:
        InputError: A key that belongs to the weights, or a value that is refused.
    """
    keys = [change.strip().removeprefix("rpn.") for change in changes]
    for key in (change.partition("=")[0].strip() for change in keys):
        if not key.startswith(FREE_SETTINGS):
            raise InputError(
                f"Export cannot change {key}: the weights were trained for it; images.short_side, images.long_side "
                "and select.* are free."
            )
    return override(settings, keys)
