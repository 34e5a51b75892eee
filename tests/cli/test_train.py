from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from objectness.cli import app

PHOTO = Path(__file__).parents[2] / "examples" / "photos" / "coffee.jpg"

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="training needs PyTorch")
without_torch = pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed here")

TINY = ["--recipe", "small", *(
    word
    for setting in (
        "rpn.backbone.name=test_resnet", "rpn.backbone.pretrained=false", "rpn.backbone.strides=16",
        "rpn.backbone.pyramid_channels=0", "rpn.backbone.extra_levels=0", "rpn.head.channels=32",
        "rpn.anchors.sizes=24,48", "rpn.images.short_side=96", "augment.crop=0", "loop.batch_size=2",
        "loop.workers=0", "loop.epochs=1",
    )
    for word in ("--set", setting)
)]  # fmt: skip


@pytest.fixture
def yolo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four photographs with two boxes each and no validation split."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "labels").mkdir()
    for index in range(4):
        window = Image.open(PHOTO).crop((40 * index, 30 * index, 40 * index + 160, 30 * index + 120))
        window.save(tmp_path / "data" / "images" / f"{index}.png")
        (tmp_path / "data" / "labels" / f"{index}.txt").write_text("0 .3 .3 .3 .4\n0 .7 .6 .2 .3\n")
    (tmp_path / "data" / "data.yaml").write_text("train: images\nnames: [thing]\n")
    (tmp_path / "recipe.json").write_text('{"recipe": 5}')
    return tmp_path / "data"


@pytest.mark.slow
@needs_torch
@pytest.mark.usefixtures("tracing")
def test_train_evaluate_export_propose(yolo: Path, tmp_path: Path) -> None:
    trained = CliRunner().invoke(app, ["train", str(yolo), *TINY, "--seed", "7", "--json"])
    assert trained.exit_code == 0, trained.stderr
    document = json.loads(trained.stdout)
    assert document["run"] == "runs/train/small"
    assert len(document["epochs"]) == 1
    assert 0 <= document["best AR@100"] <= 1
    assert "1 of 4 photographs are held out" in trained.stderr
    assert json.loads((tmp_path / "runs/train/small/config.json").read_text())["settings"]["loop"]["seed"] == 7

    exported = CliRunner().invoke(app, ["export", "runs/train/small", "--json"])
    assert exported.exit_code == 0, exported.stderr
    assert json.loads(exported.stdout)["file"] == "runs/train/small/best.onnx"

    recalls = []
    for model in ("runs/train/small", "runs/train/small/best.onnx"):
        measured = CliRunner().invoke(app, ["evaluate", model, str(yolo), "--json", "--quiet"])
        assert measured.exit_code == 0, measured.stderr
        recalls.append(json.loads(measured.stdout)["ar"])
    assert recalls[0] == pytest.approx(recalls[1], abs=1e-6)

    proposed = CliRunner().invoke(app, ["propose", str(yolo / "images"), "--model", "runs/train/small", "--json"])
    assert proposed.exit_code == 0, proposed.stderr
    assert len(json.loads(proposed.stdout)["images"]) == 4


@needs_torch
@pytest.mark.slow
def test_a_second_run_does_not_overwrite_the_first(yolo: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert CliRunner().invoke(app, ["train", str(yolo), *TINY, "--name", "mine", "--quiet"]).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "runs" / "train").iterdir()) == ["mine", "mine2"]


@needs_torch
@pytest.mark.slow
def test_resume_of_a_finished_run_changes_nothing(yolo: Path, tmp_path: Path) -> None:
    CliRunner().invoke(app, ["train", str(yolo), *TINY, "--quiet"])
    before = (tmp_path / "runs/train/small/results.csv").read_text()
    again = CliRunner().invoke(app, ["train", "--resume", "runs/train/small", "--json"])
    assert again.exit_code == 0, again.stderr
    assert len(json.loads(again.stdout)["epochs"]) == 1
    assert (tmp_path / "runs/train/small/results.csv").read_text() == before


