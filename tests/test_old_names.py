"""Settings under the names that they had in version 0.1."""

from __future__ import annotations

import pytest

from objectness.errors import InputError
from objectness.rpn.settings import RPNSettings
from objectness.settings import from_dict, override, to_dict
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
    ("optimiser.lr=0.5", "optimizer.lr=0.5"),
    ("recipe=aligned", "recipe=task-aligned"),
    ("start=default", "initial_weights=default"),
]


@pytest.mark.parametrize(("old", "new"), OLD_AND_NEW)
def test_an_assignment_by_its_old_name(old: str, new: str) -> None:
    start = two_stage()
    start = override(start, ["rpn.refinement.grid=0"])
    assert override(start, [old]) == override(start, [new])


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
