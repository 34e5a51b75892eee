"""Training of a detector: jointly, in four steps, and on proposals from a file."""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from objectness.detector.checkpoint import load_detector
from objectness.errors import InputError
from objectness.formats import write_proposals
from objectness.inference.loading import load
from objectness.proposals import Proposals
from objectness.settings import override
from objectness.training import run
from objectness.training.alternating import STEPS
from objectness.training.checkpoints import BEST_FILE, LAST_FILE, STATE_FILE
from objectness.training.loop import TrainingResult, Watcher
from objectness.training.run_config import RunConfig, read_config
from objectness.training.settings import RunSettings
from objectness.training.splits import read_splits

Tiny = Callable[..., RunSettings]
DETECTOR = (
    "scheme=joint",
    "detector.head.layers=16",
    "detector.pool.size=3",
    "detector.select.proposals=50",
    "rpn.select_train.post_nms_top_n=60",
    "loop.epochs=1",
)


@pytest.fixture
def named(photographs: Path) -> Path:
    """The photographs with two classes, which the two parts of the data set list in different orders."""
    for split, categories in (("train", ("cat", "dog")), ("val", ("dog", "cat"))):
        file = photographs / f"instances_{split}.json"
        document = json.loads(file.read_text())
        document["categories"] = [{"id": index, "name": name} for index, name in enumerate(categories, start=1)]
        for annotation in document["annotations"]:
            left = annotation["bbox"][0] < 40
            annotation["category_id"] = categories.index("cat" if left else "dog") + 1
        file.write_text(json.dumps(document))
    return photographs


def settings_of(tiny: Tiny, *more: str) -> RunSettings:
    return override(tiny(), [*DETECTOR, *more])


def state(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / STATE_FILE)


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def go(
    data: Path, settings: RunSettings, folder: Path, proposals: tuple[Path, ...] = (), **more: Any
) -> TrainingResult:
    return run.begin(RunConfig(data, settings, proposals=proposals), folder, **more)


def stop_at(step: int) -> Watcher:
    return Watcher(on_step=lambda report: signal.raise_signal(signal.SIGINT) if report.step == step else None)


def test_classes_go_by_name(named: Path, tiny: Tiny) -> None:
    splits = read_splits(RunConfig(named, settings_of(tiny)))
    for dataset in (splits.training, splits.validation):
        assert dataset.class_names == ("cat", "dog")
        for record in dataset.records:
            assert record.class_ids.tolist() == [int(box[0] > 40) for box in record.boxes_xyxy]
    only = read_splits(RunConfig(named, settings_of(tiny, "data.only_classes=dog")))
    assert only.training.class_names == only.validation.class_names == ("dog",)
    assert {label for record in only.training.records for label in record.class_ids.tolist()} == {0}


@pytest.mark.slow
def test_a_joint_run(named: Path, tiny: Tiny, tmp_path: Path) -> None:
    done = go(named, settings_of(tiny), tmp_path / "run")
    (row,) = csv.DictReader((tmp_path / "run" / "results.csv").open())
    parts = [float(row[f"loss {name}"]) for name in ("objectness", "box", "class", "class box")]
    assert all(part > 0 for part in parts)
    assert float(row["loss"]) == pytest.approx(sum(parts), rel=1e-4)
    assert done.metric == "mAP"
    assert done.best == pytest.approx(float(row["mAP"]), abs=1e-5)
    assert done.best_ar100 is None
    network, details = load_detector(done.best_checkpoint)
    assert network.class_names == ("cat", "dog")
    assert details["validation"]["images"] == 2
    assert len(load(tmp_path / "run")(named / "val" / "1.png")) > 0  # its RPN proposes


@pytest.mark.slow
def test_a_joint_run_stopped_and_resumed_equals_an_unbroken_one(named: Path, tiny: Tiny, tmp_path: Path) -> None:
    settings = settings_of(tiny, "detector.head.dropout=0.3", "loop.ema=0.9")
    go(named, settings, tmp_path / "unbroken")
    assert go(named, settings, tmp_path / "stopped", watchers=[stop_at(2)]).interrupted
    assert not equal(state(tmp_path / "unbroken"), state(tmp_path / "stopped"))
    assert not run.resume(tmp_path / "stopped").interrupted
    assert equal(state(tmp_path / "unbroken"), state(tmp_path / "stopped"))


@pytest.mark.slow
def test_a_run_that_starts_from_a_detector_takes_its_box_head_over(named: Path, tiny: Tiny, tmp_path: Path) -> None:
    go(named, settings_of(tiny), tmp_path / "first")
    notes: list[str] = []
    settings = settings_of(tiny, f"initial_weights={tmp_path / 'first'}", "optimizer.lr=0", "loop.ema=0")
    go(named, settings, tmp_path / "second", notify=notes.append)
    before, after = (load_detector(tmp_path / name / BEST_FILE)[0] for name in ("first", "second"))
    assert equal(before.roi.state_dict(), after.roi.state_dict())
    assert any("Its box head goes on." in note for note in notes)


