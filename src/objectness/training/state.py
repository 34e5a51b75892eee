"""State of a run, to resume exactly: raw weights, moving average, optimizer, position, tallies."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from objectness.errors import InputError
from objectness.files.atomic_write import replacing_bytes
from objectness.files.untrusted import parse_json
from objectness.rpn.renamed_weights import current_names

_KEY = "state"


@dataclass
class Progress:
    """Where a run is. Chance needs no entry: it is a function of (seed, epoch, step, photograph).

    Attributes:
        epoch: Epochs finished.
        batch: Batches of the running epoch done.
        step: Updates done.
        seconds: Time spent.
        best: Best validation AR@100 so far; -1 before the first.
        stale: Validations since.
        tally: Sums over the running epoch: losses by name, photographs, seconds.
        rows: The rows of results.csv so far.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    best: float = -1.0
    stale: int = 0
    tally: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)


def save_state(
    path: Path,
    network: nn.Module,
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> None:
    """Write everything as one safetensors file, which appears whole or not at all.

    Raises:
        InputError: the place cannot be written to, or is full; what was there before stays.
    """
    tensors = {f"network/{key}": value for key, value in network.state_dict().items()}
    tensors |= {f"average/{key}": value for key, value in average.items()}
    saved = optimizer.state_dict()
    for index, slots in saved["state"].items():
        for slot, value in slots.items():
            if value is not None:
                tensors[f"optimizer/{index}/{slot}"] = torch.as_tensor(value)
    metadata = {_KEY: json.dumps({"progress": asdict(progress), "groups": saved["param_groups"]})}
    content = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata=metadata)
    with replacing_bytes(path) as file:
        file.write(content)


def load_state(
    path: Path, network: nn.Module, average: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> Progress:
    """Fill network, average and optimizer from ``path`` in place.

    Rates and decays stay those that the optimizer was built with; where nothing was averaged so far, the average
    begins as the network.

    Raises:
        InputError: missing, broken, or of an optimizer of another kind.
    """
    try:
        tensors = load_file(path)
        with safe_open(path, framework="pt") as opened:
            state = parse_json((opened.metadata() or {})[_KEY], str(path))
        progress, saved_groups = _progress(state["progress"]), state["groups"]
    except FileNotFoundError:
        raise InputError(f"No {path}: that run saved nothing to resume from.") from None
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        reason = error if isinstance(error, SafetensorError | OSError) else "it does not say where the run stood"
        raise InputError(f"{path} cannot be resumed from ({reason}).") from None

    def part(name: str) -> dict[str, Tensor]:
        return {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}

    numbers = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    try:
        network.load_state_dict(current_names(part("network")))
        saved = current_names(part("average") or part("network"))
        for key, value in average.items():
            value.copy_(saved[key])
    except (RuntimeError, KeyError):
        raise InputError(f"{path} cannot be resumed from (its weights do not fit the network of the run).") from None
    try:
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in (part("optimizer") or part("optimiser")).items():  # its name in files of version 0.1
            index, slot = key.split("/")
            slots.setdefault(int(index), {})[slot] = value
        tuned = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for at, held in slots.items():
            if any(value.ndim and value.shape != tuned[at].shape for value in held.values()):
                raise ValueError(f"what it holds of weight {at} has another shape")
        optimizer.load_state_dict({"state": slots, "param_groups": saved_groups})
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(
            f"{path} cannot be resumed from ({error}): optimizer.kind and optimizer.layer_decay must stay as they were."
        ) from None
    for group, own in zip(optimizer.param_groups, numbers, strict=True):
        group.update(own)
    return progress


def _progress(data: dict[str, Any]) -> Progress:
    """Where a run was, as the file says.

    Raises:
        TypeError: it says something else.
    """
    progress = Progress(**data)
    whole = (progress.epoch, progress.batch, progress.step, progress.stale)
    sums = (progress.seconds, progress.best, *progress.tally.values()) if isinstance(progress.tally, dict) else ("",)
    rows = progress.rows if isinstance(progress.rows, list) else [None]
    if not (
        all(type(number) is int and number >= 0 for number in whole)
        and all(isinstance(number, int | float) for number in sums)
        and all(isinstance(row, dict) and {"epoch", "loss"} <= row.keys() for row in rows)
    ):
        raise TypeError("no such progress")
    return progress
