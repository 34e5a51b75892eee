"""The network that a run starts with: an RPN or a Faster R-CNN, from initial weights or from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from objectness.detector.checkpoint import is_detector, load_detector
from objectness.detector.network import FasterRCNN
from objectness.errors import InputError
from objectness.inference.model_files import CHECKPOINT, DEFAULT, model_file
from objectness.rpn.backbone_weights import imagenet_file
from objectness.rpn.network import RegionProposalNetwork, build_network
from objectness.training.settings import RunSettings
from objectness.training.warm_start import fill, read_trained

_ORIGIN = ("name", "licence", "training", "weights_sha256")
_FC6_FC7 = (("pre_logits.fc1", "pre_logits.fc2"), ("classifier.0", "classifier.3"))  # timm's names, torchvision's


def build_rpn(settings: RunSettings) -> tuple[RegionProposalNetwork, str, Mapping[str, Any]]:
    """The RPN, one sentence on its initial weights, and details of the network that they come from.

    Raises:
        InputError: settings that do not fit together, or initial weights that cannot be read or do not fit.
    """
    if not settings.initial_weights:
        return *build_network(settings.rpn), {}
    network = RegionProposalNetwork(settings.rpn)
    trained = read_trained(settings.initial_weights)
    origin = {key: trained.details[key] for key in _ORIGIN if key in trained.details}
    return network, fill(network, trained), origin


def build_detector(settings: RunSettings, class_names: Sequence[str]) -> tuple[FasterRCNN, str, Mapping[str, Any]]:
    """The Faster R-CNN of a run, as :func:`build_rpn`."""
    rpn, sentence, origin = build_rpn(settings)
    network = FasterRCNN(rpn, settings.detector, class_names, foreign_proposals=settings.scheme == "fast-rcnn")
    return network, f"{sentence} {_fill_box_head(network, settings)}", origin


def _fill_box_head(network: FasterRCNN, settings: RunSettings) -> str:
    """Copy the box head of initial weights that have one, or fc6 and fc7 of VGG-16; one sentence on it."""
    scratch = "The box head starts from scratch."
    if where := settings.initial_weights:
        path = None if where == DEFAULT else model_file(Path(where))
        if path is None or path.suffix.lower() != CHECKPOINT or not is_detector(path):
            return scratch
        trained, _ = load_detector(path)
        own, same = network.roi.state_dict(), trained.class_names == network.class_names
        taken = {
            key: weight
            for key, weight in trained.roi.state_dict().items()
            if key in own and own[key].shape == weight.shape and (same or not key.startswith("box_predictor"))
        }
        network.roi.load_state_dict(taken, strict=False)
        return "Its box head goes on." if len(taken) == len(own) else "Its box head goes on where shapes and names fit."
    head, backbone = settings.detector.head, settings.rpn.backbone
    if backbone.name != "vgg16" or not head.pretrained or not (backbone.weights or backbone.pretrained):
        return scratch
    try:
        given = load_file(backbone.weights or imagenet_file(backbone.name))
    except (OSError, SafetensorError):
        return scratch
    layers = [layer for layer in network.roi.box_head if isinstance(layer, nn.Linear)]
    for names in _FC6_FC7:
        found = [given[f"{name}.{kind}"] for name in names for kind in ("weight", "bias") if f"{name}.{kind}" in given]
        own = [parameter for layer in layers for parameter in (layer.weight, layer.bias)]
        if [weight.numel() for weight in found] == [parameter.numel() for parameter in own]:
            for weight, parameter in zip(found, own, strict=True):
                parameter.data.copy_(weight.reshape(parameter.shape))
            return "fc6 and fc7 start from ImageNet weights."
    return scratch


def require_classes(network: FasterRCNN, class_names: Sequence[str], where: Path) -> None:
    """Raises InputError where the data set no longer has the classes that a detector was trained for."""
    if network.class_names != tuple(class_names):
        raise InputError(
            f"{where} was trained for the classes {', '.join(network.class_names)}, and its data now have "
            f"{', '.join(class_names)}: put them back, or begin a run of its own that starts from its weights.",
            arguments=("weights",),
        )
