from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from objectness import export
from objectness.cli import app
from objectness.engines import (
    Candidates,
    EngineSettings,
    GraphEngine,
    GraphRanker,
    ModelDescription,
    Ranked,
    open_graph,
)
from objectness.errors import InputError
from objectness.export import ExportReport, ExportSettings, Sources, export_model
from objectness.export.agreement import agreement, share_lost
from objectness.export.describing import portable, weights_hash
from objectness.export.graph import export_graphs
from objectness.loading import load
from objectness.ranking import select
from objectness.rpn.checkpoint import load_network, read_description, save_network
from objectness.rpn.engine import TorchEngine, load_engine
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.settings import BackboneSettings, RPNSettings
from objectness.rpn.start import fill, read_start
from objectness.settings import override
from objectness.training.recipes import recipe

pytestmark = pytest.mark.usefixtures("tracing")

PHOTO = Path(__file__).parents[1] / "examples" / "photos" / "coffee.jpg"
TINY = ("rpn.backbone.name=test_resnet", "rpn.backbone.pretrained=false", "rpn.images.short_side=160")
SIZES_HW = ((130, 470), (33, 31), (1, 1))
RECIPES = {
    "pyramid-one-logit": (
        "small",
        ("rpn.backbone.strides=16,32", "rpn.anchors.sizes=32,64,128", "rpn.head.channels=96"),
    ),
    "two-stages": (
        "aligned",
        (
            "rpn.backbone.strides=16,32",
            "rpn.anchors.sizes=32,64,128",
            "rpn.select.before_nms=60",
            "rpn.refine.grid=3",
            "rpn.refine.boxes=40",
        ),
    ),
    "single-level-softmax": ("paper-zf", ("rpn.backbone.strides=16", "rpn.select.before_nms=500")),
}


@dataclass(frozen=True)
class Exported:
    """A checkpoint and two ONNX files of it: with suppression inside and without."""

    checkpoint: Path
    report: ExportReport
    ranker: GraphRanker
    engine: GraphEngine

    @property
    def target(self) -> Path:
        return self.report.target


def save_checkpoint(kind: str, path: Path, *more: str) -> Path:
    """A tiny network with scores and deltas that differ from place to place."""
    name, own = RECIPES[kind]
    torch.manual_seed(0)
    network = RegionProposalNetwork(override(recipe(name), [*TINY, *own, *more]).rpn)
    layers = [network.head.objectness, network.head.deltas]
    if network.refinement is not None:
        layers.append(network.refinement.answer)
    for layer in layers:
        torch.nn.init.normal_(layer.weight, std=0.3)
    save_network(path, network, {"name": "tiny", "recipe": name, "validation": {"AR@100": 0.1}})
    return path


@pytest.fixture(scope="module", autouse=True)
def traced_once(tracing: None) -> Iterator[None]:
    """PyTorch's export takes seconds: the same network is exported once for all tests."""
    known: dict[str, Any] = {}

    def remembered(network: RegionProposalNetwork) -> Any:
        key = f"{network.settings} {weights_hash(network)}"
        if key not in known:
            known[key] = export_graphs(network)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "export_graphs", remembered)
        yield


@pytest.fixture(scope="module", params=RECIPES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tracing: None) -> Exported:
    folder = tmp_path_factory.mktemp("export")
    checkpoint = save_checkpoint(request.param, folder / "best.safetensors")
    report = export_model(checkpoint, folder / "tiny.onnx")
    export_model(checkpoint, folder / "candidates.onnx", ExportSettings(nms=False))
    ranker, engine = (open_graph(folder / f"{name}.onnx", name) for name in ("tiny", "candidates"))
    assert isinstance(ranker, GraphRanker)
    assert isinstance(engine, GraphEngine)
    return Exported(checkpoint, report, ranker, engine)


def _images(size_hw: tuple[int, int], count: int = 1) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *size_hw, 3), dtype=np.uint8)


def test_the_graph_equals_the_network_on_other_sizes_than_it_was_traced_with(exported: Exported) -> None:
    found = exported.report.agreements
    assert [(one.images, one.size_hw) for one in found] == [(1, (224, 320)), (2, (361, 257))]
    for one in found:
        assert one.candidates > 100
        assert one.pixels < 0.05
        assert one.score < 1e-4
    reference = load_engine(exported.checkpoint)
    for size_hw in SIZES_HW:
        pixels = _images(size_hw)[0]
        ours, theirs = reference.candidates(pixels), exported.engine.candidates(pixels)
        assert len(ours.scores) == len(theirs.scores) > 0
        assert agreement(size_hw, ours, theirs).pixels < 0.05


