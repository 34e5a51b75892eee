"""Files that a run saves: the best weights, the last ones, and the state from which it can be resumed exactly."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from objectness.errors import InputError
from objectness.files.atomic_write import replacing_bytes
from objectness.files.untrusted import parse_json
from objectness.rpn.renamed_weights import current_names

BEST_FILE = "best.safetensors"
LAST_FILE = "last.safetensors"
STATE_FILE = "last.state.safetensors"
_KEY = "state"

Network = TypeVar("Network", bound=nn.Module)


@dataclass
class RunState:
    """Position of a run. Random numbers need no entry: they are a function of (seed, epoch, step, photograph).

    Attributes:
        epoch: Epochs finished.
        batch: Batches of the running epoch done.
        step: Updates done.
        seconds: Training time.
        best: Best validation so far, by the metric of the task; -1 before the first.
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


class Checkpoints(Generic[Network]):
    """Writes the checkpoints of one run, each file whole or not at all.

    Args:
        folder: Where they go.
        network: The network that is trained.
        averaged: Its moving average, which best and last weights are taken from; ``network`` itself without one.
        optimizer: Saved with the state.
        details: Written into the checkpoints.
        save: (path, network, details): writes a checkpoint.
    """

    def __init__(
        self,
        folder: Path,
        network: Network,
        averaged: Network,
        optimizer: torch.optim.Optimizer,
        details: Mapping[str, Any],
        save: Callable[[Path, Network, Mapping[str, Any]], None],
    ) -> None:
        self._folder = folder
        self._network = network
        self._averaged = averaged
        self._optimizer = optimizer
        self._details = dict(details)
        self._save = save
        self._saved_at: int | None = None

    def load(self) -> RunState:
        """Fill network, average and optimizer from the saved state; raises as ``load_state``."""
        state = load_state(self._folder / STATE_FILE, self._network, self._averaged, self._optimizer)
        self._saved_at = state.step
        return state

    def save_last(self, state: RunState) -> None:
        """Save the last weights and the state; without any validation so far, the last weights are the best."""
        details = self._details | {"epoch": state.epoch}
        # The state comes last: where it exists, the other files that a resumed run reads exist too.
        for name in (LAST_FILE,) if state.best >= 0 else (LAST_FILE, BEST_FILE):
            self._save(self._folder / name, self._averaged, details)
        save_state(self._folder / STATE_FILE, self._network, self._averaged, self._optimizer, state)
        self._saved_at = state.step

    def save_best(self, measured: Network, epoch: int, validation: Mapping[str, Any]) -> None:
        """Save the weights that were just validated, with what they reached."""
        details = self._details | {"epoch": epoch, "validation": dict(validation)}
        self._save(self._folder / BEST_FILE, measured, details)

    def saved(self) -> str:
        """The end of a sentence about a run that cannot go on: which weights have been saved."""
        if self._saved_at is None:
            return "nothing had been saved yet"
        return f"{self._folder / LAST_FILE} holds the weights after update {self._saved_at}"


def save_state(
    path: Path, network: nn.Module, averaged: nn.Module, optimizer: torch.optim.Optimizer, state: RunState
) -> None:
    """Write everything as one safetensors file, which appears whole or not at all.

    Raises:
        InputError: the place cannot be written to, or is full; what was there before stays.
    """
    tensors = {f"network/{key}": value for key, value in network.state_dict().items()}
    if averaged is not network:
        tensors |= {f"average/{key}": value for key, value in averaged.state_dict().items()}
    saved = optimizer.state_dict()
    for index, slots in saved["state"].items():
        for slot, value in slots.items():
            if value is not None:
                tensors[f"optimizer/{index}/{slot}"] = torch.as_tensor(value)
    metadata = {_KEY: json.dumps({"progress": asdict(state), "groups": saved["param_groups"]})}
    content = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata=metadata)
    with replacing_bytes(path) as file:
        file.write(content)


def load_state(path: Path, network: nn.Module, averaged: nn.Module, optimizer: torch.optim.Optimizer) -> RunState:
    """Fill network, average and optimizer from ``path`` in place.

    Rates and decays stay those that the optimizer was built with; where the file has no average, it begins as the
    network.

    Raises:
        InputError: missing, broken, or of an optimizer of another kind.
    """
    try:
        tensors = load_file(path)
        with safe_open(path, framework="pt") as opened:
            saved = parse_json((opened.metadata() or {})[_KEY], str(path))
        state, saved_groups = _state(saved["progress"]), saved["groups"]
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
        if averaged is not network:
            averaged.load_state_dict(current_names(part("average") or part("network")))
    except RuntimeError:
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
    return state


def _state(data: dict[str, Any]) -> RunState:
    """The position that a file describes.

    Raises:
        TypeError: it describes none.
    """
    state = RunState(**data)
    whole = (state.epoch, state.batch, state.step, state.stale)
    sums = (state.seconds, state.best, *state.tally.values()) if isinstance(state.tally, dict) else ("",)
    rows = state.rows if isinstance(state.rows, list) else [None]
    if not (
        all(type(number) is int and number >= 0 for number in whole)
        and all(isinstance(number, int | float) for number in sums)
        and all(isinstance(row, dict) and {"epoch", "loss"} <= row.keys() for row in rows)
    ):
        raise TypeError("no such state")
    return state
