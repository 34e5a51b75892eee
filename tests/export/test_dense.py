"""Maps of exported files beside PyTorch's: ONNX Runtime, OpenVINO, every precision, and the bundled model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from objectness.engines import EngineSettings, ProposalEngine
from objectness.engines.candidates import select
from objectness.engines.dense import DenseEngine, Maps
from objectness.engines.map_selection import candidates_of_maps
from objectness.engines.onnx_runtime import open_onnx
from objectness.engines.openvino_runtime import open_openvino
from objectness.export.export_model import Sources, export_model
from objectness.export.settings import ExportSettings
from objectness.inference.model_files import bundled_model
from objectness.inference.torch_engine import TorchEngine, describe_network, open_checkpoint
from objectness.rpn.checkpoint import save_network
from objectness.rpn.network import RegionProposalNetwork
from objectness.settings import override
from objectness.training.recipes import recipe
from objectness.training.warm_start import read_trained

SIZES_HW = ((160, 224), (97, 161))
ONE = EngineSettings(threads=1)


def pixels_of(size_hw: tuple[int, int]) -> np.ndarray:
    """Blocks of random colour: noise would leave most of a network asleep."""
    blocks = np.random.default_rng(1).integers(0, 256, (-(-size_hw[0] // 16), -(-size_hw[1] // 16), 3), dtype=np.uint8)
    return np.ascontiguousarray(np.kron(blocks, np.ones((16, 16, 1), np.uint8))[: size_hw[0], : size_hw[1]])


def require_close(found: Maps, expected: Maps, tolerance: float = 1e-4) -> None:
    for kind in ("scores", "deltas", "anchors_xyxy", "features"):
        for one, other in zip(getattr(found, kind), getattr(expected, kind), strict=True):
            assert one.dtype == np.float32
            largest = max(1.0, float(np.abs(other).max(initial=0)))
            np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * largest)


def require_same_refinement(found: DenseEngine, expected: DenseEngine, tolerance: float = 1e-5) -> None:
    own = expected.geometry.refinement
    if own is None:
        with pytest.raises(ValueError, match="no refinement head"):
            found.refine(np.zeros((1, 1, 1), np.float32), np.zeros(1, np.float32))
        return
    maps = expected.maps(pixels_of(SIZES_HW[0]))
    rng = np.random.default_rng(0)
    features = rng.normal(size=(7, own.grid**2, maps.features[0].shape[2])).astype(np.float32)
    scores = rng.uniform(size=7).astype(np.float32)
    for one, other in zip(found.refine(features, scores), expected.refine(features, scores), strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance)


def require_own_proposals(engine: ProposalEngine, dense: DenseEngine, tolerance: float = 1e-3) -> None:
    """What is chosen from the maps is what the engine proposes, whose scores are not calibrated."""
    own, pixels = engine.description, pixels_of(SIZES_HW[1])
    size_hw = (pixels.shape[0], pixels.shape[1])
    expected = engine.propose(pixels, nms=own.nms_iou, top=200)
    found = select(candidates_of_maps(dense.maps(pixels), size_hw, dense), size_hw, nms=own.nms_iou, top=200)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    apart = np.abs(found.boxes_xyxy[:, None] - expected.boxes_xyxy[None]).max(axis=2).min(axis=1)
    assert (apart < tolerance).mean() > 0.98


def test_maps_of_exported_files(exported: Any) -> None:
    reference = open_checkpoint(exported.checkpoint, ONE)
    expected = reference.dense()
    assert expected.geometry.reach is not None
    for engine in (exported.engine, exported.candidates):
        found = engine.dense(1)
        assert found.geometry == expected.geometry
        assert found.geometry.single_level == (len(found.geometry.strides) == 1)
        for size_hw in SIZES_HW:
            require_close(found.maps(pixels_of(size_hw)), expected.maps(pixels_of(size_hw)))
        require_same_refinement(found, expected)
        require_own_proposals(engine, found)
    require_own_proposals(reference, expected)


def test_maps_in_half_precision_and_in_int8(exported: Any, tmp_path: Path) -> None:
    expected = open_checkpoint(exported.checkpoint, ONE).dense()
    for precision in ("fp16", "int8"):
        photos = sorted((Path(__file__).parents[2] / "examples" / "photos").glob("*.jpg"))
        settings, sources = ExportSettings(precision=precision), Sources(photos=photos)  # type: ignore[arg-type]
        engine = open_onnx(export_model(exported.checkpoint, tmp_path / "m.onnx", settings, sources).target, "m", ONE)
        found = engine.dense(1)
        assert found.geometry == expected.geometry
        if precision == "fp16":
            require_close(found.maps(pixels_of(SIZES_HW[1])), expected.maps(pixels_of(SIZES_HW[1])), 0.02)
        require_same_refinement(found, expected)
        require_own_proposals(engine, found)


def test_maps_by_openvino(exported: Any, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    expected = open_checkpoint(exported.checkpoint, ONE).dense()
    files = [exported.target, export_model(exported.checkpoint, tmp_path / "m.xml", ExportSettings("openvino")).target]
    half = ExportSettings("openvino", "fp16")
    files.append(export_model(exported.checkpoint, tmp_path / "half.xml", half).target)
    for file in files:
        found = open_openvino(file, file.name, ONE).dense(1)
        assert found.geometry == expected.geometry
        for size_hw in SIZES_HW:
            tolerance = 0.02 if file.stem == "half" else 1e-4
            require_close(found.maps(pixels_of(size_hw)), expected.maps(pixels_of(size_hw)), tolerance)
        require_same_refinement(found, expected, 1e-2 if file.stem == "half" else 1e-5)


@pytest.mark.slow
def test_maps_of_zf_with_random_weights(tmp_path: Path, traced_once: None) -> None:
    torch.manual_seed(0)
    changes = ["rpn.backbone.pretrained=false", "rpn.images.short_side=160"]
    network = RegionProposalNetwork(override(recipe("paper-zf"), changes).rpn)
    save_network(tmp_path / "best.safetensors", network, {"name": "zf"})
    report = export_model(tmp_path / "best.safetensors", tmp_path / "zf.onnx")
    found, expected = open_onnx(report.target, "zf", ONE).dense(1), TorchEngine(network, describe_network(network, {}))
    assert found.geometry.reach == 96
    for size_hw in SIZES_HW:
        require_close(found.maps(pixels_of(size_hw)), expected.dense().maps(pixels_of(size_hw)))


@pytest.mark.slow
def test_maps_of_the_bundled_model() -> None:
    trained = read_trained("default")
    network = RegionProposalNetwork(trained.settings)
    network.load_state_dict(dict(trained.weights), strict=False)
    expected = TorchEngine(network, describe_network(network, dict(trained.details))).dense()
    engine = open_onnx(bundled_model(), "the default model", ONE)
    found = engine.dense(1)
    assert found.geometry == expected.geometry
    for size_hw in SIZES_HW:
        require_close(found.maps(pixels_of(size_hw)), expected.maps(pixels_of(size_hw)))
    require_same_refinement(found, expected)
