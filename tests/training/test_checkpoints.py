from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from objectness.errors import InputError
from objectness.training.checkpoints import RunState, load_state, save_state

Change = Callable[[dict[str, Tensor], dict[str, Any]], object]


def run() -> tuple[nn.Module, nn.Module, torch.optim.Optimizer]:
    network = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return network, copy.deepcopy(network), optimizer


def changed(path: Path, change: Change) -> None:
    with safe_open(path, framework="pt") as opened:
        state = json.loads(opened.metadata()["state"])
    tensors = load_file(path)
    change(tensors, state)
    save_file(tensors, path, metadata={"state": json.dumps(state)})


def test_a_state_that_nobody_touched_gives_back_where_the_run_was(tmp_path: Path) -> None:
    path, was = (
        tmp_path / "state.safetensors",
        RunState(1, 2, 3, 4.0, 0.5, 0, {"images": 6.0}, [{"epoch": 1, "loss": 2}]),
    )
    save_state(path, *run(), was)
    changed(path, lambda *_: None)
    assert load_state(path, *run()) == was


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _, state: state.pop("progress"), "it does not say where the run stood"),
        (lambda _, state: state.update(progress=[1]), "it does not say where the run stood"),
        (lambda _, state: state["progress"].update(step="3"), "it does not say where the run stood"),
        (lambda _, state: state["progress"].update(epoch=-1), "it does not say where the run stood"),
        (lambda _, state: state["progress"].update(tally=[1]), "it does not say where the run stood"),
        (lambda _, state: state["progress"].update(rows=[{}]), "it does not say where the run stood"),
        (lambda tensors, _: tensors.pop("network/bias"), "its weights do not fit the network of the run"),
        (lambda tensors, _: tensors.update({"average/bias": torch.ones(7)}), "its weights do not fit"),
        (lambda tensors, _: tensors.pop("average/bias"), "its weights do not fit the network of the run"),
        (lambda tensors, _: tensors.update({"optimizer/0/momentum_buffer": torch.ones(7)}), "weight 0 has another"),
        (lambda tensors, _: tensors.update({"optimizer/x/y/z": torch.ones(7)}), "too many values"),
        (lambda tensors, _: tensors.update({"optimizer/99/y": torch.ones(7)}), "index out of range"),
        (lambda _, state: state.update(groups=[{}]), "'params'"),
        (lambda _, state: state.update(groups=5), "no attribute|not iterable|has no len"),
    ],
)
def test_a_damaged_state_is_one_sentence(change: Change, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    save_state(path, *run(), RunState())
    changed(path, change)
    with pytest.raises(InputError, match=rf"state\.safetensors cannot be resumed from \(.*({reason})"):
        load_state(path, *run())


def test_a_state_without_any_description_is_one_sentence(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "state.safetensors")
    with pytest.raises(InputError, match=r"cannot be resumed from \(it does not say where the run stood\)"):
        load_state(tmp_path / "state.safetensors", *run())
