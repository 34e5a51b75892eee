from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from objectness.engines import Candidates, OnnxEngine
from objectness.errors import InputError
from objectness.export import _agreement, compare, export_onnx
from objectness.proposer import load
from objectness.rpn.checkpoint import save_network
from objectness.rpn.engine import TorchEngine, load_engine
from objectness.rpn.network import RegionProposalNetwork
from objectness.settings import override
from objectness.training.recipes import recipe

PHOTO = Path(__file__).parents[1] / "examples" / "photos" / "coffee.jpg"
TINY = ("rpn.backbone.name=test_resnet", "rpn.backbone.pretrained=false", "rpn.images.short_side=160")


@pytest.fixture(
    params=[
        ("small", ("rpn.backbone.strides=8,16,32", "rpn.head.channels=96")),
        ("paper-zf", ("rpn.backbone.strides=16", "rpn.backbone.frozen_stages=0", "rpn.select.before_nms=500")),
    ],
    ids=["pyramid-one-logit", "single-level-softmax"],
)
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tiny network with scores and deltas that differ from place to place."""
    name, more = request.param
    torch.manual_seed(0)
    settings = override(recipe(name), [*TINY, *more])
    network = RegionProposalNetwork(settings.rpn)
    for layer in (network.head.objectness, network.head.deltas):
        torch.nn.init.normal_(layer.weight, std=0.3)
    path = tmp_path / "best.safetensors"
    save_network(path, network, {"name": "tiny", "recipe": name, "validation": {"AR@100": 0.1}})
    return path


def test_the_graph_equals_the_network_on_other_sizes_than_it_was_traced_with(checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "tiny.onnx"
    agreements = export_onnx(checkpoint, target)
    assert [agreement.size_hw for agreement in agreements] == [(224, 320), (361, 257)]
    for agreement in agreements:
        assert agreement.candidates > 100
        assert agreement.pixels < 0.05
        assert agreement.score < 1e-4
    assert not list(tmp_path.glob("*.tmp"))
    pixels = np.random.default_rng(1).integers(0, 256, (130, 470, 3), dtype=np.uint8)
    ours, theirs = load_engine(checkpoint).candidates(pixels), OnnxEngine(target, "tiny").candidates(pixels)
    assert _agreement((130, 470), ours, theirs).pixels < 0.05


def test_both_engines_give_the_same_proposals_of_a_photograph(checkpoint: Path, tmp_path: Path) -> None:
    export_onnx(checkpoint, tmp_path / "tiny.onnx")
    from_torch, from_onnx = load(checkpoint)(PHOTO), load(tmp_path / "tiny.onnx")(PHOTO)
    assert from_torch.size_hw == from_onnx.size_hw == (400, 600)
    assert len(from_torch) == len(from_onnx) > 20
    assert from_onnx.scores == pytest.approx(from_torch.scores, abs=1e-4)
    assert from_onnx.boxes_xyxy[:10] == pytest.approx(from_torch.boxes_xyxy[:10], abs=0.2)


def test_the_file_says_what_it_is(checkpoint: Path, tmp_path: Path) -> None:
    export_onnx(checkpoint, tmp_path / "tiny.onnx")
    description = load(tmp_path / "tiny.onnx").description
    assert description.name == "tiny"
    assert (description.short_side, description.nms_iou, description.top) == (160, 0.7, 300)
    assert description.details["validation"] == {"AR@100": 0.1}
    assert description.details["settings"]["backbone"]["name"] == "test_resnet"


def test_a_graph_that_disagrees_is_not_written(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert compare.__doc__
