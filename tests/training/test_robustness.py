"""What goes wrong in a run: rates that explode, full disks, kills at a bad moment, nothing to learn from."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from objectness import stopping
from objectness.cli import app
from objectness.errors import InputError
from objectness.rpn.checkpoint import read_description
from objectness.training import run
from objectness.training.checkpoints import STATE_FILE
from objectness.training.data import images_of
from objectness.training.interrupts import Interrupt
from objectness.training.loop import StepReport, TrainingResult, Watcher, is_sound
from objectness.training.nan_guard import NonFiniteLossError, unsound_weights
from objectness.training.report import Board
from objectness.training.run_config import RunConfig
from objectness.training.settings import LoopSettings, RunSettings

Tiny = Callable[..., RunSettings]


def go(data: Path, settings: RunSettings, folder: Path, **options: Any) -> TrainingResult:
    return run.begin(RunConfig(data, settings), folder, **options)


class PowerCutError(Exception):
    """Nothing that the loop knows of."""


def without_boxes(photographs: Path, split: str = "train", **flags: int) -> None:
    """Take the boxes of a split away, or mark all of them."""
    path = photographs / f"instances_{split}.json"
    document = json.loads(path.read_text())
    document["annotations"] = [a | flags for a in document["annotations"]] if flags else []
    path.write_text(json.dumps(document))


def test_weights_that_explode_are_never_saved(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(NonFiniteLossError, match=r"^Update 1 \(learning rate 1e\+06\) threw the weights off") as caught:
        go(photographs, tiny("optimizer.lr=1e6", "schedule.warmup_steps=0"), tmp_path / "run")
    assert "nothing had been saved yet" in str(caught.value)
    assert not (tmp_path / "run").exists(), "a folder without weights was left behind"


def test_the_last_sound_weights_are_kept_and_named(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    built: list[torch.optim.Optimizer] = []

    def explode(report: StepReport) -> None:
        if report.step == 4:
            for group in built[0].param_groups:
                group["base_lr"] = 1e19

    with pytest.MonkeyPatch.context() as patch:
        from objectness.training import loop

        build = loop.build_optimizer

        def kept(*arguments: Any) -> Any:
            built.append(build(*arguments))
            return built[0]

        patch.setattr(loop, "build_optimizer", kept)
        with pytest.raises(NonFiniteLossError, match="Update 5") as caught:
            go(photographs, tiny("loop.epochs=4"), tmp_path / "run", watchers=[Watcher(on_step=explode)])
    assert f"{tmp_path / 'run' / 'last.safetensors'} holds the weights after update 3" in str(caught.value)
    for path in (tmp_path / "run").glob("*.safetensors"):
        for name, tensor in load_file(path).items():
            assert float(tensor.abs().max()) < 1e6, f"{path.name} {name}"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 2e6])
def test_what_is_no_sound_weight(value: float) -> None:
    layer = torch.nn.Linear(2, 1)
    assert is_sound(layer)
    with torch.no_grad():
        layer.weight[0, 1] = value
    assert not is_sound(layer)
    sentence = str(unsound_weights(layer, 7, 0.1, "nothing"))
    assert sentence.startswith("Update 8 (learning rate 0.1) threw the weights off every scale (weight grew to ")
    assert sentence.endswith("; nothing.")


def test_statistics_of_norms_may_be_large_but_must_be_numbers() -> None:
    norm = torch.nn.BatchNorm2d(2)
    assert norm.running_var is not None
    norm.running_var[0] = 1e9
    assert is_sound(norm)
    for value in (float("inf"), float("nan")):
        norm.running_var[0] = value
        assert not is_sound(norm)
        assert f"running_var grew to {value}" in str(unsound_weights(norm, 0, 0.1, "nothing"))


@pytest.mark.parametrize(
    ("flags", "why"),
    [({}, r": all boxes lie in the photographs for validation\.$"), ({"iscrowd": 1}, "all 10 are ignored")],
)
def test_a_data_set_without_a_box_to_learn_from_is_refused(
    flags: dict[str, int], why: str, photographs: Path, tiny: Tiny
) -> None:
    without_boxes(photographs, **flags)
    with pytest.raises(InputError, match=f"data has no box to learn from in its 6 training photographs.*{why}"):
        run.prepare(RunConfig(photographs, tiny()))


def test_no_box_anywhere_is_refused(photographs: Path, tiny: Tiny) -> None:
    without_boxes(photographs)
    without_boxes(photographs, "val")
    with pytest.raises(InputError, match=r"no box to learn from in its 6 training photographs\.$"):
        run.prepare(RunConfig(photographs, tiny()))


def test_classes_that_leave_no_box_are_named(photographs: Path, tiny: Tiny) -> None:
    with pytest.raises(InputError, match=r"no box to learn from .*: no box is of a class that"):
        run.prepare(RunConfig(photographs, tiny("data.held_out_classes=thing")))


def test_a_loss_of_exactly_nothing_is_refused(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    """No anchor lies inside a photograph of 24 x 32 pixels."""
    small = ("rpn.match.drop_cross_boundary=true", "rpn.images.short_side=24", "rpn.images.long_side=32")
    with pytest.raises(InputError, match="loss was exactly 0 in each of the first 3 updates") as caught:
        go(photographs, tiny(*small, "rpn.anchors.sizes=64,128", "loop.epochs=1"), tmp_path / "run")
    assert "rpn.anchors.sizes" in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train_batch0.jpg", "config.json", "best.safetensors", STATE_FILE, "results.csv"])
def test_a_full_disk_is_one_sentence_and_keeps_what_was_saved(
    name: str, photographs: Path, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace

    def full(self: Path, target: Path) -> Path:
        if Path(target).name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, target)

    settings = tiny("loop.epochs=1")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(InputError, match=rf"{name} cannot be written \(No space left on device\)") as caught:
            go(photographs, settings, tmp_path / "run")
    assert "\n" not in str(caught.value)
    left = sorted(path.name for path in (tmp_path / "run").glob("*")) if (tmp_path / "run").exists() else []
    assert not [path for path in left if path.startswith(".")], "a half-written file was left"
    assert ("last.safetensors" in left) == (name in (STATE_FILE, "results.csv", "best.safetensors") and bool(left))
    if name == "results.csv":  # the state was saved: with room again, the run is whole
        assert run.resume(tmp_path / "run").rows
        assert len(list(csv.DictReader((tmp_path / "run" / "results.csv").open()))) == 1


@pytest.mark.slow
def test_resuming_on_a_full_disk_keeps_the_last_state(
    photographs: Path, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(photographs, tiny("loop.epochs=1"), tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["settings"]["loop"]["epochs"] = 2
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.safetensors")}

    def full(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
            run.resume(tmp_path / "run")
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.safetensors")} == before
    assert len(run.resume(tmp_path / "run").rows) == 2


@pytest.mark.slow
def test_a_kill_between_save_and_table_loses_no_row(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    def cut(step: int, *_: object) -> None:
        if step == 3:  # the first epoch is saved and in the table
            raise PowerCutError

    with pytest.raises(PowerCutError):
        go(photographs, tiny(), tmp_path / "run", watchers=[Watcher(on_batch=cut)])
    table = tmp_path / "run" / "results.csv"
    table.write_text("epoch,step\n")  # as it was before the row that the state has
    (tmp_path / "run" / "results.png").unlink()
    with pytest.raises(PowerCutError):
        run.resume(tmp_path / "run", watchers=[Watcher(on_batch=cut)])
    assert [row["epoch"] for row in csv.DictReader(table.open())] == ["1"]
    assert (tmp_path / "run" / "results.png").exists()


@pytest.mark.slow
def test_a_run_stopped_before_its_first_save_begins_again(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    settings = tiny("loop.epochs=1")
    go(photographs, settings, tmp_path / "whole")
    (tmp_path / "cut").mkdir()
    config = (tmp_path / "whole" / "config.json").read_bytes()
    (tmp_path / "cut" / "config.json").write_bytes(config)
    said: list[str] = []
    run.resume(tmp_path / "cut", notify=said.append)
    assert said[0] == f"{tmp_path / 'cut'} was stopped before anything was saved: it begins again, with its settings."
    whole, again = (load_file(tmp_path / name / STATE_FILE) for name in ("whole", "cut"))
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_trained_weights_without_their_state_are_not_overwritten(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    go(photographs, tiny("loop.epochs=1"), tmp_path / "run")
    (tmp_path / "run" / STATE_FILE).unlink()
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    for _ in range(2):
        with pytest.raises(InputError, match=r"has no last\.state\.safetensors, without which it cannot go on"):
            run.resume(tmp_path / "run")
        assert (tmp_path / "run" / "best.safetensors").exists()
        if (tmp_path / "run" / "last.safetensors").exists():
            assert (tmp_path / "run" / "last.safetensors").read_bytes() == before
            (tmp_path / "run" / "last.safetensors").unlink()


@pytest.mark.slow
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_what_a_run_writes_obeys_the_umask(umask: int, photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        go(photographs, tiny("loop.steps=1", "loop.validate_every=0"), tmp_path / "run")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "run").iterdir() if path.is_file()}
    assert {"best.safetensors", "last.safetensors", STATE_FILE, "config.json", "results.csv"} <= modes.keys()
    assert set(modes.values()) == {0o666 & ~umask}, modes


@pytest.mark.slow
def test_a_warm_up_that_outlasts_the_run_is_said(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    said: list[str] = []
    go(photographs, tiny("loop.steps=2", "schedule.warmup_steps=9"), tmp_path / "run", notify=said.append)
    assert any("ends before its warm-up" in sentence and "9 updates, and there are 2" in sentence for sentence in said)
    said.clear()
    go(photographs, tiny("loop.steps=2", "schedule.warmup_steps=2"), tmp_path / "other", notify=said.append)
    assert not any("warm-up" in sentence for sentence in said)
    assert any(sentence.startswith("2 updates in 1 epochs") for sentence in said)


@pytest.mark.parametrize(
    ("first", "batches", "expected"), [(0, 1, 4), (0, 2, 8), (2, 1, 2), (1, 2, 6), (0, 3, 10), (2, 5, 2)]
)
def test_the_images_of_an_update(first: int, batches: int, expected: int) -> None:
    """Ten photographs, four at a time: batches of 4, 4 and 2."""
    assert images_of(10, LoopSettings(batch_size=4), first, batches) == expected
    assert images_of(99, LoopSettings(batch_size=4, epoch_images=10), first, batches) == expected


@pytest.mark.slow
def test_a_smaller_last_batch_weighs_by_its_images(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    """Six photographs as 4 + 2 give the update that they give at once: each photograph's loss counts a sixth.

    Anchors are drawn for each batch, so all of them are taken; norms without statistics of a batch.
    """
    alike = ("rpn.sample.size=100000", "rpn.sample.positive_fraction=0", "rpn.loss.normalize=paper", "loop.steps=1",
             "optimizer.kind=sgd", "optimizer.weight_decay=0", "optimizer.clip_norm=0", "loop.ema=0", "loop.amp=false",
             "schedule.warmup_steps=0", "rpn.backbone.name=zf", "augment.flip=0", "augment.color_jitter=0",
             "augment.scale=1,1")  # fmt: skip
    steps = {}
    for name, more in {
        "whole": ("loop.batch_size=6",),
        "summed": ("loop.batch_size=4", "loop.accumulate=2"),
    }.items():
        go(photographs, tiny(*alike, *more), tmp_path / name)
        steps[name] = load_file(tmp_path / name / "last.safetensors")
    for key, whole in steps["whole"].items():
        torch.testing.assert_close(steps["summed"][key], whole, rtol=1e-4, atol=1e-6, msg=key)


@pytest.mark.slow
def test_a_run_measures_what_it_starts_from_and_keeps_it_where_it_stays_the_best(
    photographs: Path, tiny: Tiny, tmp_path: Path
) -> None:
    go(photographs, tiny("loop.epochs=1"), tmp_path / "first")
    again = tiny("loop.epochs=1", "optimizer.lr=0", f"initial_weights={tmp_path / 'first'}")
    outcome = go(photographs, again, tmp_path / "second")
    start, end = outcome.rows
    assert (start["epoch"], start["step"], start["loss"]) == (0, 0, None)
    first = list(csv.DictReader((tmp_path / "first" / "results.csv").open()))
    assert start["AR@100"] == pytest.approx(float(first[0]["AR@100"]), abs=1e-6)
    assert end["epoch"] == 1
    second = list(csv.DictReader((tmp_path / "second" / "results.csv").open()))
    assert [(row["epoch"], row["loss"] == "") for row in second] == [("0", True), ("1", False)]
    assert read_description(tmp_path / "second" / "best.safetensors")["details"]["epoch"] == 0
    assert not [row for row in run.resume(tmp_path / "second").rows if row["epoch"] > 1]
    scratch = go(photographs, tiny("loop.epochs=1"), tmp_path / "scratch")
    assert [row["epoch"] for row in scratch.rows] == [1]


@pytest.mark.slow
def test_training_and_evaluation_print_one_recall(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    """Large JPEGs, which are decoded small; trained in bfloat16."""
    for path in (photographs / "val").glob("*.png"):
        with Image.open(path) as small:
            small.resize((1280, 960)).save(path, "JPEG", quality=90)
    document = json.loads((photographs / "instances_val.json").read_text())
    for image in document["images"]:
        image |= {"width": 1280, "height": 960}
    for annotation in document["annotations"]:
        annotation["bbox"] = [8 * side for side in annotation["bbox"]]
    (photographs / "instances_val.json").write_text(json.dumps(document))
    outcome = go(photographs, tiny("loop.epochs=3", "loop.amp=true"), tmp_path / "run")
    words = ["evaluate", str(tmp_path / "run"), str(photographs), "--split", "val", "--json", "--quiet"]
    measured = CliRunner().invoke(app, words)
    assert measured.exit_code == 0, measured.stderr
    ar = json.loads(measured.stdout)["ar"]
    best = max(outcome.rows, key=lambda row: row["AR@100"])
    assert best["AR@100"] == outcome.best_ar100 > 0
    for k in (10, 100, 300, 1000):
        assert ar[str(k)] == pytest.approx(best[f"AR@{k}"], abs=1e-12), k


def test_what_tensorboard_shows(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = Board(tmp_path)
    for number in (1, 2):
        board.on_step(
            StepReport(number, 2, 1, 1, lr=0.5, losses={"objectness": 0.25 * number, "box": 1.0}, images_per_second=8.0)
        )
    board.on_epoch({"epoch": 1, "step": 2, "loss": 1.0, "AR@100": 0.75, "AR@10": None}, [])
    (written,) = (tmp_path / "tensorboard").iterdir()
    seen = EventAccumulator(str(written)).Reload()
    assert [(event.step, event.value) for event in seen.Scalars("loss/objectness")] == [(1, 0.25), (2, 0.5)]
    assert [(event.step, event.value) for event in seen.Scalars("validation/AR@100")] == [(2, 0.75)]
    assert "validation/AR@10" not in seen.Tags()["scalars"]


def test_a_disk_that_is_full_for_tensorboard_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("a file where the folder should be")
    with pytest.raises(InputError, match=r"events\.out\.tfevents\.\S+ cannot be written \(.*\): make room there"):
        Board(tmp_path).on_epoch({"epoch": 1, "step": 2, "AR@100": 0.75}, [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_wish_to_end_lets_the_running_update_end(number: int) -> None:
    stopping.begin()
    with Interrupt() as interrupt:
        signal.raise_signal(number)
        assert interrupt.requested
        if number != signal.SIGINT:
            signal.raise_signal(signal.SIGTERM)  # a closing terminal sends two
        assert stopping.exit_code() == 128 + number
    stopping.begin()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_way_of_being_stopped_saves(number: int, photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    stopping.begin()
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    outcome = go(
        photographs,
        tiny("loop.epochs=1"),
        tmp_path / "run",
        watchers=[Watcher(on_step=lambda report: signal.raise_signal(number))],
    )
    assert outcome.interrupted
    assert (tmp_path / "run" / STATE_FILE).exists()
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
    stopping.begin()


def test_a_run_under_nohup_outlives_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupt.requested
    finally:
        signal.signal(signal.SIGHUP, before)
