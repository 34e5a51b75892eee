"""A network as one safetensors file that says what it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from objectness.atomic_write import replacing_bytes
from objectness.errors import InputError
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.settings import RPNSettings
from objectness.settings import from_dict, to_dict
from objectness.untrusted import parse_json

_KEY = "objectness"
_FORMAT = 1


def save_network(
    path: Path,
    network: RegionProposalNetwork,
    details: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write the weights with settings and details inside; the file appears whole or not at all.

    Args:
        path: Ends in .safetensors.
        network: Its settings describe the file.
        details: What else the file says of itself: name, recipe, data, AR, ... (plain data).
        weights: Written in place of the network's own (a moving average, say).

    Raises:
        InputError: the place cannot be written to, or is full; what was there before stays.
    """
    described = {"format": _FORMAT, "settings": to_dict(network.settings), "details": dict(details)}
    tensors = {k: v.detach().cpu().contiguous() for k, v in (weights or network.state_dict()).items()}
    content = save(tensors, metadata={_KEY: json.dumps(described)})
    with replacing_bytes(path) as file:
        file.write(content)


def load_network(path: Path, device: torch.device | str = "cpu") -> tuple[RegionProposalNetwork, dict[str, Any]]:
    """The network in ``path``, in evaluation mode on ``device``, and its details.

    Raises:
        InputError: missing, broken, or not a file of ours.
    """
    described = read_description(path)
    try:
        settings = from_dict(RPNSettings, described["settings"])
        _require_room(path, settings)
        network = RegionProposalNetwork(settings, load_weights=False)
    except InputError as error:
        raise InputError(f"{path} cannot be read by this version: {error}") from None
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines()[:2])[:300]
        raise InputError(
            f"{path}: the weights do not fit the network that the file describes ({reason}); train or copy it again."
        ) from None
    return network.to(device).eval(), described["details"]


def _require_room(path: Path, settings: RPNSettings) -> None:
    """Refuse settings of a network far larger than the file: a few bytes must not ask for all memory.

    Counted are the weights above the backbone whose number the settings say, in half precision.
    """
    head, pyramid, refine = settings.head, settings.backbone.pyramid_channels, settings.refine
    windows = max(0, head.convolutions - 1) + 2 * max(0, head.own_convolutions - 1)
    weights = 9 * windows * head.channels**2 + 9 * pyramid**2
    if refine.grid:
        weights += refine.hidden**2 + refine.hidden * refine.channels * refine.grid**2
    least, there = 2 * weights, path.stat().st_size
    if least > there:
        raise InputError(
            f"its settings describe a network of more than {least / 2**20:,.0f} MiB, but the file has {there:,} bytes; "
            "copy it again."
        )


def read_description(path: Path) -> dict[str, Any]:
    """``{"format", "settings", "details"}`` of a checkpoint, without reading its weights.

    Raises:
        InputError: missing, broken, or not a file of ours.
    """
    if not path.is_file():
        raise InputError(f"No checkpoint {path}: give a .safetensors file that `objectness train` wrote.")
    try:
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a readable safetensors file ({error}): copy it again or train anew.") from None
    try:
        described = parse_json(metadata[_KEY], str(path))
        if described["format"] == _FORMAT:
            return {key: described[key] for key in ("format", "settings", "details")}
    except (KeyError, TypeError, InputError):
        raise InputError(
            f"{path} is a safetensors file, but not a checkpoint that `objectness train` wrote: give one of these."
        ) from None
    raise InputError(
        f"{path} has checkpoint format {described['format']}, but this version reads {_FORMAT}: update objectness."
    )
