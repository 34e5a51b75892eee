"""The network of a file that OpenVINO has read, alone: a model of its maps, and the weights of its second stage.

OpenVINO keeps the names that values and constants have in ONNX, also in an .xml file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from objectness.engines.dense_geometry import MapsOf
from objectness.engines.dense_graph import constant_names, maps_prefix_of, output_names, refinement_weights
from objectness.engines.graph import INPUT
from objectness.engines.refinement import RefinementWeights
from objectness.errors import InputError
from objectness.telemetry import import_openvino

_HALVED = "_compressed"  # what OpenVINO calls a constant that it stores in half precision, behind its name
_WEIGHT, _BIAS = ".weight", ".bias"
_BETWEEN = ("Convert", "Transpose", "MatMul", "Multiply")  # of a weight and the addition of its bias
_MOST_DEPTH = 16  # of models inside models, and of conversions behind each other


@dataclass(frozen=True, eq=False)
class DenseOpenVINO:
    """A network alone.

    Attributes:
        model: ``openvino.Model`` that gives its maps.
        maps_prefix: Name of the refinement maps, without the level.
        weights: Of the refinement head; None without one.
    """

    model: Any
    maps_prefix: str
    weights: RefinementWeights | None


def dense_openvino(model: Any, meaning: MapsOf, where: str) -> DenseOpenVINO:
    """The network of an exported file.

    Args:
        model: ``openvino.Model``, as read.
        meaning: What its description says.
        where: The file, for messages.

    Raises:
        InputError: It does not name its maps as exported ones do.
    """
    values = {name: port for node in model.get_ops() for port in node.outputs() for name in port.get_names()}
    maps_prefix = maps_prefix_of(values)
    names = [name for kind in output_names(meaning, maps_prefix).values() for name in kind]
    missing = [name for name in names if name not in values]
    if missing:
        raise InputError(
            f"{where}: its graph has no value named {missing[0]}, as the graphs of `objectness export` have, so it "
            "runs on whole images only; export it again."
        )
    wanted = set(constant_names())
    found = {node.get_friendly_name().removesuffix(_HALVED): node for node in _constants(model)}
    constants = {name: np.asarray(node.get_data(), np.float32) for name, node in found.items() if name in wanted}
    for name in wanted - constants.keys():
        weight = name.removesuffix(_BIAS) + _WEIGHT
        # A bias of zeros, as in a network that was not trained, is dropped at export or as OpenVINO reads the file.
        if name.endswith(_BIAS) and weight in constants and not _has_bias(found[weight]):
            constants[name] = np.zeros(constants[weight].shape[:1], np.float32)
    weights = refinement_weights(constants, meaning, where)
    pixels = [node for node in model.get_parameters() if INPUT in node.output(0).get_names()]
    alone = import_openvino().Model([values[name] for name in names], pixels, "maps")
    return DenseOpenVINO(alone, maps_prefix, weights)


def _has_bias(node: Any, depth: int = 0) -> bool:
    """Whether something is added to a product with this weight; the product may be scaled before (``Gemm`` of ONNX)."""
    behind = [port.get_node() for port in node.output(0).get_target_inputs()]
    added = (other for other in behind if other.get_type_name() == "Add")
    passed = (other for other in behind if other.get_type_name() in _BETWEEN)
    return (
        depth > _MOST_DEPTH
        or not all(any(_is_zero(port) for port in other.inputs()) for other in added)
        or any(_has_bias(other, depth + 1) for other in passed)
    )


def _is_zero(port: Any, depth: int = 0) -> bool:
    """Whether an input is a constant of zeros, or a multiple of one."""
    node = port.get_source_output().get_node()
    if node.get_type_name() == "Constant":
        return not np.any(node.get_data())
    scaled = node.get_type_name() in ("Convert", "Multiply") and depth < _MOST_DEPTH
    return scaled and any(_is_zero(other, depth + 1) for other in node.inputs())


def _constants(model: Any, depth: int = 0) -> Iterator[Any]:
    """The constants of a model and of the loops inside it."""
    for node in model.get_ops():
        if node.get_type_name() == "Constant":
            yield node
        elif node.get_type_name() == "Loop" and depth < _MOST_DEPTH:
            yield from _constants(node.get_function(), depth + 1)
