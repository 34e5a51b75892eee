"""The network of an exported .onnx file alone: a file that gives its maps, and the weights of its second stage."""

from __future__ import annotations

from dataclasses import dataclass

from objectness.engines.dense_geometry import MapsOf
from objectness.engines.dense_graph import constant_names, maps_prefix_of, output_names, refinement_weights
from objectness.engines.graph import INPUT
from objectness.engines.onnx_bytes import float_constants, network_alone, value_names
from objectness.engines.refinement import RefinementWeights


@dataclass(frozen=True, eq=False)
class DenseOnnx:
    """A network alone.

    Attributes:
        model: ONNX file that gives its maps.
        maps_prefix: Name of the refinement maps, without the level.
        weights: Of the refinement head; None without one.
    """

    model: bytes
    maps_prefix: str
    weights: RefinementWeights | None


def dense_onnx(model: bytes, meaning: MapsOf, where: str) -> DenseOnnx:
    """The network of an exported .onnx file.

    Args:
        model: The bytes of the file.
        meaning: What its description says.
        where: The file, for messages.

    Raises:
        InputError: The file is damaged, or does not name its maps as exported ones do.
    """
    maps_prefix = maps_prefix_of(value_names(model, where))
    names = [name for kind in output_names(meaning, maps_prefix).values() for name in kind]
    constants = float_constants(model, constant_names(), where)
    weights = refinement_weights(constants, meaning, where)
    return DenseOnnx(network_alone(model, names, where, keep=INPUT), maps_prefix, weights)