@pytest.mark.slow
def test_resuming_with_other_classes_is_refused(named: Path, tiny: Tiny, tmp_path: Path) -> None:
    go(named, settings_of(tiny), tmp_path / "run", watchers=[stop_at(1)])
    file = named / "instances_train.json"
    file.write_text(file.read_text().replace('"dog"', '"wolf"'))
    with pytest.raises(InputError, match="trained for the classes cat, dog, and its data now have cat, wolf"):
        run.resume(tmp_path / "run")


@pytest.mark.slow
def test_four_steps_end_in_one_network_with_shared_layers(named: Path, tiny: Tiny, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = go(named, settings_of(tiny, "scheme=alternating", "loop.ema=0.9"), folder)
    assert done.folder == folder
    steps = [load_file(folder / name / LAST_FILE) for name in STEPS]
    best = [load_file(folder / name / BEST_FILE) for name in STEPS]
    backbone = [key for key in best[0] if key.startswith("backbone.")]
    assert backbone
    # Step 2 shares nothing with step 1.
    assert any(not torch.equal(steps[0][key], steps[1][f"rpn.{key}"]) for key in backbone)
    # Steps 3 and 4 leave the layers of step 2 as they are, to the bit, with the statistics of their norms.
    for key in backbone:
        assert torch.equal(best[1][f"rpn.{key}"], steps[2][key])
        assert torch.equal(best[1][f"rpn.{key}"], steps[3][f"rpn.{key}"])
    # Step 3 has a head of its own, which step 4 leaves as it is.
    heads = [key for key in best[2] if key.startswith("head.")]
    assert any(not torch.equal(best[0][key], best[2][key]) for key in heads)
    assert all(torch.equal(best[2][key], steps[3][f"rpn.{key}"]) for key in heads)
    # Step 4 trains the detector's own layers.
    own = [key for key in steps[3] if key.startswith("roi.")]
    assert any(not torch.equal(best[1][key], steps[3][key]) for key in own)
    assert equal(load_file(folder / BEST_FILE), best[3])
    rows = [list(csv.DictReader((folder / name / "results.csv").open())) for name in STEPS]
    assert [int(one[-1]["step"]) for one in rows] == [3, 2, 3, 2]  # half as many of the detector's, rounded
    assert not load_detector(done.best_checkpoint)[0].foreign_proposals


@pytest.mark.slow
@pytest.mark.parametrize("stop", [2, 4, 7])  # in the first, second and third step
def test_four_steps_stopped_and_resumed_equal_unbroken_ones(stop: int, named: Path, tiny: Tiny, tmp_path: Path) -> None:
    settings = settings_of(tiny, "scheme=alternating")
    go(named, settings, tmp_path / "unbroken")
    updates = 0

    def count(report: object) -> None:
        nonlocal updates
        updates += 1
        if updates == stop:
            signal.raise_signal(signal.SIGINT)

    stopped = go(named, settings, tmp_path / "stopped", watchers=[Watcher(on_step=count)])
    assert stopped.interrupted
    assert stopped.folder == tmp_path / "stopped"
    assert not run.resume(tmp_path / "stopped").interrupted
    assert equal(load_file(tmp_path / "unbroken" / BEST_FILE), load_file(tmp_path / "stopped" / BEST_FILE))


def _written(path: Path, data: Path, split: str, ids: range) -> Path:
    boxes = np.array([[10, 12, 50, 52], [80, 50, 120, 90], [0, 0, 60, 60]], np.float32)
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    found = {i: Proposals(boxes, scores, (120, 160), str(data / split / f"{i}.png")) for i in ids}
    write_proposals(path, found, "detectron2" if path.suffix == ".pkl" else "coco-results")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".json", ".pkl"])
def test_on_proposals_from_files(suffix: str, named: Path, tiny: Tiny, tmp_path: Path) -> None:
    files = (
        _written(tmp_path / f"train{suffix}", named, "train", range(1, 6)),
        _written(tmp_path / f"val{suffix}", named, "val", range(1, 3)),
    )
    notes: list[str] = []
    settings = settings_of(tiny, "scheme=fast-rcnn", "loop.epochs=2")
    done = go(named, settings, tmp_path / "run", files, notify=notes.append)
    assert any("train" in note and "1 of 6 photographs for training have no proposals" in note for note in notes)
    assert done.best is not None
    network, _ = load_detector(done.best_checkpoint)
    assert network.foreign_proposals
    with pytest.raises(InputError, match="trained on the proposals of a file"):
        load(tmp_path / "run")
    assert read_config(tmp_path / "run").proposals == files
    go(named, settings, tmp_path / "stopped", files, watchers=[stop_at(2)])
    run.resume(tmp_path / "stopped")
    assert equal(state(tmp_path / "run"), state(tmp_path / "stopped"))


def test_proposals_that_do_not_belong(named: Path, tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="give a file of them, or one for training and one for validation; there are 0"
    ):
        go(named, settings_of(tiny, "scheme=fast-rcnn"), tmp_path / "run")
    file = _written(tmp_path / "train.json", named, "train", range(1, 6))
    with pytest.raises(InputError, match="makes its own proposals"):
        go(named, settings_of(tiny), tmp_path / "run", (file,))
    with pytest.raises(InputError, match="have ids in common"):
        go(named, settings_of(tiny, "scheme=fast-rcnn"), tmp_path / "run", (file,))
    assert not (tmp_path / "run").exists()
