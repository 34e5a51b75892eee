"""A network as one safetensors file with its settings and a description inside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from objectness.errors import InputError
from objectness.files.atomic_write import replacing_bytes
from objectness.files.untrusted import parse_json
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.renamed_weights import current_names
from objectness.rpn.settings import RPNSettings
from objectness.settings import from_dict, to_dict

_KEY = "objectness"
_FORMAT = 1
_MOST_LEFT_OUT = 130_000_000  # weights: the classifier of VGG-19 has 124 million
_AGAIN = "copy it again."
_RPN_PREFIX = "rpn."  # of the names of its weights in a detector


def save_network(path: Path, network: RegionProposalNetwork, details: Mapping[str, Any]) -> None:
    """Write the weights with settings and details inside; the file appears whole or not at all.

    Args:
        path: Ends in .safetensors.
        network: Its settings describe the file.
        details: Description of the file: name, recipe, data, AR, ... (plain data).

    Raises:
        InputError: the place cannot be written to, or is full; an existing file stays as it is.
    """
    write_checkpoint(path, network, {"settings": to_dict(network.settings), "details": dict(details)})


def write_checkpoint(path: Path, network: nn.Module, described: Mapping[str, Any]) -> None:
    """Write the weights of a network and a description of it; raises as ``save_network``."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    content = save(tensors, metadata={_KEY: json.dumps({"format": _FORMAT, **described})})
    with replacing_bytes(path) as file:
        file.write(content)


def load_network(
    path: Path, device: torch.device | str = "cpu", change: Callable[[RPNSettings], RPNSettings] = lambda own: own
) -> tuple[RegionProposalNetwork, dict[str, Any]]:
    """The network in ``path``, in evaluation mode on ``device``, and its details; of a detector, its RPN.

    Args:
        path: The checkpoint.
        device: As PyTorch calls it.
        change: Changes settings that the weights do not depend on.

    Raises:
        InputError: missing, broken, not a file of ours, or a detector whose proposals came from elsewhere; or raised
            by ``change``.
    """
    described = read_description(path)
    detector = described.get("detector")
    if detector is not None and detector.get("foreign_proposals"):
        raise InputError(
            f"{path} was trained on the proposals of a file, and has no Region Proposal Network of its own: give "
            "another model."
        )
    try:
        settings = from_dict(RPNSettings, described["settings"])
    except InputError as error:
        raise InputError(f"{path} cannot be read by this version: {error}") from None
    settings = change(settings)
    network = built_from(path, lambda: RegionProposalNetwork(settings))
    fill_from(path, network, "" if detector is None else _RPN_PREFIX)
    return network.to(device).eval(), described["details"]


Built = TypeVar("Built")


def built_from(path: Path, build: Callable[[], Built]) -> Built:
    """What ``build`` makes of the settings in ``path``, unless it is far larger than that file.

    Raises:
        InputError: settings that this version cannot read, or a network that the file cannot hold.
    """
    try:
        with _no_larger_than(path):
            return build()
    except InputError as error:
        raise InputError(f"{path} cannot be read by this version: {error}") from None


def fill_from(path: Path, network: nn.Module, prefix: str = "") -> None:
    """Load the weights of ``path`` whose names begin with ``prefix``, without it, into ``network``.

    Raises:
        InputError: they do not fit.
    """
    try:
        named = {key.removeprefix(prefix): one for key, one in load_file(path).items() if key.startswith(prefix)}
        network.load_state_dict(current_names(named))
    except (SafetensorError, RuntimeError) as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines()[:2])[:300]
        raise InputError(
            f"{path}: the weights do not fit the network that the file describes ({reason}); train or copy it again."
        ) from None


@contextmanager
def _no_larger_than(path: Path) -> Iterator[None]:
    """Stop the building of a network far larger than the file: a few bytes must not ask for all memory.

    A weight has two bytes or more in the file, and the classifier of a backbone is built before it is left out.

    Raises:
        InputError: more weights are built than the file can hold, or memory for them is not there.
    """
    there = path.stat().st_size
    most, built = there // 2 + _MOST_LEFT_OUT, 0

    def count(module: nn.Module, name: str, weights: nn.Parameter) -> None:
        nonlocal built
        built += 0 if weights is None else weights.numel()
        if built > most:
            raise InputError(f"its settings describe a network far larger than the file of {there:,} bytes; {_AGAIN}")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # an allocation
        reason = (str(error).splitlines() or ["memory"])[0][:200]
        raise InputError(f"its settings describe a network that cannot be built ({reason}); {_AGAIN}") from None
    finally:
        hook.remove()


def read_description(path: Path) -> dict[str, Any]:
    """``{"format", "settings", "details"}`` of a checkpoint, without reading its weights; of a detector "detector" too.

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
            detector = {"detector": dict(described["detector"])} if "detector" in described else {}
            return {key: described[key] for key in ("format", "settings", "details")} | detector
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{path} is a safetensors file, but not a checkpoint that `objectness train` wrote: give one of these."
        ) from None
    raise InputError(
        f"{path} has checkpoint format {described['format']}, but this version reads {_FORMAT}: update objectness."
    )