@needs_torch
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "Say what to train on: objectness train DATA"),
        (["nowhere"], "nowhere"),
        (["data", "--recipe", "smal"], "Unknown recipe 'smal': did you mean 'small'?"),
        (["data", "--set", "loop.epoch=3"], "Unknown setting 'loop.epoch': did you mean 'loop.epochs'?"),
        (["data", "--set", "weights=x"], "did you mean 'rpn.backbone.weights'?"),
        (["data", "--set", "loop.epochs=many"], "loop.epochs must be a whole number; it is 'many'."),
        (["data", "--set", "epochs"], "(--set)"),
        (["data", "--set", "rpn.backbone.name=resnet5O", "--set", "loop.workers=0"], "did you mean 'resnet50'?"),
        (["data", "--set", "rpn.anchors.sizes=1,2,3"], "cannot be dealt evenly to 4 feature levels"),
        (["data", "--set", "loop.device=gpu"], "loop.device"),
        (["data", "--weights", "nowhere.onnx"], "nowhere.onnx: there is no such model file"),
        (["data", "--weights", "data/data.yaml"], "a model is an .onnx or .xml file"),
        (["data", "--recipe", "fine-tune", "--set", "rpn.backbone.name=resnet18"], "this run's is resnet18"),
        (["--resume", "data", "--weights", "none"], "give it nothing else"),
        (["--resume", "data"], "is not a run folder"),
        (["--resume", "data/data.yaml"], "is not a run folder"),
        (["data", "--settings", "recipe.json"], "recipe.json: its recipe must be a name, e.g. fine-tune; it is 5."),
        (["data", *TINY, "--project", "data/data.yaml"], "cannot be made"),
        *((["data", *TINY, "--name", name], "without slashes") for name in ("../out", "a/b", "..", "", "a\\b", "/tmp")),
        (["data", "--resume", "data"], "--resume goes on with the run's own data and settings"),
    ],
)
@pytest.mark.slow
def test_wrong_use_is_one_sentence(words: list[str], sentence: str, yolo: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", *words])
    assert result.exit_code == 2, result.stderr
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.glob("runs/train/*")), "a wrong call left a run folder behind"


def test_show_settings_prints_every_number() -> None:
    shown = CliRunner().invoke(app, ["train", "--recipe", "paper-vgg16", "--show-settings"])
    if find_spec("torch") is None:
        assert shown.exit_code == 2
        return
    assert "rpn.loss.box_weight = 10.0" in shown.stdout
    assert "rpn.sample.size = 256" in shown.stdout


@needs_torch
@pytest.mark.slow
def test_training_starts_from_the_bundled_model_and_says_so(yolo: Path) -> None:
    words = ["rpn.images.short_side=64", "augment.crop=64", "loop.batch_size=2", "loop.workers=0", "loop.steps=1"]
    sets = [word for setting in words for word in ("--set", setting)]
    trained = CliRunner().invoke(app, ["train", str(yolo), *sets])
    assert trained.exit_code == 0, trained.stderr
    assert "The network starts from the default model (" in trained.stderr
    assert "from scratch" not in trained.stderr, "the bundled model does not fit its own settings"
    config = json.loads(Path("runs/train/fine-tune/config.json").read_text())["settings"]
    assert (config["recipe"], config["initial_weights"]) == ("fine-tune", "default")


@needs_torch
def test_the_settings_of_an_older_run_start_as_it_did(yolo: Path) -> None:
    """Its configuration knows no start; its recipe is what counts."""
    Path("config.json").write_text(json.dumps({"settings": {"recipe": "aligned", "loop": {"epochs": 3}}}))
    shown = CliRunner().invoke(app, ["train", "--settings", "config.json", "--show-settings", "--json"])
    settings = json.loads(shown.stdout)
    assert (settings["recipe"], settings["initial_weights"], settings["loop"]["epochs"]) == ("task-aligned", "", 3)


@needs_torch
def test_applied_anchors_bring_the_recipe_that_they_are_for(yolo: Path) -> None:
    """Who names no recipe would fine-tune otherwise, with a head that was trained for other anchors."""
    sizes = [20.0, 30, 40, 50, 60, 70, 80, 90]
    Path("anchors.json").write_text(json.dumps({"recipe": "small", "rpn": {"anchors": {"sizes": sizes}}}))
    shown = CliRunner().invoke(app, ["train", "--settings", "anchors.json", "--show-settings", "--json"])
    settings = json.loads(shown.stdout)
    taken = settings["recipe"], settings["initial_weights"], settings["rpn"]["anchors"]["sizes"]
    assert taken == ("small", "", sizes)
    refused = CliRunner().invoke(app, ["train", str(yolo), "--recipe", "fine-tune", "--settings", "anchors.json"])
    assert refused.exit_code == 2
    assert "anchors.json holds settings for the recipe small: leave out --recipe fine-tune" in refused.stderr


@without_torch
def test_without_pytorch_training_says_what_to_install() -> None:
    result = CliRunner().invoke(app, ["train", "data"])
    assert result.exit_code == 2
    assert 'pip install ".[train]"' in result.stderr


@needs_torch
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "nowhere: there is no such model file or run folder"),
        (["data/data.yaml"], "data.yaml: a model is an"),
    ],
)
def test_export_of_what_is_no_checkpoint(words: list[str], sentence: str, yolo: Path) -> None:
    result = CliRunner().invoke(app, ["export", *words])
    assert result.exit_code == 2
    assert sentence in result.stderr
