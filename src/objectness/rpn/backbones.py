"""Backbones: pixels to feature maps at declared strides.

Each one is an ``nn.Module`` that states ``strides`` and ``channels`` (one per map, finest first) and
``stages``: the modules of each stage in order, the unit of freezing; no map needs more than the first
``used_stages`` of them. B images.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import timm
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from objectness.errors import InputError, did_you_mean
from objectness.rpn.backbone_weights import initialise
from objectness.rpn.settings import BackboneSettings

_TRIAL_HW = (203, 333)
_THIN = 32  # pixels, the cell of the coarsest maps

Stages = Sequence[Sequence[nn.Module]]


class SequentialBackbone(nn.Module):
    """One map at the end of a chain of stages: the paper's VGG-16 and ZF.

    ``rounds_down``: a side of the map is the image's divided by the stride, rounded down, and not up.
    """

    def __init__(self, stages: Sequence[nn.Sequential], stride: int, channels: int, *, rounds_down: bool) -> None:
        super().__init__()
        self.rounds_down = rounds_down
        self.layers = nn.ModuleList(stages)
        self.strides = (stride,)
        self.channels = (channels,)
        self.used_stages = len(stages)

    @property
    def stages(self) -> Stages:
        """All modules of each stage."""
        return [list(stage.modules()) for stage in self.layers]

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        """The last stage's map, as a list of one; an image thinner than a cell is padded to one with the mean."""
        least = self.strides[0]
        missing = [torch.sym_max(least - side, 0) for side in pixels.shape[2:]]
        pixels = F.pad(pixels, (0, missing[1], 0, missing[0]))  # type: ignore[arg-type]  # symbols are counts too
        for stage in self.layers:
            pixels = stage(pixels)
        return [pixels]


