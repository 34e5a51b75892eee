from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from objectness.errors import InputError
from objectness.inference.loading import load
from objectness.rpn.checkpoint import load_network, read_description
from objectness.training import run
from objectness.training.checkpoints import STATE_FILE
from objectness.training.loop import TrainingResult, Watcher
from objectness.training.nan_guard import NonFiniteLossError
from objectness.training.run_config import RunConfig, new_folder, run_folder
from objectness.training.settings import RunSettings
from objectness.training.splits import read_splits

Tiny = Callable[..., RunSettings]


def go(data: Path, settings: RunSettings, folder: Path, **options: Any) -> TrainingResult:
    return run.begin(RunConfig(data, settings), folder, **options)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / STATE_FILE)


def differences(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> dict[str, float]:
    """By how much each tensor differs that is not equal to the last bit."""
    assert left.keys() == right.keys()
    unequal = (key for key in left if not torch.equal(left[key], right[key]))
    return {key: float((left[key] - right[key]).abs().max()) for key in unequal}


@pytest.mark.slow
def test_a_run_leaves_everything_a_person_needs(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    outcome = go(photographs, tiny(), tmp_path / "run")
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written >= {
        "config.json", "results.csv", "results.png", "best.safetensors", "last.safetensors", STATE_FILE,
        "tensorboard", "train_batch0.jpg", "train_batch1.jpg", "train_batch2.jpg",
    }  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "run" / "results.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [row["step"] for row in rows] == ["3", "6"]
    assert all(0 <= float(row["AR@100"]) <= 1 and float(row["loss"]) > 0 for row in rows)
    assert outcome.best_ar100 == pytest.approx(max(float(row["AR@100"]) for row in rows), abs=1e-5)
    assert not outcome.interrupted
    described = read_description(tmp_path / "run" / "best.safetensors")["details"]
    assert described["recipe"] == "small"
    assert described["training"] == {"photographs": 6, "boxes": 10, "data": "data"}
    assert json.loads((tmp_path / "run" / "config.json").read_text())["settings"]["loop"]["epochs"] == 2
    proposals = load(tmp_path / "run")(photographs / "val" / "1.png")
    assert proposals.size_hw == (120, 160)
    assert len(proposals) > 0


@pytest.mark.slow
def test_the_loss_falls(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    outcome = go(photographs, tiny("loop.epochs=15", "loop.validate_every=0"), tmp_path / "run")
    assert outcome.rows[-1]["loss"] < 0.6 * outcome.rows[0]["loss"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    photographs: Path, tiny: Tiny, tmp_path: Path
) -> None:
    settings = tiny("loop.epochs=1")
    for name in "ab":
        go(photographs, settings, tmp_path / name)
    go(photographs, tiny("loop.epochs=1", "loop.seed=1"), tmp_path / "c")
    assert not differences(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert differences(weights(tmp_path / "a"), weights(tmp_path / "c"))


@pytest.mark.slow
def test_workers_and_accumulation_do_not_change_what_is_learned(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    go(photographs, tiny("loop.epochs=1"), tmp_path / "a")
    go(photographs, tiny("loop.epochs=1", "loop.workers=2"), tmp_path / "b")
    assert not differences(weights(tmp_path / "a"), weights(tmp_path / "b"))


@pytest.mark.slow
def test_an_updates_gradient_is_the_mean_over_the_batches_it_has(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    """One batch an epoch: however many batches are to be summed up, there is only one."""
    go(photographs, tiny("loop.batch_size=6", "loop.accumulate=1"), tmp_path / "one")
    go(photographs, tiny("loop.batch_size=6", "loop.accumulate=3"), tmp_path / "three")
    assert not differences(weights(tmp_path / "one"), weights(tmp_path / "three"))


@pytest.mark.slow
def test_a_save_at_the_end_of_an_epoch_is_resumed_into_its_validation(
    photographs: Path, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine goes down between an epoch's last save and the end of its validation."""
    settings = tiny("loop.save_minutes=0")
    unbroken = go(photographs, settings, tmp_path / "unbroken")

    def power_cut(*_: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr("objectness.training.rpn_task.validate", power_cut)
        with pytest.raises(RuntimeError, match="power cut"):
            go(photographs, settings, tmp_path / "broken")
    resumed = run.resume(tmp_path / "broken")
    assert not differences(weights(tmp_path / "unbroken"), weights(tmp_path / "broken"))
    assert [row["AR@100"] for row in resumed.rows] == [row["AR@100"] for row in unbroken.rows]


def stop_at(step: int) -> Watcher:
    """Presses Ctrl-C after an update."""
    return Watcher(on_step=lambda report: signal.raise_signal(signal.SIGINT) if report.step == step else None)


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 3, 5])
def test_a_run_stopped_by_ctrl_c_and_resumed_equals_an_unbroken_one(
    step: int, photographs: Path, tiny: Tiny, tmp_path: Path
) -> None:
    settings = tiny("loop.accumulate=1")
    unbroken = go(photographs, settings, tmp_path / "unbroken")
    stopped = go(photographs, settings, tmp_path / "stopped", watchers=[stop_at(step)])
    assert stopped.interrupted
    resumed = run.resume(tmp_path / "stopped")
    assert not resumed.interrupted
    assert not differences(weights(tmp_path / "unbroken"), weights(tmp_path / "stopped"))
    for ours, theirs in zip(unbroken.rows, resumed.rows, strict=True):
        for name in ("epoch", "step", "loss", "AR@100"):
            assert ours[name] == pytest.approx(theirs[name], abs=1e-12)


@pytest.mark.slow
def test_a_killed_run_resumes_from_its_last_save_and_equals_an_unbroken_one(
    photographs: Path, tiny: Tiny, tmp_path: Path
) -> None:
    from objectness.settings import describe
    from objectness.training.recipes import small

    settings = tiny("loop.epochs=3", "loop.save_minutes=0", "optimizer.kind=sgd")
    go(photographs, settings, tmp_path / "unbroken")
    default = dict(describe(small()))
    changed = [(key, value) for key, value in describe(settings) if default[key] != value]
    words = [
        word
        for key, value in changed
        for word in ("--set", f"{key}={','.join(map(str, value)) if isinstance(value, tuple) else value}")
    ]
    command = [
        sys.executable,
        "-m",
        "objectness",
        "train",
        str(photographs),
        "--recipe",
        "small",
        "--project",
        str(tmp_path),
        "--name",
        "k",
    ]
    # Sums over threads round differently: as many there as here.
    alike = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen([*command, *words], env=alike, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    state = tmp_path / "k" / STATE_FILE
    patience = time.monotonic() + 120
    while not state.exists() and process.poll() is None and time.monotonic() < patience:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    run.resume(tmp_path / "k")
    assert not differences(weights(tmp_path / "unbroken"), weights(tmp_path / "k"))


def test_a_loss_that_is_no_number_names_photographs_step_and_level(
    photographs: Path, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poison(step: int, network: Any, *_: object) -> None:
        if step == 1:
            network.head.objectness.register_forward_hook(lambda *called: called[2] * float("nan"))

    with pytest.raises(NonFiniteLossError) as caught:
        go(photographs, tiny(), tmp_path / "run", watchers=[Watcher(on_batch=poison)])
    assert "at step 3" in str(caught.value)
    assert ".png (non-finite scores at level 0)" in str(caught.value)
    assert "optimizer.lr" in str(caught.value)


@pytest.mark.slow
def test_patience_ends_a_run_that_does_not_get_better(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    outcome = go(photographs, tiny("loop.epochs=9", "loop.patience=2", "optimizer.lr=0"), tmp_path / "run")
    assert len(outcome.rows) == 3


def test_a_checkpoint_of_a_run_from_scratch_freezes_nothing(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    go(photographs, tiny("loop.epochs=1", "rpn.backbone.frozen_stages=2"), tmp_path / "run")
    network, _ = load_network(tmp_path / "run" / "last.safetensors")
    assert network.settings.backbone.frozen_stages == 0
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_resuming_what_is_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        run.resume(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json is not valid JSON"):
        run.resume(tmp_path)


def test_a_truncated_photograph_is_left_out_and_named(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    broken = photographs / "train" / "3.png"
    broken.write_bytes(broken.read_bytes()[:4000])
    said: list[str] = []
    go(photographs, tiny("loop.epochs=1"), tmp_path / "run", notify=said.append)
    assert any("3.png" in sentence and sentence.startswith("train:") for sentence in said)
    assert any("Training on 5 photographs with 8 boxes" in sentence for sentence in said)
    with pytest.raises(InputError, match=r"3\.png"):
        read_splits(RunConfig(photographs, tiny(), strict=True))


@pytest.mark.parametrize(("key", "left"), [("only_classes", 10), ("held_out_classes", 0)])
def test_classes_that_are_not_asked_for_are_forgotten(photographs: Path, tiny: Tiny, key: str, left: int) -> None:
    splits = read_splits(RunConfig(photographs, tiny(f"data.{key}=thing")))
    assert sum(len(record.boxes_xyxy) for record in splits.training.records) == left
    assert len(splits.training) == 6
    assert len(splits.validation) > 0


def test_a_data_set_of_one_photograph_trains(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    document = json.loads((photographs / "instances_val.json").read_text())
    document["images"] = document["images"][:1]
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] == 1]
    alone = photographs / "val" / "alone.json"
    alone.write_text(json.dumps(document))
    outcome = go(alone, tiny("loop.epochs=1"), tmp_path / "run")
    assert len(outcome.rows) == 1
    assert np.isfinite(outcome.rows[0]["loss"])


def epoch_of(folder: Path, name: str) -> int:
    epoch: int = read_description(folder / f"{name}.safetensors")["details"]["epoch"]
    return epoch


@pytest.mark.slow
def test_without_a_box_to_find_the_last_weights_are_the_best(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    document = json.loads((photographs / "instances_val.json").read_text())
    (photographs / "instances_val.json").write_text(json.dumps(document | {"annotations": []}))
    outcome = go(photographs, tiny("loop.epochs=3", "loop.patience=1"), tmp_path / "run")
    assert [row["AR@100"] for row in outcome.rows] == [None] * 3
    assert outcome.best_ar100 is None
    assert epoch_of(tmp_path / "run", "best") == epoch_of(tmp_path / "run", "last") == 3


@pytest.mark.slow
def test_without_validation_a_resumed_run_ends_with_its_own_weights(
    photographs: Path, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny("loop.epochs=2")
    prepared = run.prepare(RunConfig(photographs, settings))
    splits = replace(prepared.splits, validation=replace(prepared.splits.validation, records=()))
    assert run.start(replace(prepared, splits=splits), tmp_path / "run", watchers=[stop_at(1)]).interrupted
    assert epoch_of(tmp_path / "run", "best") == 0
    with monkeypatch.context() as patch:
        patch.setattr(run, "read_splits", lambda *_, **__: splits)
        assert run.resume(tmp_path / "run").best_ar100 is None
    assert epoch_of(tmp_path / "run", "best") == epoch_of(tmp_path / "run", "last") == 2


@pytest.mark.slow
def test_a_run_that_ran_out_of_patience_stays_ended(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    settings = tiny("loop.epochs=9", "loop.patience=2", "optimizer.lr=0")
    assert len(go(photographs, settings, tmp_path / "run").rows) == 3
    assert len(run.resume(tmp_path / "run").rows) == 3


def _change(folder: Path, key: str, value: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    *groups, name = key.split(".")
    inner = config["settings"]
    for group in groups:
        inner = inner[group]
    inner[name] = value
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.slow
def test_a_resumed_run_obeys_its_configuration(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    go(photographs, tiny("loop.ema=0.9"), tmp_path / "run")
    _change(tmp_path / "run", "loop.epochs", 3)
    _change(tmp_path / "run", "optimizer.lr", 0.0)
    before = load_file(tmp_path / "run" / STATE_FILE)
    run.resume(tmp_path / "run")
    after = load_file(tmp_path / "run" / STATE_FILE)
    weight = "network/head.objectness.weight"
    assert torch.equal(before[weight], after[weight])
    for ema in (0, 0.9):  # the average is left out, and begins again
        _change(tmp_path / "run", "loop.ema", ema)
        assert not run.resume(tmp_path / "run").interrupted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rpn.loss.box_weight", 3.0, "rpn.loss.box_weight is not what the network was trained with"),
        ("rpn.images.short_side", 90, "rpn.images.short_side is not what"),
        ("optimizer.kind", "sgd", "optimizer.kind and optimizer.layer_decay must stay"),
    ],
)
def test_what_cannot_be_changed_in_mid_run_is_refused(
    key: str, value: object, message: str, photographs: Path, tiny: Tiny, tmp_path: Path
) -> None:
    go(photographs, tiny("loop.epochs=1", "optimizer.kind=adamw"), tmp_path / "run")
    _change(tmp_path / "run", key, value)
    with pytest.raises(InputError, match=message):
        run.resume(tmp_path / "run")


def test_a_photograph_that_goes_missing_is_one_sentence_from_a_worker_too(
    photographs: Path, tiny: Tiny, tmp_path: Path
) -> None:
    prepared = run.prepare(RunConfig(photographs, tiny("loop.workers=1")))
    for photo in (photographs / "train").glob("*.png"):
        photo.unlink()
    with pytest.raises(InputError, match=r"^\S+\.png: ") as caught:
        run.start(prepared, tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_boxes_that_are_no_numbers_stop_a_run_whatever_the_objective_makes_of_them(
    photographs: Path, tiny: Tiny, tmp_path: Path
) -> None:
    def poison(step: int, network: Any, *_: object) -> None:
        network.head.deltas.register_forward_hook(lambda *called: called[2] * float("nan"))

    settings = tiny("rpn.loss.objective=task-aligned", "rpn.loss.box=giou", "rpn.refinement.grid=2")
    with pytest.raises(NonFiniteLossError, match="non-finite deltas at level 0"):
        go(photographs, settings, tmp_path / "run", watchers=[Watcher(on_batch=poison)])


@pytest.mark.slow
def test_photographs_of_one_cell_train(photographs: Path, tiny: Tiny, tmp_path: Path) -> None:
    """A batch norm learns nothing of a single cell, and PyTorch refuses."""
    one_cell = ("rpn.images.short_side=12", "rpn.images.long_side=16", "rpn.anchors.sizes=8", "loop.batch_size=1")
    outcome = go(photographs, tiny("rpn.head.norm=batch", *one_cell), tmp_path / "run")
    assert len(outcome.rows) == 2


@pytest.mark.parametrize(
    "text", ["[1]", b"\xff\xfe\x00", '{"data": 5, "strict": false, "settings": {}}', '{"data":' + "[" * 100_000]
)
def test_a_broken_configuration_is_one_sentence(text: str | bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=r"config\.json is (damaged|not what|not UTF-8|not JSON)"):
        run.resume(tmp_path)


def test_a_checkpoint_in_a_run_folder_stands_for_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert run_folder(tmp_path / "last.safetensors") == tmp_path
    assert run_folder(tmp_path) == tmp_path
    with pytest.raises(InputError, match="is not a run folder"):
        run.resume(run_folder(tmp_path / "config.json"))


def test_a_run_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        new_folder(tmp_path / "file" / "run")
