"""Graphs that PyTorch exports: the network for a batch, and the choice of candidates for one image.

Two graphs rather than one, because how many candidates an image has depends on what is in it, and PyTorch exports
no loop over images whose results differ in length. ``postprocessing_graph`` joins them.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import onnx
import torch
from onnxscript import optimizer
from torch import Tensor, nn

from objectness.engines import INPUT
from objectness.export.postprocessing_graph import anchor_names, strip_traces
from objectness.export.suppress_warnings import only_errors
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.outputs import Outputs

_OPSET = 18
_SIDES = {"min": 1, "max": 16384}
EXAMPLE_HW = (192, 256)


class _BatchGraph(nn.Module):
    """RGB ``uint8 (B, H, W, 3)`` to the tensors of ``Outputs`` and the anchors of each level."""

    def __init__(self, network: RegionProposalNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        outputs = _answer(self.network, pixels)
        return (*_tensors(outputs).values(), *self.network.anchors(outputs.maps_hw))


class _OneImageGraph(nn.Module):
    """The same tensors with a batch of 1 to ``boxes_xyxy (n, 4)``, ``scores (n,)`` and ``levels (n,)``."""

    def __init__(self, network: RegionProposalNetwork, outputs: Outputs) -> None:
        super().__init__()
        self.network = network
        self.like = outputs

    def forward(self, pixels: Tensor, tensors: list[Tensor], anchors: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        outputs = _outputs(self.like, tensors)
        size_hw = (pixels.shape[1], pixels.shape[2])
        found = self.network.candidates(outputs, anchors, 0, size_hw, self.network.settings.select)
        return found.boxes_xyxy, found.scores, found.levels


def export_network(network: RegionProposalNetwork) -> Any:
    """The network's graph as ``onnx.ModelProto``, free of the exporter's notes; no size or threshold is in it."""
    pixels, tensors, anchors, _ = _example(network)
    return export_graph(
        _BatchGraph(network),
        (pixels,),
        [INPUT],
        [*tensors, *anchor_names(len(anchors))],
        {"pixels": {0: torch.export.Dim("batch", min=1, max=4096), **sides()}},
    )


def export_choice(network: RegionProposalNetwork) -> Any:
    """The choice's graph as ``onnx.ModelProto``, free of the exporter's notes; no weights are in it."""
    pixels, tensors, anchors, outputs = _example(network)
    free = torch.export.Dim.AUTO
    alone = [tensor[:1] for tensor in tensors.values()]
    return export_graph(
        _OneImageGraph(network, outputs),
        (pixels[:1], alone, anchors),
        [INPUT, *tensors, *anchor_names(len(anchors))],
        ["boxes_xyxy", "scores", "levels"],
        {
            "pixels": sides(),
            "tensors": [dict.fromkeys(range(1, tensor.dim()), free) for tensor in alone],
            "anchors": [{0: free} for _ in anchors],
        },
    )


def _example(network: RegionProposalNetwork) -> tuple[Tensor, dict[str, Tensor], list[Tensor], Outputs]:
    """Two black images, and what the network says of them: its tensors by name, and the anchors of each level."""
    pixels = torch.zeros((2, *EXAMPLE_HW, 3), dtype=torch.uint8)
    with torch.no_grad():
        outputs = _answer(network.eval(), pixels)
        anchors = network.anchors(outputs.maps_hw)
    return pixels, _tensors(outputs), anchors, outputs


def _answer(network: RegionProposalNetwork, pixels: Tensor) -> Outputs:
    """Outputs of the network for ``uint8 (B, H, W, 3)``, without the pixels, which are the graph's input anyway."""
    outputs: Outputs = network(pixels.permute(0, 3, 1, 2))
    return replace(outputs, pixels=None)


def sides() -> dict[int, Any]:
    """Height and width of the pixels, as sizes that are free."""
    return {1: torch.export.Dim("height", **_SIDES), 2: torch.export.Dim("width", **_SIDES)}


def export_graph(module: nn.Module, example: Any, inputs: list[str], outputs: list[str], shapes: Any) -> Any:
    """A module's graph as ``onnx.ModelProto``, its parameters under their own names."""
    program = torch.onnx.export(
        module.eval(),
        example,
        dynamo=True,
        opset_version=_OPSET,
        input_names=inputs,
        output_names=outputs,
        dynamic_shapes=shapes,
        verbose=False,
        optimize=False,
    )
    assert program is not None
    model = _tidied(program.model_proto, set(module.state_dict()))
    strip_traces(model)
    return model


def _tidied(model: Any, parameters: set[str]) -> Any:
    """The graph with its constants folded and every parameter under its own name, so that training can start from it.

    The optimizer would fold batch norms into convolutions and make one tensor of two that are equal; it leaves alone
    what a caller may give, and so the parameters are inputs while it works. A runtime folds them as it opens the file.
    """
    graph = model.graph
    for constant in graph.initializer:
        if constant.name in parameters:
            graph.input.append(onnx.helper.make_tensor_value_info(constant.name, constant.data_type, constant.dims))
    with only_errors():
        model = optimizer.optimize(model)
    inputs = [value for value in model.graph.input if value.name not in parameters]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    return model


def _tensors(outputs: Outputs) -> dict[str, Tensor]:
    """Every tensor of ``Outputs`` by name, whatever fields it has: lists of levels, single tensors, or None."""
    named: dict[str, Tensor] = {}
    for field in fields(outputs):
        value = getattr(outputs, field.name)
        if isinstance(value, Tensor):
            named[field.name] = value
        elif value is not None:
            named |= {f"{field.name}_{level}": tensor for level, tensor in enumerate(value)}
    return named


def _outputs(like: Outputs, tensors: list[Tensor]) -> Outputs:
    """``Outputs`` of the shape of ``like`` with other tensors in it."""
    named = dict(zip(_tensors(like), tensors, strict=True))
    values: dict[str, Any] = {}
    for field in fields(like):
        value = getattr(like, field.name)
        if isinstance(value, Tensor):
            values[field.name] = named[field.name]
        elif value is not None:
            values[field.name] = [named[f"{field.name}_{level}"] for level in range(len(value))]
    return replace(like, **values)
