from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest
import timm
import torch
import torchvision
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import nn

from objectness.errors import InputError
from objectness.rpn import backbone_weights
from objectness.rpn.backbone_weights import initialise_from_scratch, load_weights_file
from objectness.rpn.backbones import TimmBackbone, build_backbone, vgg16, zf
from objectness.rpn.settings import BackboneSettings


def save(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    return path


def stir(model: nn.Module) -> nn.Module:
    """Random statistics too, so that a norm that was not loaded shows."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


@torch.no_grad()
def test_vgg16_in_torchvisions_order(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    tensors = {f"features.{key}": value for key, value in theirs.state_dict().items()}
    path = save(tmp_path / "vgg.safetensors", {**tensors, "classifier.0.weight": torch.zeros(3, 3)})
    ours = vgg16()
    load_weights_file(ours, path)
    pixels = torch.randn(1, 3, 48, 64)
    torch.testing.assert_close(ours(pixels)[0], theirs[:30](pixels))  # up to the ReLU of conv5_3


@torch.no_grad()
def test_mobilenet_in_torchvisions_order(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = stir(torchvision.models.mobilenet_v2())
    path = save(tmp_path / "mobilenet.safetensors", theirs.state_dict())
    ours = TimmBackbone("mobilenetv2_100", (8, 16, 32)).eval()
    load_weights_file(ours, path)
    pixels = torch.randn(1, 3, 64, 64)
    for found, upto in zip(ours(pixels), (7, 14, 18), strict=True):
        torch.testing.assert_close(found, theirs.features[:upto](pixels))


@torch.no_grad()
def test_resnet_by_torchvisions_names(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = stir(torchvision.models.resnet18())
    ours = TimmBackbone("resnet18", (8, 16)).eval()
    load_weights_file(ours, save(tmp_path / "resnet.safetensors", theirs.state_dict()))
    pixels = torch.randn(1, 3, 64, 64)
    stem = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(pixels))))
    eighth = theirs.layer2(theirs.layer1(stem))
    found = ours(pixels)
    torch.testing.assert_close(found[0], eighth)
    torch.testing.assert_close(found[1], theirs.layer3(eighth))


@torch.no_grad()
@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_vit"])
def test_timms_own_names(name: str, tmp_path: Path) -> None:
    """For features only timm renames and wraps; what it publishes has the plain names."""
    torch.manual_seed(0)
    whole = timm.create_model(name).eval()
    path = save(tmp_path / "timm.safetensors", whole.state_dict())
    ours = TimmBackbone(name, (16,)).eval()
    load_weights_file(ours, path)
    pixels = torch.randn(1, 3, 160, 160)
    again = TimmBackbone(name, (16,)).eval()
    load_weights_file(again, path)
    torch.testing.assert_close(ours(pixels)[0], again(pixels)[0])  # nothing is left to chance
    published = {backbone_weights._flat(key): value for key, value in whole.state_dict().items()}
    for key, value in ours.state_dict().items():
        assert torch.equal(value, published[backbone_weights._flat(key)]), key


@torch.no_grad()
def test_half_precision_files_become_float32(tmp_path: Path) -> None:
    given = {key: value.half() for key, value in zf().state_dict().items()}
    ours = zf()
    load_weights_file(ours, save(tmp_path / "half.safetensors", given))
    for key, value in ours.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, given[key].float())


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^No weights file .*nowhere.safetensors: give the path"):
        build_backbone(BackboneSettings(weights=str(tmp_path / "nowhere.safetensors")))


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff" * 100)
    with pytest.raises(InputError, match=r"photo.jpg is not a readable safetensors file .*: copy or download"):
        load_weights_file(zf(), path)


@pytest.mark.parametrize("tensors", [{}, {"layer.weight": torch.zeros(3)}])
def test_a_file_of_another_network(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = save(tmp_path / "other.safetensors", tensors)
    message = r"holds the weights of another network: layers.0.0.weight has shape \(96, 3, 7, 7\), the file"
    ours = zf()
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    with pytest.raises(InputError, match=message):
        load_weights_file(ours, path)
    assert all(torch.equal(value, before[key]) for key, value in ours.state_dict().items())


def test_zf_into_vgg(tmp_path: Path) -> None:
    path = save(tmp_path / "zf.safetensors", zf().state_dict())
    with pytest.raises(InputError, match="holds the weights of another network"):
        load_weights_file(vgg16(), path)


def refuse(*_: Any, **__: Any) -> NoReturn:
    raise socket.gaierror("Name or service not known")


@pytest.mark.parametrize("name", ["vgg16", "test_resnet"])
def test_weights_out_of_reach_are_a_sentence_and_a_start_from_scratch(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    backbone, settings, sentence = build_backbone(BackboneSettings(name=name, strides=(16,), frozen_stages=2))
    assert sentence.startswith(f"The backbone {name} starts from scratch: its ImageNet weights could not be reached (")
    assert "rpn.backbone.weights=FILE" in sentence
    assert "\n" not in sentence
    assert settings.frozen_stages == 0
    assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_nobody_offers_zf() -> None:
    _, _, sentence = build_backbone(BackboneSettings(name="zf"))
    assert sentence.startswith("The backbone zf starts from scratch: nobody offers its ImageNet weights")


@torch.no_grad()
def test_from_scratch_the_signal_neither_dies_nor_explodes() -> None:
    """Thirteen layers without a norm keep their scale; torch's own start would divide it by thousands."""
    torch.manual_seed(0)
    backbone = vgg16()
    pixels = torch.randn(1, 3, 64, 64)
    born = backbone(pixels)[0].std().item()
    initialise_from_scratch(backbone)
    scaled = backbone(pixels)[0].std().item()
    assert born < 0.05
    assert 0.3 < scaled < 10


def test_a_hub_that_takes_the_call_and_never_answers_is_given_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(backbone_weights, "_PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        _, _, sentence = build_backbone(BackboneSettings(name="test_resnet", strides=(16,)))
        assert time.monotonic() - started < 5
    assert "its ImageNet weights could not be reached (" in sentence
    assert "\n" not in sentence
    assert not constants.HF_HUB_OFFLINE, "a setting of the whole process was changed"


def test_weights_in_the_cache_are_used_without_asking_anybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    torch.manual_seed(0)
    whole = timm.create_model("test_resnet")
    described = timm.get_pretrained_cfg("test_resnet")
    assert described is not None
    repository = tmp_path / f"models--timm--{described.architecture}.{described.tag}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    (repository / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save(repository / "snapshots" / ("0" * 40) / "model.safetensors", whole.state_dict())
    backbone, _, sentence = build_backbone(BackboneSettings(name="test_resnet", strides=(16,)))
    assert sentence == f"The backbone test_resnet starts from ImageNet weights ({repository.name})."
    published = {backbone_weights._flat(key): value for key, value in whole.state_dict().items()}
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, published[backbone_weights._flat(key)]), key
