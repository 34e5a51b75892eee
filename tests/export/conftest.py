"""One export of each kind of network for all tests of this folder: PyTorch takes seconds for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from objectness.engines import EngineSettings, GraphEngine
from objectness.engines.onnx_runtime import open_onnx
from objectness.export.export_model import ExportReport, export_model
from objectness.export.graph import export_choice, export_network
from objectness.export.metadata import weights_hash
from objectness.export.settings import ExportSettings
from objectness.rpn.checkpoint import save_network
from objectness.rpn.network import RegionProposalNetwork
from objectness.settings import override
from objectness.training.recipes import recipe

TINY = ("rpn.backbone.name=test_resnet", "rpn.backbone.pretrained=false", "rpn.images.short_side=160")
RECIPES = {
    "pyramid-one-logit-quality": (
        "small",
        ("rpn.backbone.strides=32", "rpn.anchors.sizes=64,128", "rpn.localization_quality.use=both"),
    ),
    "two-stages": (
        "task-aligned",
        (
            "rpn.backbone.strides=16,32",
            "rpn.anchors.sizes=32,64,128",
            "rpn.select.pre_nms_top_n=60",
            "rpn.refinement.grid=3",
            "rpn.refinement.boxes=40",
        ),
    ),
    "single-level-softmax": ("paper-zf", ("rpn.backbone.strides=16", "rpn.select.pre_nms_top_n=500")),
}


TRACED = {"exported", "save_checkpoint"}  # fixtures whose tests export a network: half a minute for each kind


def pytest_itemcollected(item: pytest.Item) -> None:
    if TRACED & set(getattr(item, "fixturenames", ())):
        item.add_marker(pytest.mark.slow)


Graphs = dict[str, Any]


@dataclass(frozen=True)
class Exported:
    """A checkpoint and two ONNX files of it: with suppression inside and without."""

    checkpoint: Path
    report: ExportReport
    engine: GraphEngine
    candidates: GraphEngine

    @property
    def target(self) -> Path:
        return self.report.target


@pytest.fixture(scope="package", autouse=True)
def tracing() -> Iterator[None]:
    """Export traces the network with symbols for its lengths, which are no ints: shapes are not checked meanwhile."""
    jaxtyping = pytest.importorskip("jaxtyping")
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="package", autouse=True)
def traced_once(tracing: None) -> Iterator[None]:
    """Each graph is exported once: what changes neither of them (sizes, thresholds of suppression) is left out."""
    known: Graphs = {}

    def remembered(export_graph: Callable[[RegionProposalNetwork], Any], **free: Any) -> Any:
        def once(network: RegionProposalNetwork) -> Any:
            own = network.settings
            images = replace(own.images, short_side=1, long_side=1)
            settings = replace(own, images=images, select=replace(own.select, nms_iou=0.5, post_nms_top_n=1, **free))
            key = f"{export_graph.__name__} {settings} {weights_hash(network)}"
            if key not in known:
                known[key] = export_graph(network)
            return known[key]

        return once

    module = import_module("objectness.export.export_model")  # the package has a function of this name
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "export_network", remembered(export_network, pre_nms_top_n=1, min_size=0))
        patch.setattr(module, "export_choice", remembered(export_choice))
        yield


def _save(kind: str, path: Path, *more: str) -> Path:
    """A tiny network with scores and deltas that differ from place to place."""
    name, own = RECIPES[kind]
    torch.manual_seed(0)
    network = RegionProposalNetwork(override(recipe(name), [*TINY, *own, *more]).rpn)
    layers = [network.head.objectness, network.head.deltas]
    if network.refinement is not None:
        layers.append(network.refinement.predictor)
    for layer in layers:
        torch.nn.init.normal_(layer.weight, std=0.3)
    save_network(path, network, {"name": "tiny", "recipe": name, "validation": {"AR@100": 0.1}})
    return path


@pytest.fixture(scope="package")
def save_checkpoint() -> Callable[..., Path]:
    """Writes a tiny network of a kind in ``RECIPES``; returns the path."""
    return _save


@pytest.fixture(scope="package", params=RECIPES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, traced_once: None) -> Exported:
    """Each kind of network in turn, with suppression inside and without; tests do not write into its folder."""
    folder = tmp_path_factory.mktemp("export")
    checkpoint = _save(request.param, folder / "best.safetensors")
    report = export_model(checkpoint, folder / "tiny.onnx")
    export_model(checkpoint, folder / "candidates.onnx", ExportSettings(nms=False))
    names = ("tiny", "candidates")
    engine, candidates = (open_onnx(folder / f"{name}.onnx", name, EngineSettings()) for name in names)
    return Exported(checkpoint, report, engine, candidates)
