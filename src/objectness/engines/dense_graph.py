"""An exported graph without its end as a dense engine, for every runtime. N anchors of a level, K logits an anchor."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.engines.dense import Maps
from objectness.engines.dense_geometry import MapsOf, maps_of
from objectness.engines.description import ModelDescription
from objectness.engines.graph import INPUT, Run
from objectness.engines.refinement import RefinementWeights, sigmoid
from objectness.errors import InputError

Floats = NDArray[np.float32]

_PREFIX = "image/constant/network.refinement."
_LAYERS = (("hidden.0",), ("hidden.2",), ("predictor", "answer"))  # "answer" in files of version 0.1
_DELTA_SCALE = "delta_scale"
_REFINEMENT_MAPS = ("refinement_maps", "detail")  # "detail" likewise


class DenseGraph:
    """A graph that gives a network's maps, as a ``DenseEngine``.

    Args:
        run: As of ``GraphEngine``; several threads call it at once.
        description: Of the file.
        maps_prefix: Name of the refinement maps, without the level.
        weights: Of the refinement head; None without one.
        where: The file, for messages.
        shrinking: The same as ``run``, which keeps no memory at its end; None where ``run`` keeps none.

    Raises:
        InputError: The description has no settings.
    """

    def __init__(
        self,
        run: Run,
        description: ModelDescription,
        maps_prefix: str,
        weights: RefinementWeights | None,
        where: str,
        shrinking: Run | None = None,
    ) -> None:
        self._run = run
        self._shrinking = shrinking
        self.description = description
        self._meaning = maps_of(description, where)
        self.geometry = self._meaning.geometry
        self._names = output_names(self._meaning, maps_prefix)
        self._weights = weights

    def maps(self, pixels: NDArray[np.uint8]) -> Maps:
        """The maps of a window ``uint8 (H, W, 3)``; see ``DenseEngine``."""
        names = list(chain.from_iterable(self._names.values()))
        found = dict(zip(names, self._run({INPUT: pixels[None]}, names), strict=True))
        scores, deltas, anchors = [], [], []
        k = self._meaning.per_cell
        for level in range(len(self.geometry.strides)):
            own = {kind: found[at[level]] for kind, at in self._names.items() if level < len(at)}
            places = _checked(own["anchors"], f"anchors_{level}", (None, 4)).reshape(-1, 4)
            height, width = _map_hw(places, k, level)
            shape = (height, width, k)
            parts = {
                kind: _checked(own[kind], f"{kind}_{level}", (1, len(places), sides))[0]
                for kind, sides in (("logits", 2 if self._meaning.settings.head.two_class else 1), ("quality", 1))
                if kind in own
            }
            scores.append(_ranking_scores(parts, self._meaning).reshape(shape))
            deltas.append(_checked(own["deltas"], f"deltas_{level}", (1, len(places), 4)).reshape(*shape, 4))
            anchors.append(places.reshape(*shape, 4))
        features = []
        for level, name in enumerate(self._names["refinement"]):
            hw = scores[level].shape[:2]
            features.append(_checked(found[name], name, (1, *hw, self._meaning.settings.refinement.channels))[0])
        return Maps(scores, deltas, anchors, features)

    def rest(self) -> None:
        """Give back the memory of the last windows; see ``DenseEngine``."""
        if self._shrinking is not None:
            side = max(self.geometry.strides)
            smallest = np.zeros((1, side, side, 3), np.uint8)
            self._shrinking({INPUT: smallest}, self._names["deltas"])

    def refine(self, features: Floats, scores: Floats) -> tuple[Floats, Floats]:
        """Deltas ``(R, 4)`` and corrected scores ``(R,)`` of boxes; see ``DenseEngine``."""
        if self._weights is None:
            raise ValueError("This network has no refinement head.")
        return self._weights.correct(features, scores)


def output_names(meaning: MapsOf, maps_prefix: str) -> dict[str, list[str]]:
    """Names of the values that are read of a graph, by kind, one for each level."""
    levels, use = range(len(meaning.geometry.strides)), meaning.settings.localization_quality.use
    names = {"anchors": levels, "deltas": levels}
    if use != "alone":
        names["logits"] = levels
    if use != "none":
        names["quality"] = levels
    found = {kind: [f"{kind}_{level}" for level in own] for kind, own in names.items()}
    return found | {"refinement": [f"{maps_prefix}_{level}" for level in range(meaning.read_levels)]}


def maps_prefix_of(names: Container[str]) -> str:
    """How a graph whose values have these names calls the maps of the refinement head."""
    return next((prefix for prefix in _REFINEMENT_MAPS if f"{prefix}_0" in names), _REFINEMENT_MAPS[0])


def constant_names() -> list[str]:
    """Names of the constants that ``refinement_weights`` reads."""
    layers = [f"{layer}.{part}" for names in _LAYERS for layer in names for part in ("weight", "bias")]
    return [f"{_PREFIX}{name}" for name in (*layers, _DELTA_SCALE)]


def refinement_weights(constants: Mapping[str, Floats], meaning: MapsOf, where: str) -> RefinementWeights | None:
    """The weights of the refinement head among a graph's constants; None where it has no such head.

    Raises:
        InputError: Some are missing, or do not fit one another.
    """
    if meaning.geometry.refinement is None:
        return None
    own = meaning.settings.refinement
    try:
        layers = [_layer(constants, names) for names in _LAYERS]
        weights = RefinementWeights(tuple(layers[:-1]), layers[-1], constants[f"{_PREFIX}{_DELTA_SCALE}"])
        if weights.inputs != own.channels * own.grid**2:
            raise ValueError("its first layer has another width than its settings say")
    except KeyError as error:
        raise InputError(
            f"{where}: its second stage has no constant {error.args[0]}, so it runs on whole images only; export it "
            "again."
        ) from None
    except ValueError as error:
        raise InputError(f"{where}: its second stage cannot be read ({error}); export it again.") from None
    return weights


def _layer(constants: Mapping[str, Floats], names: Sequence[str]) -> tuple[Floats, Floats]:
    name = next((name for name in names if f"{_PREFIX}{name}.weight" in constants), names[0])
    return constants[f"{_PREFIX}{name}.weight"], constants[f"{_PREFIX}{name}.bias"]


def _ranking_scores(parts: Mapping[str, Floats], meaning: MapsOf) -> Floats:
    """Probabilities ``(N,)`` that rank boxes, as ``objectness.rpn.extensions.localization_quality.ranking_scores``."""
    use = meaning.settings.localization_quality.use
    if use == "alone":
        return sigmoid(parts["quality"][:, 0])
    logits = parts["logits"]
    objectness = sigmoid(logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0])
    if use == "none":
        return objectness
    joined: Floats = np.sqrt(objectness * sigmoid(parts["quality"][:, 0]))
    return joined


def _map_hw(anchors_xyxy: Floats, per_cell: int, level: int) -> tuple[int, int]:
    """(height, width) of a level's map: the first anchors of the cells of one row lie equally low."""
    tops = anchors_xyxy[::per_cell, 1]
    width = int(np.count_nonzero(tops == tops[0])) if len(tops) else 0
    if not width or len(anchors_xyxy) % (width * per_cell):
        raise InputError(f"the model gives anchors_{level} that are no grid of {per_cell} a cell; export it again.")
    return len(anchors_xyxy) // (width * per_cell), width


def _checked(value: Any, name: str, shape: tuple[int | None, ...]) -> Floats:
    """An output, if its type and shape are those promised: an untrusted file may give anything."""
    fits = isinstance(value, np.ndarray) and value.dtype == np.float32 and value.ndim == len(shape)
    if not (fits and all(wanted in (None, found) for wanted, found in zip(shape, value.shape, strict=True))):
        found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else "no array"
        wanted = ", ".join("N" if side is None else str(side) for side in shape)
        raise InputError(f"the model gives {found} as {name}, expected float32 ({wanted}); export it again.")
    array: Floats = value
    return array