@pytest.mark.parametrize(("nms", "top"), [(0.7, 300), (0.3, 7), (0.0, 50), (1.0, 10_000)])
def test_suppression_inside_equals_suppression_outside(exported: Exported, nms: float, top: int) -> None:
    for size_hw in SIZES_HW:
        pixels = _images(size_hw)[0]
        candidates = exported.engine.candidates(pixels)
        expected = select(candidates, resized_hw=size_hw, size_hw=size_hw, top=top, score=0, nms=nms, min_side=0)
        found = exported.ranker.ranked(pixels, nms=nms, top=top)
        np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)
        np.testing.assert_array_equal(found.scores, expected.scores)


def test_each_image_of_a_batch_is_seen_as_if_it_were_alone(exported: Exported) -> None:
    pixels = _images((97, 161), count=3)
    pixels[1] = 0
    for alone, together in zip(pixels, exported.ranker.batch(pixels, nms=0.7, top=40), strict=True):
        one = exported.ranker.ranked(alone, nms=0.7, top=40)
        assert len(one.scores) == len(together.scores)
        np.testing.assert_allclose(together.scores, one.scores, atol=1e-5)
        np.testing.assert_allclose(together.boxes_xyxy, one.boxes_xyxy, atol=1e-2)
    for alone, candidates in zip(pixels, exported.engine.batch(pixels), strict=True):
        assert len(candidates.scores) == len(exported.engine.candidates(alone).scores)


def test_a_score_of_the_fit_is_exported_too(tmp_path: Path) -> None:
    checkpoint = save_checkpoint("single-level-softmax", tmp_path / "best.safetensors", "rpn.quality.use=both")
    report = export_model(checkpoint, tmp_path / "fit.onnx")
    for one in report.agreements:
        assert one.candidates > 100
        assert one.pixels < 0.05
        assert one.score < 1e-4
    pixels = _images((130, 470))[0]
    scores = load_engine(checkpoint).candidates(pixels).scores
    network = load_engine(checkpoint)._network
    network.settings = override(network.settings, ["quality.use=none"])
    assert not np.allclose(np.sort(scores), np.sort(TorchEngine(network, None).candidates(pixels).scores))


def test_a_photograph_of_one_black_pixel(exported: Exported) -> None:
    found = load(exported.target)(np.zeros((1, 1, 3), np.uint8))
    assert found.size_hw == (1, 1)
    assert ((found.boxes_xyxy >= 0) & (found.boxes_xyxy <= 1)).all()


def test_nothing_found_is_an_empty_result(tmp_path: Path) -> None:
    checkpoint = save_checkpoint("single-level-softmax", tmp_path / "best.safetensors", "rpn.select.min_size=5000")
    for nms in (True, False):
        export_model(checkpoint, tmp_path / "none.onnx", ExportSettings(nms=nms))
        found = load(tmp_path / "none.onnx")(PHOTO)
        assert found.boxes_xyxy.shape == (0, 4)
        assert found.scores.shape == (0,)


def test_both_engines_give_the_same_proposals_of_a_photograph(exported: Exported) -> None:
    from_torch, from_onnx = load(exported.checkpoint)(PHOTO), load(exported.target)(PHOTO)
    assert from_torch.size_hw == from_onnx.size_hw == (400, 600)
    assert len(from_torch) == len(from_onnx) > 20
    assert from_onnx.scores == pytest.approx(from_torch.scores, abs=1e-4)
    assert from_onnx.boxes_xyxy[:10] == pytest.approx(from_torch.boxes_xyxy[:10], abs=0.2)


def test_the_file_says_what_it_is(exported: Exported) -> None:
    import objectness

    description = load(exported.target).description
    details = description.details
    assert description.name == "tiny"
    assert (description.short_side, description.nms_iou, description.top) == (160, 0.7, 300)
    assert not description.calibrated
    assert details["calibration"] is None
    assert details["validation"] == {"AR@100": 0.1}
    assert details["settings"]["backbone"]["name"] == "test_resnet"
    assert details["version"] == objectness.__version__
    assert details["licence"] == "not stated"
    assert details["strides"][0] in (8, 16)
    settings = read_description(exported.checkpoint)["settings"]
    assert details["anchors"]["ratios_height_over_width"] == settings["anchors"]["ratios_height_over_width"]
    assert details["thresholds"]["nms_iou"] == 0.7
    assert details["suppression_inside"] is True
    weights = load_file(exported.checkpoint)
    digest = hashlib.sha256()
    for name in sorted(weights):
        values = weights[name].numpy()
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode() + values.tobytes())
    assert details["weights_sha256"] == digest.hexdigest()