class TimmBackbone(nn.Module):
    """Any timm model: its maps at the given strides."""

    rounds_down = False

    def __init__(self, name: str, strides: Sequence[int]) -> None:
        super().__init__()
        self.name = name
        self.body, available, channels = _timm_features(name)
        missing = [stride for stride in strides if stride not in available]
        if missing:
            raise InputError(
                f"Backbone {name} has no map of stride {missing[0]}: set rpn.backbone.strides to some of "
                f"{', '.join(map(str, sorted(set(available))))}."
            )
        # The deepest map of each stride: a transformer has several of the same.
        self._picked = [len(available) - 1 - available[::-1].index(stride) for stride in strides]
        self.used_stages = max(self._picked) + 1
        self.strides = tuple(strides)
        self.channels = tuple(channels[index] for index in self._picked)

    def refuse_misfits(self) -> None:
        """Refuse a model for a single image size, or with maps that do not fit the grid of the anchors.

        A trial image has sides that no stride divides; only shapes are computed.

        Raises:
            InputError: the model is one of these.
        """
        name, trial = self.name, copy.deepcopy(self.body).eval().to("meta")
        height, width = _TRIAL_HW
        wanted = "take another, e.g. resnet18 or mobilenetv2_100."
        try:
            with torch.no_grad():
                maps = trial(torch.zeros(1, 3, height, width, device="meta"))
        except NotImplementedError:  # it cannot compute bare shapes; nothing speaks against it
            return
        except (RuntimeError, AssertionError, ValueError, IndexError) as error:
            reason = (str(error).splitlines() or ["no reason given"])[0][:120]
            raise InputError(
                f"Backbone {name} does not take photographs of every size, here {height} x {width} ({reason}): {wanted}"
            ) from None
        for index, stride in zip(self._picked, self.strides, strict=True):
            map_hw = tuple(maps[index].shape[2:])
            least = (height // stride, width // stride)
            if not all(low <= cells <= low + 1 for cells, low in zip(map_hw, least, strict=True)):
                raise InputError(
                    f"Backbone {name} makes a map of {map_hw[0]} x {map_hw[1]} cells of {height} x {width} px where "
                    f"anchors of stride {stride} need {least[0]} x {least[1]} at least (its convolutions are not "
                    f"padded): {wanted}"
                )

    @property
    def stages(self) -> Stages:
        """The modules of each stage, children as entries of their own; a stage ends with the module of its map."""
        info: Any = self.body.feature_info
        ends = [_flat(name) for name in info.module_name()]
        stages: list[list[nn.Module]] = [[] for _ in ends]
        reached, inside = 0, False
        for name, module in self.body.named_modules():
            belongs = f"{_flat(name)}_".startswith(f"{ends[reached]}_")
            if inside and not belongs and reached + 1 < len(ends):
                reached += 1
                belongs = f"{_flat(name)}_".startswith(f"{ends[reached]}_")
            inside = belongs
            stages[reached].append(module)
        return stages

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        """The maps at ``strides``.

        Raises:
            InputError: the image is thinner than a window of this model.
        """
        try:
            maps = self.body(pixels)
        except RuntimeError:
            height, width = pixels.shape[2:]
            if min(height, width) >= _THIN:
                raise
            raise InputError(
                f"the backbone {self.name} takes no image as thin as {width} x {height} pixels (after resizing)."
            ) from None
        return [maps[index] for index in self._picked]


class WithinChannelNorm(nn.Module):
    """Local response normalisation over the 3 x 3 neighbours in the same channel: x / (1 + 5e-5 * mean of x^2) ^ 0.75.

    As in the released ZF (py-faster-rcnn, models/pascal_voc/ZF: local_size 3, alpha 0.00005, beta 0.75, norm_region
    WITHIN_CHANNEL). PyTorch's own layer is across channels. Neighbours beyond the map count as 0, as in Caffe.
    """

    def forward(self, features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """The normalised map."""
        return features / (1 + 5e-5 * F.avg_pool2d(features.square(), 3, stride=1, padding=1)) ** 0.75


Backbone: TypeAlias = SequentialBackbone | TimmBackbone


def vgg16() -> SequentialBackbone:
    """VGG-16 up to conv5_3: five stages, 13 convolutions, stride 16, 512 channels (paper, section 3.1)."""
    stages, before = [], 3
    for index, (width, depth) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))):
        layers: list[nn.Module] = [nn.MaxPool2d(kernel_size=2, stride=2)] if index else []
        for _ in range(depth):
            layers += [nn.Conv2d(before, width, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
            before = width
        stages.append(nn.Sequential(*layers))
    return SequentialBackbone(stages, stride=16, channels=512, rounds_down=True)


def zf() -> SequentialBackbone:
    """The Zeiler and Fergus model up to conv5: 5 convolutions, stride 16, 256 channels (paper, section 3.1).

    Its local response normalisation is that of the authors' released networks, within each channel.
    """
    stages = [
        nn.Sequential(nn.Conv2d(3, 96, 7, stride=2, padding=3), nn.ReLU(inplace=True), WithinChannelNorm()),
        nn.Sequential(
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.Conv2d(96, 256, 5, stride=2, padding=2),
            nn.ReLU(inplace=True),
            WithinChannelNorm(),
        ),
        nn.Sequential(nn.MaxPool2d(3, stride=2, padding=1), nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(inplace=True)),
        nn.Sequential(nn.Conv2d(384, 384, 3, padding=1), nn.ReLU(inplace=True)),
        nn.Sequential(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True)),
    ]
    return SequentialBackbone(stages, stride=16, channels=256, rounds_down=False)


def build_backbone(settings: BackboneSettings, *, load_weights: bool = True) -> tuple[Backbone, BackboneSettings, str]:
    """Build the backbone that the settings name.

    With loaded weights the first ``frozen_stages`` stages stay fixed; without any, nothing is frozen and the returned
    settings say 0.

    Args:
        settings: Name, strides and starting point.
        load_weights: False where a checkpoint follows, whose settings already say what is frozen.

    Returns:
        The backbone, its resulting settings, and one sentence on the weights that it starts from.

    Raises:
        InputError: an unknown name, a stride that the backbone does not have, weights that do not fit.
    """
    if settings.name in ("vgg16", "zf"):
        backbone: Backbone = vgg16() if settings.name == "vgg16" else zf()
        if settings.strides != backbone.strides:
            given = ", ".join(map(str, settings.strides))
            raise InputError(
                f"Backbone {settings.name} has one map, of stride 16, but rpn.backbone.strides is {given}: "
                "set it to 16."
            )
    else:
        backbone = TimmBackbone(settings.name, settings.strides)
        if load_weights:  # else a checkpoint follows, which was made with it
            backbone.refuse_misfits()
    loaded, sentence = initialise(backbone, settings) if load_weights else (True, "")
    if loaded:
        for stage in backbone.stages[: settings.frozen_stages]:
            for module in stage:
                for parameter in module.parameters(recurse=False):
                    parameter.requires_grad_(False)
    elif settings.frozen_stages or settings.frozen_norm:
        settings = replace(settings, frozen_stages=0, frozen_norm=False)
        sentence += " All of it is trained: without loaded weights there is nothing worth freezing."
    return backbone, settings, sentence


def _flat(name: str) -> str:
    """A module's name in one spelling: timm wraps ``blocks.0`` as ``model.blocks.0`` or ``blocks_0``."""
    return name.removeprefix("model.").replace(".", "_")


def _timm_features(name: str) -> tuple[nn.Module, list[int], list[int]]:
    """A timm model that gives its feature maps, their strides and their channels."""
    if name.split(".")[0] not in timm.list_models():
        raise InputError(f"Unknown backbone {name!r}: {did_you_mean(name, ['vgg16', 'zf', *timm.list_models()])[:300]}")
    try:
        try:  # a vision transformer takes any image size only when asked to
            body = timm.create_model(name, features_only=True, dynamic_img_size=True, dynamic_img_pad=True)
        except TypeError:
            body = timm.create_model(name, features_only=True)
    except InputError:
        raise
    except (RuntimeError, ValueError) as error:
        raise InputError(f"Backbone {name} cannot be used: timm says {str(error).splitlines()[0]!r}.") from None
    info: Any = body.feature_info
    return body, [int(stride) for stride in info.reduction()], [int(width) for width in info.channels()]
