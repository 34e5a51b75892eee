"""Initial weights from a trained network: the bundled model, an exported file, a checkpoint or a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from objectness.engines import METADATA_KEY, ModelDescription
from objectness.errors import InputError
from objectness.inference.model_files import DEFAULT, ONNX, OPENVINO, bundled_model, model_file
from objectness.rpn.checkpoint import load_network
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.renamed_weights import current_name
from objectness.rpn.settings import RPNSettings
from objectness.settings import from_dict

_PREFIXES = ("image/constant/", "network.")  # of a parameter's name in an exported graph: the loop's body, the network
_SIDE = 64  # pixels of an image for a trial
_COUNTER = "num_batches_tracked"  # of a batch norm: not in an exported graph, and without effect beside a momentum


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """Weights and settings of a trained network.

    Attributes:
        name: Its name in messages.
        settings: Its own.
        weights: By the names of its state dict.
        details: From its file: name, licence, training data ...
    """

    name: str
    settings: RPNSettings
    weights: Mapping[str, Tensor]
    details: Mapping[str, Any]


def read_trained(where: str) -> TrainedNetwork:
    """The network in ``where``: "default", an .onnx file, a .safetensors checkpoint or a run folder.

    Raises:
        InputError: missing, broken, not ours, or an exported file that no longer holds the weights one by one.
    """
    if where == DEFAULT:
        return _from_graph(bundled_model(), "the default model")
    path = model_file(Path(where))
    suffix = path.suffix.lower()
    if suffix == ONNX:
        return _from_graph(path.read_bytes(), str(path))
    if suffix == OPENVINO:
        raise InputError(
            f"{path}: training cannot start from an OpenVINO file; give the checkpoint that it was made of, or an "
            ".onnx file."
        )
    network, details = load_network(path)
    return TrainedNetwork(str(path), network.settings, network.state_dict(), details)


def adopt_settings(settings: RPNSettings, trained: TrainedNetwork) -> RPNSettings:
    """Network and objective of ``trained``, with the image size, selection and freezing of ``settings``."""
    theirs, backbone = trained.settings, settings.backbone
    return replace(
        theirs,
        images=replace(theirs.images, short_side=settings.images.short_side, long_side=settings.images.long_side),
        backbone=replace(
            theirs.backbone,
            pretrained=backbone.pretrained,
            weights=backbone.weights,
            frozen_stages=backbone.frozen_stages,
            frozen_norm=backbone.frozen_norm,
        ),
        select=settings.select,
        select_train=settings.select_train,
    )


def fill(network: RegionProposalNetwork, trained: TrainedNetwork) -> str:
    """Copy every weight of ``trained`` into ``network`` whose name and shape agree; the others stay as they are.

    Returns:
        One sentence: where the weights come from, and which of either network have no counterpart.

    Raises:
        InputError: their backbones are not the same.
    """
    own, name, theirs = network.state_dict(), network.settings.backbone.name, trained.settings.backbone.name
    if theirs != name:
        raise InputError(
            f"{trained.name}: its backbone is {theirs}, but this run's is {name}: start from a network on {name}, or "
            'with weights "imagenet".',
            arguments=("weights",),
        )
    taken = {key: weight for key, weight in trained.weights.items() if key in own and own[key].shape == weight.shape}
    network.load_state_dict(taken, strict=False)
    fresh = _parts(_used(network.settings) - taken.keys())
    unused = [part for part in _parts(trained.weights.keys() - taken.keys()) if part not in fresh]
    sentence = f"The network starts from {trained.name}"
    if described := trained.details.get("name"):
        sentence += f" ({described})"
    if fresh:
        verb = "starts" if len(fresh) == 1 else "start"
        sentence += f"; without a counterpart of its shape there, {_listed(fresh)} {verb} from scratch"
    if network.settings.anchors != trained.settings.anchors and "head.deltas" not in fresh:
        sentence += "; its head was trained for other anchors than this run's"
    if unused:
        sentence += f"; {_listed(unused)} of that one {'is' if len(unused) == 1 else 'are'} not used"
    return f"{sentence}."


def _from_graph(data: bytes, where: str) -> TrainedNetwork:
    """Raises InputError as :func:`read_trained`."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from onnx import numpy_helper

    try:
        model = onnx.load_model_from_string(data)
    except DecodeError:
        raise InputError(f"{where}: is damaged or no ONNX file; export it again.") from None
    texts = {entry.key: entry.value for entry in model.metadata_props}
    if METADATA_KEY not in texts:
        raise InputError(
            f"{where}: is a model, but not one that `objectness export` wrote, so training cannot start from it."
        )
    description = ModelDescription.from_json(texts[METADATA_KEY], where)
    try:
        settings = from_dict(RPNSettings, description.details.get("settings"))
    except InputError as error:
        raise InputError(f"{where}: training cannot start from it: {error}") from None
    wanted = RegionProposalNetwork(settings).state_dict()
    weights = {key: tensor for key, tensor in wanted.items() if key.endswith(_COUNTER)}
    for constant in model.graph.initializer:
        key = constant.name.removesuffix("/half")
        for prefix in _PREFIXES:
            key = key.removeprefix(prefix)
        key = current_name(key)
        if key in wanted and tuple(constant.dims) == wanted[key].shape:
            weights[key] = torch.from_numpy(numpy_helper.to_array(constant).copy()).to(wanted[key].dtype)
    missing = _used(settings) - weights.keys()
    if missing:
        raise InputError(
            f"{where}: training cannot start from it, because its weights are no longer apart ({min(missing)} is "
            "missing: int8 and older exports fold batch norms into convolutions); give the checkpoint that it was "
            "made of, or export that again in fp32."
        )
    return TrainedNetwork(where, settings, weights, {"name": description.name, **description.details})


def _used(settings: RPNSettings) -> set[str]:
    """Names of the parameters that the outputs depend on: a backbone may go on beyond its last map, a graph does not.

    Found by a backward pass: ``used_stages`` of a backbone counts whole stages, and some of timm's (xception41) have
    layers in their last one that no map needs.
    """
    network = RegionProposalNetwork(settings).eval().requires_grad_(True)
    with torch.enable_grad():
        maps = network(torch.zeros(1, 3, _SIDE, _SIDE)).features
        torch.stack([level.sum() for level in maps]).sum().backward()
    return {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is not None or not name.startswith("backbone.")
    }


def _parts(keys: Iterable[str]) -> list[str]:
    """The parts of a network that these weights belong to: layers of the head, and everything else as a whole."""
    found = {".".join(key.split(".")[: 2 if key.startswith("head.") else 1]) for key in keys}
    return sorted(found)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
