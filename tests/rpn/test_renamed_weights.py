"""Files of version 0.1 load although the layers have other names now.

``data/checkpoint-0.1.safetensors.gz`` and ``data/state-0.1.safetensors.gz`` were written by version 0.1: a network with
every renamed layer, whose tensors hold their position in the state dict, in thousandths where they are no counters.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch
from torch import Tensor

from objectness.rpn.checkpoint import load_network, save_network
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.renamed_weights import RENAMED, current_name
from objectness.training.checkpoints import load_state
from objectness.training.warm_start import read_trained

DATA = Path(__file__).parent / "data"


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    for name in ("checkpoint", "state"):
        packed = (DATA / f"{name}-0.1.safetensors.gz").read_bytes()
        (tmp_path / f"{name}.safetensors").write_bytes(gzip.decompress(packed))
    return tmp_path


def positions(weights: dict[str, Tensor], times: float = 1) -> list[float]:
    """Position in the state dict that each tensor holds; all its values are the same."""
    found = []
    for tensor in weights.values():
        assert tensor.unique().numel() == 1
        found.append(round(float(tensor.flatten()[0]) / times * (1000 if tensor.is_floating_point() else 1), 3))
    return found


def test_a_checkpoint_of_version_0_1(unpacked: Path) -> None:
    network, details = load_network(unpacked / "checkpoint.safetensors")
    weights = network.state_dict()
    assert details == {"name": "written by version 0.1"}
    assert positions(weights) == list(range(1, len(weights) + 1))
    settings = network.settings
    assert (settings.loss.objective, settings.head.tower_convolutions) == ("task-aligned", 2)
    assert (settings.refinement.grid, settings.task_aligned.alpha) == (2, 2)
    assert (settings.localization_quality.use, settings.select.pre_nms_top_n) == ("both", 50)


def test_it_is_saved_under_current_names(unpacked: Path) -> None:
    network, _ = load_network(unpacked / "checkpoint.safetensors")
    save_network(unpacked / "again.safetensors", network, {})
    again = read_trained(str(unpacked / "again.safetensors")).weights
    assert list(again) == list(network.state_dict())
    assert not any(name.startswith(tuple(RENAMED)) for name in again)


def test_a_stopped_run_of_version_0_1_goes_on(unpacked: Path) -> None:
    settings = load_network(unpacked / "checkpoint.safetensors")[0].settings
    network = RegionProposalNetwork(settings)
    average = RegionProposalNetwork(settings)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    progress = load_state(unpacked / "state.safetensors", network, average, optimizer)
    assert (progress.epoch, progress.step) == (2, 7)
    assert positions(network.state_dict()) == positions(average.state_dict(), times=2)
    assert positions(network.state_dict()) == list(range(1, len(network.state_dict()) + 1))


def test_training_starts_from_the_bundled_model() -> None:
    """It was exported by version 0.1; a weight that is not found under its new name is an error."""
    start = read_trained("default")
    assert {name.split(".")[1] for name in start.weights if name.startswith("head.")} >= {"cls_tower", "bbox_tower"}


def test_other_names_stay() -> None:
    for name in ("head.deltas.weight", "backbone.head.windows.0.convolution.weight", "head.cls_tower.0.conv.weight"):
        assert current_name(name) == name
