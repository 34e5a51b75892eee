from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from objectness.errors import InputError
from objectness.rpn import backbones
from objectness.rpn.backbones import TimmBackbone, WithinChannelNorm, build_backbone, vgg16, zf
from objectness.rpn.settings import BackboneSettings


def receptive_field(layers: nn.Module, window: int = 3) -> int:
    """Pixels that a ``window`` x ``window`` of the last map sees."""
    field, jump = 1, 1
    sizes = [(m.kernel_size, m.stride) for m in layers.modules() if isinstance(m, nn.Conv2d | nn.MaxPool2d)]
    for kernel, stride in [*sizes, (window, 1)]:
        (side,) = {kernel} if isinstance(kernel, int) else set(kernel)
        (step,) = {stride} if isinstance(stride, int) else set(stride)
        field += (side - 1) * jump
        jump *= step
    return field


def test_vgg16_as_in_the_paper() -> None:
    backbone = vgg16()
    assert (backbone.strides, backbone.channels) == ((16,), (512,))
    convolutions = [m for m in backbone.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 13
    assert [m.out_channels for m in convolutions] == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    assert receptive_field(backbone) == 228
    assert [len(list(stage.children())) for stage in backbone.layers] == [4, 5, 7, 7, 7]


def test_zf_as_in_the_paper() -> None:
    backbone = zf()
    assert (backbone.strides, backbone.channels) == ((16,), (256,))
    convolutions = [m for m in backbone.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [96, 256, 384, 384, 256]
    assert receptive_field(backbone) == 171


def test_zf_normalises_within_each_channel() -> None:
    """The neighbours are those of the same channel: by hand, 9 of 300 squared in the middle, 4 of 9 in a corner."""
    assert not any(isinstance(module, nn.LocalResponseNorm) for module in zf().modules())
    assert sum(isinstance(module, WithinChannelNorm) for module in zf().modules()) == 2
    features = torch.zeros(1, 3, 3, 3)
    features[0, 0], features[0, 1, 1, 1] = 300.0, 2.0  # the first channel says nothing of the second
    found = WithinChannelNorm()(features)
    assert found[0, 0, 1, 1].item() == pytest.approx(300 / (1 + 5e-5 * 300**2) ** 0.75)
    assert found[0, 0, 0, 0].item() == pytest.approx(300 / (1 + 5e-5 * 300**2 * 4 / 9) ** 0.75)
    assert found[0, 1, 1, 1].item() == pytest.approx(2 / (1 + 5e-5 * 4 / 9) ** 0.75)


def test_map_sizes() -> None:
    """VGG pools by floor, ZF pads its strides; the paper's 60 x 40 lies between."""
    pixels = torch.zeros(1, 3, 600, 1000, device="meta")  # shapes only, nothing is computed
    (vgg_map,), (zf_map,) = vgg16().to("meta")(pixels), zf().to("meta")(pixels)
    assert vgg_map.shape == (1, 512, 37, 62)
    assert zf_map.shape == (1, 256, 38, 63)


def test_a_gradient_reaches_as_far_as_the_receptive_field() -> None:
    """The layers' sum is not taken on trust: ZF with averages for maxima, where every pixel counts."""
    backbone = zf()
    for stage in backbone.layers:
        for index, layer in enumerate(stage):
            if isinstance(layer, nn.MaxPool2d):
                stage[index] = nn.AvgPool2d(3, stride=2, padding=1)
            elif isinstance(layer, nn.Conv2d):
                nn.init.constant_(layer.weight, 1e-2)
            elif isinstance(layer, WithinChannelNorm):
                stage[index] = nn.Identity()
    pixels = torch.ones(1, 3, 320, 320, requires_grad=True)
    (feature_map,) = backbone(pixels)
    feature_map[0, 0, 9:12, 9:12].sum().backward()  # one 3 x 3 window, well inside
    assert pixels.grad is not None
    rows = pixels.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    assert int(rows[-1] - rows[0] + 1) == 171


@pytest.mark.parametrize(
    ("name", "strides", "channels"),
    [
        ("resnet18", (8, 16, 32), (128, 256, 512)),
        ("mobilenetv2_100", (8, 16, 32), (32, 96, 320)),
        ("test_vit", (16,), (64,)),
    ],
)
@torch.no_grad()
def test_timm_backbones_state_their_maps(name: str, strides: tuple[int, ...], channels: tuple[int, ...]) -> None:
    backbone = TimmBackbone(name, strides).eval()
    assert (backbone.strides, backbone.channels) == (strides, channels)
    maps = backbone(torch.rand(1, 3, 64, 96))
    assert [tuple(level.shape) for level in maps] == [
        (1, width, 64 // stride, 96 // stride) for stride, width in zip(strides, channels, strict=True)
    ]


def test_an_unknown_backbone_is_told_the_nearest() -> None:
    with pytest.raises(InputError, match=r"^Unknown backbone 'resnet81': did you mean 'resnet18'\?$"):
        build_backbone(BackboneSettings(name="resnet81"))
    with pytest.raises(InputError, match=r"did you mean 'vgg16'\?"):
        build_backbone(BackboneSettings(name="vgg-16"))


@pytest.mark.parametrize("name", ["test_resnet.nothing", "test_resnet.hf-hub:nobody/nothing"])
def test_an_unknown_variant_of_a_backbone(name: str) -> None:
    with pytest.raises(InputError, match=rf"^Backbone {name} cannot be used: .*nothing"):
        build_backbone(BackboneSettings(name=name))


def test_a_stride_that_the_backbone_does_not_have() -> None:
    message = r"^Backbone test_resnet has no map of stride 64: set rpn.backbone.strides to some of 2, 4, 8, 16, 32\.$"
    with pytest.raises(InputError, match=message):
        build_backbone(BackboneSettings(name="test_resnet", strides=(16, 64)))
    with pytest.raises(InputError, match=r"^Backbone vgg16 has one map, of stride 16, but .* is 8, 16: set it to 16"):
        build_backbone(BackboneSettings(strides=(8, 16)))


def frozen(backbone: nn.Module) -> set[str]:
    return {name for name, parameter in backbone.named_parameters() if not parameter.requires_grad}


def weights_of(backbone: nn.Module, path: Path) -> str:
    save_file({key: value.contiguous() for key, value in backbone.state_dict().items()}, path)
    return str(path)


def test_with_loaded_weights_vgg16_keeps_conv1_and_conv2(tmp_path: Path) -> None:
    path = weights_of(vgg16(), tmp_path / "vgg.safetensors")
    backbone, settings, sentence = build_backbone(BackboneSettings(weights=path))
    assert settings.frozen_stages == 2
    assert sentence == f"The backbone vgg16 starts from {path}."
    assert {name.split(".")[1] for name in frozen(backbone)} == {"0", "1"}
    assert len(frozen(backbone)) == 8  # weights and biases of four convolutions


def test_from_scratch_nothing_is_frozen() -> None:
    backbone, settings, sentence = build_backbone(BackboneSettings(name="zf", pretrained=False))
    assert settings.frozen_stages == 0
    assert frozen(backbone) == set()
    assert sentence.startswith("The backbone zf starts from scratch. All of it is trained")


def test_from_scratch_no_batch_norm_is_frozen_either() -> None:
    """A norm that keeps the statistics it was born with would let the signal grow from layer to layer."""
    given = BackboneSettings(name="test_resnet", pretrained=False, frozen_stages=0, frozen_norm=True)
    _, settings, sentence = build_backbone(given)
    assert not settings.frozen_norm
    assert "nothing worth freezing" in sentence


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit"])
def test_frozen_stages_of_a_timm_model_hold_all_up_to_a_map(name: str, tmp_path: Path) -> None:
    """Norms that hold an activation, and tokens that no layer holds, belong to their stage as well."""
    strides = (16,)
    path = weights_of(TimmBackbone(name, strides).body, tmp_path / "weights.safetensors")

    def build(stages: int) -> nn.Module:
        return build_backbone(BackboneSettings(name=name, strides=strides, weights=path, frozen_stages=stages))[0]

    assert frozen(build(0)) == set()
    backbone = build(1)
    fixed = frozen(backbone)
    assert fixed
    pixels = torch.rand(2, 3, 64, 64)
    # The first stage is fixed if and only if its map is cut from the graph.
    body = backbone.body
    first, last = body(pixels)[0], body(pixels)[-1]
    assert not first.requires_grad
    assert last.requires_grad
    all_parameters = {key for key, _ in backbone.named_parameters()}
    assert frozen(build(99)) == all_parameters


def test_a_frozen_norm_that_holds_its_activation_is_frozen_with_its_stage(tmp_path: Path) -> None:
    path = weights_of(TimmBackbone("mobilenetv2_100", (16,)).body, tmp_path / "weights.safetensors")
    settings = BackboneSettings(name="mobilenetv2_100", weights=path, frozen_stages=1)
    backbone = build_backbone(settings)[0]
    assert {name.removeprefix("body.").split(".")[0] for name in frozen(backbone)} == {"conv_stem", "bn1", "blocks"}
    assert {name.split(".")[2] for name in frozen(backbone) if "blocks" in name} == {"0"}


@pytest.mark.parametrize("name", ["vgg16", "zf"])
def test_a_side_thinner_than_a_cell_has_one(name: str) -> None:
    backbone, _, _ = build_backbone(BackboneSettings(name=name, pretrained=False), load_weights=False)
    (feature_map,) = backbone(torch.zeros(1, 3, 1, 48))
    assert tuple(feature_map.shape[2:]) == (1, 3)


@torch.no_grad()
def test_an_image_too_thin_for_the_windows_of_a_timm_model_is_refused_in_a_sentence() -> None:
    backbone = TimmBackbone("test_convnext", (16,)).eval()
    assert tuple(backbone(torch.zeros(1, 3, 64, 96))[0].shape[2:]) == (4, 6)
    with pytest.raises(InputError, match=r"^the backbone test_convnext takes no image as thin as 200 x 3 pixels"):
        backbone(torch.zeros(1, 3, 3, 200))


class _Unpadded(nn.Module):
    """Every convolution cuts a border off: 203 x 333 px come out as 24 x 41 cells of stride 8, not 25 x 41."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Conv2d(3, 3, 3, stride=2) for _ in range(3)))

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        return [self.layers(pixels)]


class _OneSize(nn.Module):
    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        assert pixels.shape[-1] == 224, "Input width (333) doesn't match model (224)."
        return [pixels[:, :, ::8, ::8]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (_OneSize(), r"Backbone odd does not take photographs of every size, here 203 x 333 \(Input width"),
        (
            _Unpadded(),
            r"Backbone odd makes a map of 24 x 40 cells of 203 x 333 px where .* 8 need 25 x 41",
        ),
    ],
)
def test_a_backbone_that_fits_no_photograph_is_refused_before_anything_is_made(
    body: nn.Module, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbones, "_timm_features", lambda name: (body, [8], [3]))
    settings = BackboneSettings(name="odd", strides=(8,), pretrained=False, frozen_stages=0)
    with pytest.raises(InputError, match=message):
        build_backbone(settings)