@torch.no_grad()
def test_training_can_start_from_the_file(exported: Exported, tmp_path: Path) -> None:
    """Every parameter is there under its name, to the last bit, though many norms are equal and could be one."""
    expected = load_file(exported.checkpoint)
    norms = [value for key, value in expected.items() if key.endswith("running_mean")]
    assert len(norms) > 1
    assert all(torch.equal(norms[0][:4], one[:4]) for one in norms)
    found = read_start(str(exported.target))
    left_out = {key.split(".")[2] for key in expected.keys() - found.weights.keys()}
    assert left_out <= {"layer4"}, "only what lies beyond the last map may be missing"
    for key in found.weights:
        assert torch.equal(found.weights[key], expected[key]), key
    network = RegionProposalNetwork(found.settings, load_weights=False)
    assert fill(network, found) == f"The network starts from {exported.target} (tiny)."
    pixels = torch.from_numpy(_images((97, 161))).permute(0, 3, 1, 2)
    ours, theirs = network.eval()(pixels), load_network(exported.checkpoint)[0](pixels)
    assert all(torch.equal(a, b) for a, b in zip(ours.logits, theirs.logits, strict=True))

    half = export_model(exported.checkpoint, tmp_path / "half.onnx", ExportSettings(precision="fp16")).target
    rounded = read_start(str(half)).weights["head.deltas.weight"]
    assert torch.equal(rounded, expected["head.deltas.weight"].half().float())


def test_the_file_names_nothing_of_the_machine_it_was_made_on(exported: Exported) -> None:
    held = exported.target.read_bytes()
    for place in (Path(__file__).parents[1], Path(torch.__file__).parent, exported.target.parent):
        assert str(place).encode() not in held
    settings = RPNSettings(backbone=BackboneSettings(weights="/home/me/start.safetensors"))
    assert portable(settings).backbone.weights == "start.safetensors"
    assert portable(RPNSettings()) == RPNSettings()


def test_a_graph_that_disagrees_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = save_checkpoint("single-level-softmax", tmp_path / "best.safetensors")
    honest = TorchEngine.candidates

    def shifted(self: TorchEngine, pixels: np.ndarray) -> Candidates:
        found = honest(self, pixels)
        return Candidates(found.boxes_xyxy + 1, found.scores, found.levels)

    monkeypatch.setattr(TorchEngine, "candidates", shifted)
    with pytest.raises(InputError, match="was not written: ONNX Runtime and PyTorch differ by"):
        export_model(checkpoint, tmp_path / "tiny.onnx")
    monkeypatch.undo()
    dishonest = GraphRanker.batch

    def tardy(self: GraphRanker, pixels: np.ndarray, *, nms: float, top: int) -> Any:
        return dishonest(self, pixels, nms=nms * 0.9, top=top)

    monkeypatch.setattr(GraphRanker, "batch", tardy)
    with pytest.raises(InputError, match=r"was not written: suppression at IoU 0\.7 inside the graph"):
        export_model(checkpoint, tmp_path / "tiny.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["best.safetensors"]


def test_agreement_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 5, 9, 9]], dtype=np.float32)
    levels = np.zeros(2, dtype=np.int64)
    ours = Candidates(boxes, np.array([0.9, 0.4], dtype=np.float32), levels)
    theirs = Candidates(boxes[::-1] + 0.25, np.array([0.4, 0.8], dtype=np.float32), levels)
    found = agreement((1, 1), ours, theirs)
    assert (found.candidates, found.pixels) == (2, 0.25)
    assert found.score == pytest.approx(0.1)
    fewer = Candidates(boxes[:1], np.array([0.9], dtype=np.float32), levels[:1])
    assert agreement((1, 1), ours, fewer).pixels == float("inf")
    nothing = Candidates(boxes[:0], np.zeros(0, np.float32), levels[:0])
    assert agreement((1, 1), nothing, nothing).pixels == 0


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = []
    for number in range(4):
        blocks = np.kron(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8))
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(blocks).save(paths[-1])
    return paths


