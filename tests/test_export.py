from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from objectness.engines import Candidates, OnnxEngine
from objectness.errors import InputError
from objectness.export import Agreement, _agreement, _portable, export_onnx
from objectness.proposer import load
from objectness.rpn.checkpoint import save_network
from objectness.rpn.engine import TorchEngine, load_engine
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.settings import BackboneSettings, RPNSettings
from objectness.settings import override
from objectness.training.recipes import recipe

pytestmark = pytest.mark.usefixtures("tracing")

PHOTO = Path(__file__).parents[1] / "examples" / "photos" / "coffee.jpg"
TINY = ("rpn.backbone.name=test_resnet", "rpn.backbone.pretrained=false", "rpn.images.short_side=160")


@dataclass(frozen=True)
class Exported:
    """A checkpoint, its ONNX file, and how well both agree."""

    checkpoint: Path
    target: Path
    agreements: list[Agreement]


RECIPES = {
    "pyramid-one-logit": ("small", ("rpn.backbone.strides=8,16,32", "rpn.head.channels=96")),
    "single-level-softmax": ("paper-zf", ("rpn.backbone.strides=16", "rpn.select.before_nms=500")),
}


def save_checkpoint(kind: str, path: Path) -> Path:
    """A tiny network with scores and deltas that differ from place to place."""
    name, more = RECIPES[kind]
    torch.manual_seed(0)
    network = RegionProposalNetwork(override(recipe(name), [*TINY, *more]).rpn)
    for layer in (network.head.objectness, network.head.deltas):
        torch.nn.init.normal_(layer.weight, std=0.3)
    save_network(path, network, {"name": "tiny", "recipe": name, "validation": {"AR@100": 0.1}})
    return path


@pytest.fixture(scope="module", params=RECIPES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tracing: None) -> Exported:
    folder = tmp_path_factory.mktemp("export")
    checkpoint = save_checkpoint(request.param, folder / "best.safetensors")
    agreements = export_onnx(checkpoint, folder / "tiny.onnx")
    return Exported(checkpoint, folder / "tiny.onnx", agreements)


def test_the_graph_equals_the_network_on_other_sizes_than_it_was_traced_with(exported: Exported) -> None:
    assert [agreement.size_hw for agreement in exported.agreements] == [(224, 320), (361, 257)]
    for agreement in exported.agreements:
        assert agreement.candidates > 100
        assert agreement.pixels < 0.05
        assert agreement.score < 1e-4
    assert not list(exported.target.parent.glob("*.tmp"))
    pixels = np.random.default_rng(1).integers(0, 256, (130, 470, 3), dtype=np.uint8)
    ours = load_engine(exported.checkpoint).candidates(pixels)
    theirs = OnnxEngine(exported.target, "tiny").candidates(pixels)
    assert _agreement((130, 470), ours, theirs).pixels < 0.05


def test_both_engines_give_the_same_proposals_of_a_photograph(exported: Exported) -> None:
    from_torch, from_onnx = load(exported.checkpoint)(PHOTO), load(exported.target)(PHOTO)
    assert from_torch.size_hw == from_onnx.size_hw == (400, 600)
    assert len(from_torch) == len(from_onnx) > 20
    assert from_onnx.scores == pytest.approx(from_torch.scores, abs=1e-4)
    assert from_onnx.boxes_xyxy[:10] == pytest.approx(from_torch.boxes_xyxy[:10], abs=0.2)


def test_the_file_says_what_it_is(exported: Exported) -> None:
    description = load(exported.target).description
    assert description.name == "tiny"
    assert (description.short_side, description.nms_iou, description.top) == (160, 0.7, 300)
    assert description.details["validation"] == {"AR@100": 0.1}
    assert description.details["settings"]["backbone"]["name"] == "test_resnet"


def test_the_file_names_nothing_of_the_machine_it_was_made_on(exported: Exported) -> None:
    held = exported.target.read_bytes()
    for place in (Path(__file__).parents[1], Path(torch.__file__).parent, exported.target.parent):
        assert str(place).encode() not in held
    settings = RPNSettings(backbone=BackboneSettings(weights="/home/me/start.safetensors"))
    assert _portable(settings).backbone.weights == "start.safetensors"
    assert _portable(RPNSettings()) == RPNSettings()


def test_a_graph_that_disagrees_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = save_checkpoint("single-level-softmax", tmp_path / "best.safetensors")
    honest = TorchEngine.candidates

    def shifted(self: TorchEngine, pixels: np.ndarray) -> Candidates:  # type: ignore[type-arg]
        found = honest(self, pixels)
        return Candidates(found.boxes_xyxy + 1, found.scores, found.levels)

    monkeypatch.setattr(TorchEngine, "candidates", shifted)
    with pytest.raises(InputError, match="was not written: ONNX Runtime and PyTorch differ by"):
        export_onnx(checkpoint, tmp_path / "tiny.onnx")
    assert not (tmp_path / "tiny.onnx").exists()
    assert not list(tmp_path.glob("*.tmp"))


def test_agreement_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 5, 9, 9]], dtype=np.float32)
    levels = np.zeros(2, dtype=np.int64)
    ours = Candidates(boxes, np.array([0.9, 0.4], dtype=np.float32), levels)
    theirs = Candidates(boxes[::-1] + 0.25, np.array([0.4, 0.8], dtype=np.float32), levels)
    agreement = _agreement((1, 1), ours, theirs)
    assert (agreement.candidates, agreement.pixels) == (2, 0.25)
    assert agreement.score == pytest.approx(0.1)
    fewer = Candidates(boxes[:1], np.array([0.9], dtype=np.float32), levels[:1])
    assert _agreement((1, 1), ours, fewer).pixels == float("inf")
