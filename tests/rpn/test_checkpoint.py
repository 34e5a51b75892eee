from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from objectness.errors import InputError
from objectness.rpn.checkpoint import load_network, read_description, save_network
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.settings import RPNSettings, SelectSettings
from objectness.settings import to_dict

Make = Callable[..., RegionProposalNetwork]


@torch.no_grad()
def test_a_round_trip_gives_the_same_network(make_network: Make, tiny_settings: RPNSettings, tmp_path: Path) -> None:
    network = make_network(replace(tiny_settings, select=SelectSettings(post_nms_top_n=77))).train()
    pixels = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    network(pixels)  # the norms' statistics are part of it
    network.eval()
    path = tmp_path / "net.safetensors"
    save_network(path, network, {"name": "tiny", "epoch": 3})
    loaded, details = load_network(path)
    assert details == {"name": "tiny", "epoch": 3}
    assert loaded.settings == network.settings
    assert not loaded.training
    before, after = network(pixels), loaded(pixels)
    assert torch.equal(before.logits[0], after.logits[0])
    assert torch.equal(before.deltas[0], after.deltas[0])
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]  # nothing half-written is left


def test_channels_last_weights_are_the_same_weights(make_network: Make, tmp_path: Path) -> None:
    network = make_network()
    expected = network.head.conv[0].conv.weight.detach().clone()
    path = tmp_path / "net.safetensors"
    save_network(path, network.to(memory_format=torch.channels_last), {})  # type: ignore[call-overload]
    assert torch.equal(load_network(path)[0].head.conv[0].conv.weight, expected)


def test_what_was_frozen_is_frozen_again(tiny_settings: RPNSettings, make_network: Make, tmp_path: Path) -> None:
    """And the file of the starting weights need not be there any more."""
    start = tmp_path / "start.safetensors"
    save_file(make_network().backbone.body.state_dict(), start)
    backbone = replace(tiny_settings.backbone, weights=str(start), frozen_stages=1)
    network = make_network(replace(tiny_settings, backbone=backbone))
    fixed = [name for name, p in network.named_parameters() if not p.requires_grad]
    assert fixed
    save_network(tmp_path / "net.safetensors", network, {})
    start.unlink()
    loaded, _ = load_network(tmp_path / "net.safetensors")
    assert [name for name, p in loaded.named_parameters() if not p.requires_grad] == fixed


@pytest.fixture
def saved(make_network: Make, tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    save_network(path, make_network(), {"name": "tiny"})
    return path


def rewrite(path: Path, metadata: dict[str, str] | None) -> None:
    save_file(load_file(path), path, metadata=metadata)


def test_the_description_alone(saved: Path, tiny_settings: RPNSettings) -> None:
    assert read_description(saved) == {"format": 1, "settings": to_dict(tiny_settings), "details": {"name": "tiny"}}


def test_a_missing_file(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.safetensors", tmp_path):
        with pytest.raises(InputError, match=r"^No checkpoint .*: give a .safetensors file that `objectness train`"):
            load_network(path)


@pytest.mark.parametrize("kept", [0, 4, 50, 5000, -1])
def test_a_truncated_file(kept: int, saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"net.safetensors is not a readable safetensors file .*: copy it again"):
        load_network(saved)


@pytest.mark.parametrize(
    "metadata", [None, {"format": "pt"}, {"objectness": "no json"}, {"objectness": "[1]"}, {"objectness": "{}"}]
)
def test_a_safetensors_file_that_is_not_ours(metadata: dict[str, str] | None, saved: Path) -> None:
    rewrite(saved, metadata)
    with pytest.raises(InputError, match="but not a checkpoint that `objectness train` wrote: give one of these"):
        load_network(saved)


def test_a_later_format(saved: Path) -> None:
    rewrite(saved, {"objectness": json.dumps({"format": 2, "all": "new"})})
    with pytest.raises(InputError, match="has checkpoint format 2, but this version reads 1: update objectness"):
        load_network(saved)


def test_settings_that_this_version_does_not_know(saved: Path) -> None:
    described = read_description(saved)
    described["settings"]["head"]["chanels"] = 3
    rewrite(saved, {"objectness": json.dumps(described)})
    message = r"net.safetensors cannot be read by this version: Unknown setting head.chanels: did you mean 'channels'\?"
    with pytest.raises(InputError, match=message):
        load_network(saved)


def test_settings_of_another_network(saved: Path) -> None:
    described = read_description(saved)
    described["settings"]["head"]["channels"] = 48
    rewrite(saved, {"objectness": json.dumps(described)})
    with pytest.raises(InputError, match="the weights do not fit the network that the file describes") as caught:
        load_network(saved)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_before_the_newer_settings_loads_as_it_was(make_network: Make, tmp_path: Path) -> None:
    network, path = make_network(), tmp_path / "old.safetensors"
    save_network(path, network, {"name": "old"})
    described = read_description(path)
    newer = {
        "match": ["assigner", "atss_top_k"],
        "sample": ["bins"],
        "task_aligned": ["unlabelled_weight", "unlabelled_score"],
    }
    for part in ("oln", "localization_quality"):
        del described["settings"][part]
    for part, names in newer.items():
        for name in names:
            del described["settings"][part][name]
    save_file(load_file(path), path, metadata={"objectness": json.dumps(described)})
    loaded, _ = load_network(path)
    assert loaded.settings == network.settings
    assert loaded.settings.localization_quality.use == "none"


@pytest.mark.parametrize(
    "group",
    [
        {"head": {"channels": 8192, "convolutions": 64}},
        {"head": {"channels": 8192, "tower_convolutions": 64}},
        {"backbone": {"pyramid_channels": 8192}},
        {"refinement": {"grid": 64, "channels": 8192, "hidden": 8192}},
        {"backbone": {"name": "vit_giant_patch14_clip_224", "strides": [14]}},
        {"head": {"channels": 8192}, "anchors": {"sizes": [1.0] * 1000, "ratios_height_over_width": [1.0]}},
    ],
)
def test_a_small_file_that_describes_a_huge_network_is_refused_while_it_is_built(
    group: dict[str, dict[str, int]], saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = read_description(saved)
    for name, values in group.items():
        described["settings"][name] |= values
    rewrite(saved, {"objectness": json.dumps(described)})
    monkeypatch.setattr("objectness.rpn.checkpoint._MOST_LEFT_OUT", 1_000_000)
    monkeypatch.setattr(RegionProposalNetwork, "load_state_dict", lambda *_: pytest.fail("it was built"))
    with pytest.raises(InputError, match=r"describe a network far larger than the file of [\d,]+ bytes; copy it again"):
        load_network(saved)


def test_a_network_for_which_there_is_no_memory_is_one_sentence(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: object, **__: object) -> None:
        raise RuntimeError("can't allocate memory: you tried to allocate 409600000000 bytes.")

    monkeypatch.setattr("objectness.rpn.checkpoint.RegionProposalNetwork", build)
    with pytest.raises(InputError, match=r"describe a network that cannot be built .can't allocate memory"):
        load_network(saved)


def test_a_description_that_is_nested_too_deeply_is_one_sentence(saved: Path) -> None:
    rewrite(saved, {"objectness": "[" * 100_000})
    with pytest.raises(InputError, match="but not a checkpoint that `objectness train` wrote"):
        read_description(saved)
