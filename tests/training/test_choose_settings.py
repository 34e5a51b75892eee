from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from objectness.errors import InputError
from objectness.rpn.checkpoint import load_network, save_network
from objectness.rpn.network import RegionProposalNetwork
from objectness.settings import override
from objectness.training import run
from objectness.training.choose_settings import choose_settings
from objectness.training.recipes import fine_tune, recipe, small, task_aligned
from objectness.training.run_config import RunConfig
from objectness.training.settings import RunSettings
from objectness.training.warm_start import fill, read_trained


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A checkpoint of the standard objective on a tiny backbone, with an image size of its own."""
    settings = small().rpn
    settings = replace(
        settings,
        images=replace(settings.images, short_side=448),
        backbone=replace(settings.backbone, name="test_resnet", strides=(16,), pretrained=False, pyramid_channels=0,
                         extra_levels=0),
        head=replace(settings.head, channels=32),
        anchors=replace(settings.anchors, sizes=(24.0, 48.0)),
    )  # fmt: skip
    torch.manual_seed(3)
    details = {"name": "mine", "licence": "CC0", "epoch": 7}
    save_network(tmp_path / "mine.safetensors", RegionProposalNetwork(settings), details)
    return tmp_path / "mine.safetensors"


@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_without_a_network_to_start_from_the_whole_recipe(weights: str) -> None:
    settings = choose_settings(None, weights)
    expected = override(task_aligned(), [f"rpn.backbone.pretrained={'true' if weights == 'imagenet' else 'false'}"])
    assert settings == expected
    assert choose_settings("small", weights).recipe == "small"


def test_recipes_start_as_they_did() -> None:
    for name in ("small", "task-aligned", "paper-vgg16", "paper-zf", "fpn-resnet50"):
        assert choose_settings(name, None) == recipe(name)
        assert not recipe(name).initial_weights


def test_fine_tuning_takes_the_network_of_what_it_starts_from(trained: Path) -> None:
    settings = choose_settings(None, str(trained), ["rpn.loss.box_weight=7"])
    theirs = load_network(trained)[0].settings
    assert (settings.recipe, settings.initial_weights) == ("fine-tune", str(trained))
    assert settings.rpn.head == theirs.head
    assert settings.rpn.backbone.name == "test_resnet"
    assert settings.rpn.loss == replace(theirs.loss, box_weight=7)
    assert settings.rpn.images.short_side == fine_tune().rpn.images.short_side == 384
    assert settings.optimizer == fine_tune().optimizer


def test_another_recipe_brings_its_own_network(trained: Path) -> None:
    settings = choose_settings("small", str(trained))
    assert settings == replace(small(), initial_weights=str(trained))


@pytest.mark.parametrize(
    "change",
    [
        "rpn.backbone.name=resnet18",
        "rpn.backbone.pretrained=false",
        "rpn.backbone.weights=mine.safetensors",
        "rpn.backbone.pretrained=true",
    ],
)
def test_who_changes_the_backbone_has_nothing_to_fine_tune(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "objectness.training.choose_settings.read_trained", lambda where: pytest.fail("nothing should be read")
    )
    assert choose_settings(None, None, [change]) == override(task_aligned(), [change])


@pytest.mark.parametrize("change", ["rpn.backbone.frozen_stages=2", "rpn.backbone.frozen_norm=true"])
def test_freezing_a_part_of_the_backbone_is_fine_tuning(change: str) -> None:
    settings = choose_settings(None, None, [change])
    assert (settings.recipe, settings.initial_weights) == ("fine-tune", "default")


def test_a_start_among_the_settings_is_fine_tuned_too(trained: Path) -> None:
    asked = choose_settings(None, None, [f"initial_weights={trained}"])
    assert asked == choose_settings(None, str(trained))
    assert asked.rpn.anchors.sizes == (24, 48)


def test_a_head_for_other_anchors_is_told(trained: Path) -> None:
    settings = choose_settings(None, str(trained), ["rpn.anchors.sizes=8,16"])
    network = RegionProposalNetwork(settings.rpn)
    assert "its head was trained for other anchors" in fill(network, read_trained(str(trained)))
    same = RegionProposalNetwork(choose_settings(None, str(trained)).rpn)
    assert "trained for other anchors" not in fill(same, read_trained(str(trained)))


def test_a_start_that_is_not_there() -> None:
    with pytest.raises(InputError, match="no such model file"):
        choose_settings(None, "nowhere.onnx")


@pytest.mark.slow
def test_a_run_begins_as_its_start_and_says_so_for_good(trained: Path, photographs: Path, tmp_path: Path) -> None:
    tiny = ["rpn.images.short_side=96", "augment.mosaic=0", "augment.crop=0", "loop.batch_size=2", "loop.workers=0",
            "loop.steps=1", "loop.amp=false"]  # fmt: skip
    settings = choose_settings(None, str(trained), tiny)
    prepared = run.prepare(RunConfig(photographs, settings))
    expected = load_network(trained)[0].state_dict()
    for key, value in prepared.network.state_dict().items():
        assert torch.equal(value, expected[key]), key
    said: list[str] = []
    run.start(prepared, tmp_path / "run", notify=said.append)
    assert said[0] == f"The network starts from {trained} (mine)."
    assert json.loads((tmp_path / "run" / "config.json").read_text())["settings"]["initial_weights"] == str(trained)
    trained.unlink()
    run.resume(tmp_path / "run")
    _, details = load_network(tmp_path / "run" / "last.safetensors")
    assert details["start"] == {"name": "mine", "licence": "CC0"}


def test_frozen_stages_stay_as_the_start_has_them(trained: Path, photographs: Path) -> None:
    settings = choose_settings(None, str(trained), ["rpn.backbone.frozen_stages=2"])
    network = run.prepare(RunConfig(photographs, settings)).network
    first, *_, last = network.backbone.stages
    assert not any(p.requires_grad for module in first for p in module.parameters(recurse=False))
    assert all(p.requires_grad for module in last for p in module.parameters(recurse=False))
    expected = load_network(trained)[0].state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())


def test_old_configurations_name_no_start() -> None:
    assert RunSettings().initial_weights == ""
