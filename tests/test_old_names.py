"""Settings under the names that they had in version 0.1."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from objectness.cli import app
from objectness.errors import InputError
from objectness.rpn.settings import RPNSettings
from objectness.settings import Settings, from_dict, old_names, override, to_dict
from objectness.training.recipes import recipe, task_aligned, two_stage
from objectness.training.settings import RunSettings

OLD_AND_NEW = [
    ("rpn.select.before_nms=7", "rpn.select.pre_nms_top_n=7"),
    ("rpn.select_train.after_nms=7", "rpn.select_train.post_nms_top_n=7"),
    ("rpn.align.score_power=2", "rpn.task_aligned.alpha=2"),
    ("rpn.align.iou_power=2", "rpn.task_aligned.beta=2"),
    ("rpn.align.focus=1", "rpn.task_aligned.gamma=1"),
    ("rpn.open.share=3", "rpn.oln.negatives_per_positive=3"),
    ("rpn.quality.use=both", "rpn.localization_quality.use=both"),
    ("rpn.refine.grid=3", "rpn.refinement.grid=3"),
    ("rpn.match.candidates=5", "rpn.match.atss_top_k=5"),
    ("rpn.head.own_convolutions=2", "rpn.head.tower_convolutions=2"),
    ("rpn.loss.objective=sampled", "rpn.loss.objective=faster-rcnn"),
    ("rpn.loss.objective=aligned", "rpn.loss.objective=task-aligned"),
    ("rpn.loss.objective=open-world", "rpn.loss.objective=oln"),
    ("rpn.sample.sampler=hard-loss", "rpn.sample.sampler=ohem"),
    ("rpn.align.positives=3", "rpn.task_aligned.top_k=3"),
    ("rpn.loss.normalise=samples", "rpn.loss.normalize=samples"),
    ("optimiser.lr=0.5", "optimizer.lr=0.5"),
    ("schedule.step_at=0.25,0.5", "schedule.milestones=0.25,0.5"),
    ("schedule.fall_from=0.5", "schedule.decay_start=0.5"),
    ("augment.colour=0.5", "augment.color_jitter=0.5"),
    ("augment.keep_visible=0.5", "augment.min_visibility=0.5"),
    ("loop.least_steps=9", "loop.min_steps=9"),
    ("start=mine.onnx", "initial_weights=mine.onnx"),
    ("recipe=aligned", "recipe=task-aligned"),
    ("start=default", "initial_weights=default"),
]


@pytest.mark.parametrize(("old", "new"), OLD_AND_NEW)
def test_an_assignment_by_its_old_name(old: str, new: str) -> None:
    start = two_stage()
    start = override(start, ["rpn.refinement.grid=0"])
    assert override(start, [old]) == override(start, [new])


@pytest.mark.parametrize(("old", "new"), OLD_AND_NEW)
def test_an_old_name_is_told_with_its_name_of_today(old: str, new: str) -> None:
    told = old_names(RunSettings(), {}, [old])
    key, value = old.partition("=")[::2]
    today, word = new.partition("=")[::2]
    assert told == ({key: today} if value == word else {old: new})
    assert old_names(RunSettings(), {}, [new]) == {}


def test_the_table_of_the_docs_holds_every_old_name() -> None:
    page = (Path(__file__).parents[1] / "docs" / "how-to" / "train.md").read_text()
    rows = {tuple(re.findall(r"`([^`]+)`", line)) for line in page.splitlines() if line.startswith("| `")}
    for old, _ in OLD_AND_NEW:
        (pair,) = old_names(RunSettings(), {}, [old]).items()
        groups = tuple(f"{key.rpartition('.')[0]}.*" for key in pair)
        assert pair in rows or groups in rows, pair
    declared = {pair for group in _groups(RunSettings()) for pair in group.RENAMED.items()}
    ends = {tuple(name.removesuffix(".*").rpartition(".")[2] for name in row) for row in rows if len(row) == 2}
    assert declared <= ends


def test_the_command_line_tells_old_names_once(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "mine.json").write_text(json.dumps({"recipe": "aligned", "loop": {"least_steps": 7}}))
    words = [
        "train",
        "--recipe",
        "task-aligned",
        "--settings",
        str(tmp_path / "mine.json"),
        "--show-settings",
        "--json",
    ]
    result = CliRunner().invoke(app, [*words, "--set", "optimiser.lr=0.5", "--set", "loop.epochs=3"])
    assert result.exit_code == 0, result.stderr
    told = [line for line in result.stderr.splitlines() if "old names" in line]
    assert told == [
        "Settings by old names, which the next version will not read: recipe=aligned is now recipe=task-aligned, "
        "loop.least_steps is now loop.min_steps, optimiser.lr is now optimizer.lr."
    ]
    assert json.loads(result.stdout)["loop"]["min_steps"] == 7
    assert "old names" not in CliRunner().invoke(app, ["train", "--recipe", "small", "--show-settings"]).stderr


def test_a_file_of_old_names() -> None:
    old = {
        "recipe": "refined",
        "rpn": {
            "select": {"before_nms": 11, "after_nms": 12},
            "align": {"score_power": 0.5, "focus": 1.5},
            "refine": {"grid": 2},
            "loss": {"objective": "aligned"},
        },
        "optimiser": {"lr": 0.25},
        "start": "default",
    }
    settings = from_dict(RunSettings, old)
    assert (settings.recipe, settings.optimizer.lr) == ("two-stage", 0.25)
    assert settings.initial_weights == "default"
    assert (settings.rpn.select.pre_nms_top_n, settings.rpn.select.post_nms_top_n) == (11, 12)
    assert (settings.rpn.task_aligned.alpha, settings.rpn.task_aligned.gamma) == (0.5, 1.5)
    assert (settings.rpn.refinement.grid, settings.rpn.loss.objective) == (2, "task-aligned")
    assert from_dict(RunSettings, to_dict(settings)) == settings


def test_old_and_new_name_together_are_refused() -> None:
    with pytest.raises(InputError, match=r"select.*given twice, also by its old name before_nms"):
        from_dict(RPNSettings, {"select": {"before_nms": 11, "pre_nms_top_n": 12}})


def test_recipes_by_their_old_names() -> None:
    assert recipe("aligned") == task_aligned()
    assert recipe("refined") == two_stage()


def _groups(settings: Settings) -> Iterator[Settings]:
    yield settings
    for field in fields(settings):
        if isinstance(value := getattr(settings, field.name), Settings):
            yield from _groups(value)