def test_sizes_and_thresholds_may_change_without_new_weights(exported: Exported, tmp_path: Path) -> None:
    changes = ("images.short_side=96", "rpn.select.nms_iou=0.8")
    report = export_model(exported.checkpoint, tmp_path / "other.onnx", ExportSettings(changes=changes))
    description = load(report.target).description
    assert (description.short_side, description.nms_iou) == (96, 0.8)
    assert description.details["weights_sha256"] == load(exported.target).description.details["weights_sha256"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("head.channels=8", "Export cannot change head.channels: the weights were trained for it"),
        ("select.nms=0.8", "Unknown setting 'select.nms'"),
    ],
)
def test_what_the_weights_were_trained_for_stays(exported: Exported, tmp_path: Path, change: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        export_model(exported.checkpoint, tmp_path / "other.onnx", ExportSettings(changes=(change,)))


def test_half_precision_halves_the_file_and_keeps_the_boxes(exported: Exported, tmp_path: Path) -> None:
    report = export_model(exported.checkpoint, tmp_path / "half.onnx", ExportSettings(precision="fp16"))
    assert report.target.stat().st_size < 0.6 * exported.target.stat().st_size
    assert [found.images for found in report.changed] == [1, 2]
    assert max(found.score for found in report.changed) < 0.02
    whole, half = load(exported.target)(PHOTO), load(report.target)(PHOTO)
    assert half.scores == pytest.approx(whole.scores, abs=0.02)
    assert half.boxes_xyxy[0] == pytest.approx(whole.boxes_xyxy[0], abs=3)
    assert load(report.target).description.details["precision"] == "fp16"


def test_int8_is_made_with_the_user_s_photographs(exported: Exported, tmp_path: Path, photos: list[Path]) -> None:
    onnx = pytest.importorskip("onnx")
    settings = ExportSettings(precision="int8")
    with pytest.raises(InputError, match=r"int8 needs photographs .*--photos"):
        export_model(exported.checkpoint, tmp_path / "small.onnx", settings)
    report = export_model(exported.checkpoint, tmp_path / "small.onnx", settings, Sources(photos=photos))
    assert report.lost is not None
    assert 0 <= report.lost <= settings.most_lost
    kinds = [node.op_type for node in onnx.load(report.target).graph.node]
    assert kinds.count("QuantizeLinear") >= kinds.count("Conv") - 1
    # Weights of random networks suffer in 8 bits; that boxes stay near is a matter of average recall on real ones.
    assert len(load(report.target)(PHOTO)) > 20


class Fixed:
    """A ranker that gives the same boxes of every image."""

    description = ModelDescription("fixed", short_side=20, long_side=30)
    device = "cpu"

    def __init__(self, *boxes_xyxy: list[float]) -> None:
        self.boxes_xyxy = np.array(boxes_xyxy, np.float32).reshape(-1, 4)

    def ranked(self, pixels: np.ndarray, *, nms: float, top: int) -> Ranked:
        return Ranked(self.boxes_xyxy[:top], np.linspace(1, 0.5, len(self.boxes_xyxy), dtype=np.float32)[:top])


def test_a_quantisation_that_loses_too_much_is_refused() -> None:
    whole = Fixed([0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10])
    small = Fixed([0, 0, 10, 5], [20, 0, 30, 4], [41, 0, 51, 10], [90, 0, 99, 9])  # IoU .5, .4, 9/11 and 0
    images = [np.zeros((20, 30, 3), np.uint8)] * 3
    assert share_lost(whole, small, images, 0.5, "x.onnx") == 0.5
    with pytest.raises(InputError, match=r"x\.onnx was not written: .* 50% are lost in int8 \(at most 40%"):
        share_lost(whole, small, images, 0.4, "x.onnx")
    assert share_lost(Fixed(), small, images, 0.0, "x.onnx") == 0
    assert share_lost(whole, Fixed(), images, 1.0, "x.onnx") == 1


def test_openvino_gives_the_same_proposals(exported: Exported, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    report = export_model(exported.checkpoint, tmp_path / "tiny.xml", ExportSettings(format="openvino"))
    assert [file.name for file in report.files] == ["tiny.bin", "tiny.xml"]
    assert str(tmp_path) not in report.target.read_text()
    propose = load(report.target, threads=1)
    assert propose.description.details["weights_sha256"] == exported.ranker.description.details["weights_sha256"]
    for options in ({}, {"nms": 0.3, "top": 20}):
        ours, theirs = load(exported.target, **options)(PHOTO), load(report.target, **options)(PHOTO)
        assert len(ours) == len(theirs)
        assert theirs.scores == pytest.approx(ours.scores, abs=1e-4)
        assert theirs.boxes_xyxy[:10] == pytest.approx(ours.boxes_xyxy[:10], abs=0.2)
    batch = _images((97, 161), count=2)
    engine = open_graph(report.target, "tiny", EngineSettings(threads=1))
    assert isinstance(engine, GraphRanker)
    assert [len(found.scores) for found in engine.batch(batch, nms=0.7, top=30)] == [30, 30]


def test_openvino_runs_the_onnx_file_with_its_own_thresholds(exported: Exported, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    ours, theirs = load(exported.target, top=50)(PHOTO), load(exported.target, top=50, engine="openvino")(PHOTO)
    assert theirs.scores == pytest.approx(ours.scores, abs=1e-4)
    with pytest.raises(
        InputError, match=r"only with nms 0\.7 and up to 300 proposals; export it with --format openvino"
    ):
        load(exported.target, nms=0.5, engine="openvino")
    with pytest.raises(InputError, match=r"only with nms 0\.7 and up to 300 proposals"):
        load(exported.target, top=301, engine="openvino")
    (tmp_path / "bad.xml").write_text("no model")
    with pytest.raises(InputError, match=r"its weights bad\.bin are not beside it"):
        load(tmp_path / "bad.xml")
    (tmp_path / "bad.bin").write_bytes(b"x")
    with pytest.raises(InputError, match=r"bad\.xml: OpenVINO cannot read it") as caught:
        load(tmp_path / "bad.xml")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="'tpu' is not known to OpenVINO here; it has cpu"):
        load(exported.target, engine="openvino", device="tpu")


def test_calibrated_scores_keep_the_order_and_the_boxes(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: Callable[..., Any]
) -> None:
    from objectness.calibration import Calibration
    from objectness.datasets import Dataset

    monkeypatch.setattr("objectness.calibration.FEWEST", 20)
    raw = load(exported.target, top=1000)(PHOTO)
    chosen = np.concatenate([raw.boxes_xyxy[:3], raw.boxes_xyxy[-3:]])
    records = tuple(make_record(number, chosen, name=str(PHOTO)) for number in (1, 2))
    data = Dataset(Path("somewhere/mine"), "coco", "val", ("thing",), records)
    for nms in (True, False):
        report = export_model(
            exported.checkpoint, tmp_path / "tiny.onnx", ExportSettings(nms=nms), Sources(calibration=data)
        )
        propose = load(report.target, top=1000)
        described = propose.description.details["calibration"]
        assert propose.description.calibrated
        assert (described["data"], described["split"], described["photographs"]) == ("mine", "val", 2)
        assert propose.description.details["measured"]["ar"]["1000"] == report.recall.ar[1000] > 0  # type: ignore[union-attr]
        found = propose(PHOTO)
        # Outside, boxes are ranked by calibrated scores: neighbours may have become equal and changed places.
        order = [np.arange(len(raw))] * 2 if nms else [np.lexsort(boxes.boxes_xyxy.T) for boxes in (found, raw)]
        np.testing.assert_array_equal(found.boxes_xyxy[order[0]], raw.boxes_xyxy[order[1]])
        np.testing.assert_allclose(found.scores, Calibration.from_json(described)(raw.scores), atol=1e-6)
        assert (np.diff(found.scores) <= 0).all()
    with Image.open(tmp_path / "tiny.reliability.png") as plot:
        assert plot.size == (608, 652)
    assert str(PHOTO.parent).encode() not in report.target.read_bytes()


def test_the_command_line(exported: Exported, tmp_path: Path) -> None:
    out = tmp_path / "new" / "mine.onnx"
    result = CliRunner().invoke(
        app, ["export", str(exported.checkpoint), "--out", str(out), "--licence", "MIT", "--json"]
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["files"] == [str(out)]
    assert document["bytes"] == out.stat().st_size
    assert [found["images"] for found in document["agreement"]] == [1, 2]
    assert document["calibration"] is None
    assert "Scores stay as the network gives them, not calibrated (" in result.stderr
    assert "--calibrate" in result.stderr
    assert load(out).description.details["licence"] == "MIT"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.safetensors",), "missing.safetensors: there is no such model file"),
        (("{checkpoint}", "--out", "mine.xml"), "--out mine.xml must end in .onnx."),
        (("{checkpoint}", "--out", "mine.onnx", "--format", "openvino"), "--out mine.onnx must end in .xml."),
        (("{checkpoint}", "--out", "mine.onnx", "--precision", "int8"), "int8 needs photographs"),
        (("{checkpoint}", "--out", "mine.onnx", "--calibrate", "nowhere"), "nowhere"),
    ],
)
def test_wrong_use_of_the_command_line(
    exported: Exported, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [argument.format(checkpoint=exported.checkpoint) for argument in arguments]
    result = CliRunner().invoke(app, ["export", *given])
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())
