"""A graph's raw outputs as maps, and files that hold something else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from objectness.engines import CANDIDATE_OUTPUTS, GraphEngine, ModelDescription
from objectness.engines.dense_geometry import maps_of
from objectness.engines.dense_graph import DenseGraph, output_names, refinement_weights
from objectness.engines.graph import GraphSignature
from objectness.errors import InputError

SETTINGS: dict[str, Any] = {
    "backbone": {"strides": [8, 16]},
    "anchors": {"sizes": [16, 32, 64, 128], "ratios_height_over_width": [1]},
    "head": {"two_class": False},
}


def description(settings: Any = SETTINGS, **details: Any) -> ModelDescription:
    return ModelDescription("tiny", 32, 64, details={"settings": settings, "reach": 32, **details})


def outputs(two_class: bool = False) -> dict[str, np.ndarray]:
    """Maps of 2 x 3 and 1 x 2 cells, two anchors each; scores of the first rise along the cells."""
    found = {}
    for level, (stride, (height, width)) in enumerate(((8, (2, 3)), (16, (1, 2)))):
        ys, xs = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
        centres = (np.stack([xs, ys], axis=-1).reshape(-1, 1, 2) + 0.5) * stride
        sizes = np.array([16.0, 32.0])[:, None] * 4**level
        anchors = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=-1).reshape(-1, 4)
        count = len(anchors)
        found |= {f"anchors_{level}": anchors, f"deltas_{level}": np.arange(4 * count).reshape(1, count, 4)}
        logits = np.arange(count).reshape(1, count, 1)
        found[f"logits_{level}"] = np.concatenate([0 * logits + 1, logits], axis=2) if two_class else logits
        found[f"quality_{level}"] = -logits
    return {name: value.astype(np.float32) for name, value in found.items()}


def engine(given: dict[str, np.ndarray], of: ModelDescription, asked: list[str] | None = None) -> DenseGraph:
    def run(inputs: Any, names: Any) -> list[np.ndarray]:
        if asked is not None:
            asked.extend(names)
        return [given[name] for name in names]

    return DenseGraph(run, of, "refinement_maps", None, "here")


PIXELS = np.zeros((16, 24, 3), np.uint8)


def expit(values: Any) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(values, np.float64)))


def test_maps_by_hand() -> None:
    asked: list[str] = []
    found = engine(outputs(), description(), asked).maps(PIXELS)
    assert sorted(asked) == [f"{kind}_{level}" for kind in ("anchors", "deltas", "logits") for level in (0, 1)]
    assert [level.shape for level in found.scores] == [(2, 3, 2), (1, 2, 2)]
    np.testing.assert_allclose(found.scores[0], expit(np.arange(12)).reshape(2, 3, 2), rtol=1e-6)
    np.testing.assert_array_equal(found.deltas[1], np.arange(16).reshape(1, 2, 2, 4))
    np.testing.assert_array_equal(found.anchors_xyxy[0][1, 2], [[12, 4, 28, 20], [4, -4, 36, 28]])
    assert list(found.features) == []


@pytest.mark.parametrize("use", ["none", "both", "alone"])
def test_scores_of_two_logits_and_of_localization_quality(use: str) -> None:
    settings = {**SETTINGS, "head": {"two_class": True}, "quality": {"use": use}}  # "quality" as in version 0.1
    found = engine(outputs(two_class=True), description(settings)).maps(PIXELS).scores[1].ravel()
    objectness, fit = expit(np.arange(4) - 1), expit(-np.arange(4))
    expected = {"none": objectness, "both": np.sqrt(objectness * fit), "alone": fit}[use]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    names = output_names(maps_of(description(settings), "here"), "detail")
    assert ("logits" in names, "quality" in names) == (use != "alone", use != "none")


@pytest.mark.parametrize("use", ["none", "both", "alone"])
def test_scores_equal_those_of_pytorch(use: Any) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    from objectness.rpn.extensions.localization_quality import ranking_scores
    from objectness.rpn.extensions.settings import LocalizationQualitySettings

    rng = np.random.default_rng(0)
    for two_class in (False, True):
        given = outputs(two_class)
        for name in given:
            if name.startswith(("logits", "quality")):
                given[name] = rng.normal(scale=6, size=given[name].shape).astype(np.float32)
        settings = {**SETTINGS, "head": {"two_class": two_class}, "localization_quality": {"use": use}}
        found = engine(given, description(settings)).maps(PIXELS)
        for level in (0, 1):
            logits, quality = (torch.from_numpy(given[f"{kind}_{level}"][0]) for kind in ("logits", "quality"))
            expected = ranking_scores(logits, quality, LocalizationQualitySettings(use=use)).numpy()
            np.testing.assert_allclose(found.scores[level].ravel(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "logits_0",
            np.zeros((1, 11, 1), np.float32),
            r"gives float32 \(1, 11, 1\) as logits_0, expected .*\(1, 12, 1\)",
        ),
        ("logits_0", np.zeros((1, 12, 2), np.float32), "as logits_0"),
        ("deltas_1", np.zeros((1, 4, 4), np.float64), "gives float64"),
        ("anchors_0", np.zeros((12, 5), np.float32), r"expected float32 \(N, 4\)"),
        ("anchors_0", np.zeros((0, 4), np.float32), "no grid of 2 a cell"),
        ("anchors_0", np.zeros((11, 4), np.float32), "no grid of 2 a cell"),
        ("anchors_1", "text", "gives no array as anchors_1"),
    ],
)
def test_outputs_of_another_shape_are_refused(name: str, value: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        engine(outputs() | {name: value}, description()).maps(PIXELS)


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ({"settings": None}, "here: its description has no settings of a network"),
        ({"settings": {"bacbone": {}}}, "here: its maps cannot be read: Unknown setting bacbone"),
        ({"settings": {"backbone": {"strides": [8, 16]}}}, "here: its maps cannot be read: .*3 sizes"),
        ({"reach": -1}, "reach is '-1', expected a whole number"),
        ({"reach": True}, "reach is 'True'"),
        ({"reach": "far"}, "reach is 'far'"),
        ({"calibration": {"scores": [0]}}, "its description is damaged .calibration"),
        ({"calibration": [1]}, "its description is damaged .calibration"),
    ],
)
def test_descriptions_that_do_not_say_it(details: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        maps_of(description(**details), "here")


def test_why_there_is_no_reach() -> None:
    assert maps_of(description(), "here").geometry.reach == 32
    whole = maps_of(description(reach=None), "here").geometry
    assert whole.reach is None
    assert "looks at the whole image" in whole.why_no_reach
    older = description()
    older = replace(older, details={key: value for key, value in older.details.items() if key != "reach"})
    unknown = maps_of(older, "here").geometry
    assert unknown.reach is None
    assert "does not say how far the network sees" in unknown.why_no_reach


def test_a_second_stage_without_its_weights() -> None:
    meaning = maps_of(description({**SETTINGS, "refinement": {"grid": 2, "channels": 3, "hidden": 4}}), "here")
    assert meaning.read_levels == 1
    with pytest.raises(
        InputError, match=r"here: its second stage has no constant .*hidden\.0\.weight.*whole images only"
    ):
        refinement_weights({}, meaning, "here")
    prefix = "image/constant/network.refinement."
    shapes = {"hidden.0": (4, 12), "hidden.2": (4, 4), "answer": (5, 4)}
    constants = {f"{prefix}{name}.weight": np.zeros(shape, np.float32) for name, shape in shapes.items()}
    constants |= {f"{prefix}{name}.bias": np.zeros(shape[0], np.float32) for name, shape in shapes.items()}
    constants[f"{prefix}delta_scale"] = np.ones(4, np.float32)
    found = refinement_weights(constants, meaning, "here")
    assert found is not None
    assert found.inputs == 12
    constants[f"{prefix}hidden.0.weight"] = np.zeros((4, 13), np.float32)
    with pytest.raises(InputError, match=r"second stage cannot be read .its first layer has another width"):
        refinement_weights(constants, meaning, "here")
    assert refinement_weights({}, maps_of(description(), "here"), "here") is None


def test_a_graph_of_boxes_only_says_so() -> None:
    signature = GraphSignature({"pixels": "uint8 (1)"}, CANDIDATE_OUTPUTS, description().to_json())
    opened = GraphEngine(lambda inputs, names: [], signature, "cpu", "here")
    with pytest.raises(InputError, match="here: gives boxes only"):
        opened.dense()
