from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor
from torchvision.ops import roi_align

from objectness.errors import InputError
from objectness.rpn.extensions.refinement_head import Correct, RefinementHead, grid_features, refine_best
from objectness.rpn.extensions.settings import RefinementSettings
from objectness.rpn.selection import candidates
from objectness.rpn.settings import LossSettings, RPNSettings, SelectSettings

NOBODY = torch.zeros(0, 4)
OBJECT = torch.tensor([[10.0, 10, 30, 30]])
SETTINGS = RefinementSettings(grid=3, channels=4, hidden=8)


def ramp(height: int, width: int) -> Tensor:
    """A map whose two channels say where a cell's centre is, in cells."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y], dim=2)


def test_no_boxes_have_no_features() -> None:
    assert grid_features(ramp(4, 5), NOBODY, 8, 3, 1.0).shape == (0, 9, 2)


def test_points_of_a_grid_by_hand() -> None:
    """Two points a side of (8, 16, 40, 48) at stride 8: a quarter and three quarters of 4 cells, from cells 1 and 2."""
    found = grid_features(ramp(10, 10), torch.tensor([[8.0, 16, 40, 48]]), 8, 2, 1.0)[0]
    torch.testing.assert_close(found, torch.tensor([[2.0, 3], [4, 3], [2, 5], [4, 5]]))
    wider = grid_features(ramp(10, 10), torch.tensor([[8.0, 16, 40, 48]]), 8, 2, 1.5)[0]
    torch.testing.assert_close(wider, torch.tensor([[1.5, 2.5], [4.5, 2.5], [1.5, 5.5], [4.5, 5.5]]))


def test_points_outside_read_the_border() -> None:
    found = grid_features(ramp(4, 4), torch.tensor([[-80.0, 0, -40, 8]]), 8, 1, 1.0)[0]
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.5]]))


def test_equals_roi_align_with_its_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    feature_map = torch.randn(17, 23, 8, generator=generator, requires_grad=True)
    boxes = torch.tensor([[4.0, 4, 40, 60], [30, 20, 100, 90], [7, 5, 9, 6.5]])
    ours = grid_features(feature_map, boxes, 8, 5, 1.0)
    theirs = roi_align(feature_map.permute(2, 0, 1)[None], [boxes], (5, 5), 1 / 8, 1, aligned=True)
    theirs = theirs.flatten(2).permute(0, 2, 1)
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn(ours.shape, generator=generator)
    gradients = [torch.autograd.grad((found * weight).sum(), feature_map)[0] for found in (ours, theirs)]
    torch.testing.assert_close(*gradients)


def test_an_untrained_second_stage_changes_next_to_nothing() -> None:
    torch.manual_seed(0)
    stage = RefinementHead(6, (8, 16), SETTINGS)
    maps = stage([torch.randn(1, 6, 8, 8), torch.randn(1, 6, 4, 4)])
    assert [tuple(level.shape) for level in maps] == [(1, 8, 8, 4), (1, 4, 4, 4)]
    deltas, margins = stage.correct([level[0] for level in maps], 1, OBJECT, torch.tensor([0.5]))
    torch.testing.assert_close(deltas, torch.zeros(1, 4), atol=0.005, rtol=0)
    torch.testing.assert_close(margins, torch.tensor([0.5]), atol=0.02, rtol=0)


def test_a_level_looks_at_the_finer_map() -> None:
    torch.manual_seed(0)
    stage = RefinementHead(6, (8, 16), SETTINGS)
    torch.nn.init.normal_(stage.predictor.weight)
    maps = [level[0] for level in stage([torch.randn(1, 6, 8, 8), torch.randn(1, 6, 4, 4)])]
    once = stage.correct(maps, 1, OBJECT, torch.zeros(1))
    torch.testing.assert_close(once, stage.correct([maps[0], 0 * maps[1]], 1, OBJECT, torch.zeros(1)))
    same_level = RefinementHead(6, (8, 16), replace(SETTINGS, finer=0))
    same_level.load_state_dict(stage.state_dict())
    assert not torch.allclose(once[1], same_level.correct(maps, 1, OBJECT, torch.zeros(1))[1])


def refined(
    anchors: Tensor, logits: Tensor, correct: Correct, count: int, deltas: Tensor | None = None, clamp: float = 4.0
) -> tuple[list[list[float]], list[float]]:
    """Candidates of one level in an image of 60 x 60 pixels."""
    select = SelectSettings()
    refine = partial(refine_best, correct, count, (60, 60), select, clamp)
    deltas = torch.zeros(len(anchors), 4) if deltas is None else deltas
    found = candidates([torch.sigmoid(logits)], [deltas], [anchors], (60, 60), select, clamp, refine)
    return found.boxes_xyxy.tolist(), found.scores.tolist()


def select(correct: Correct, count: int) -> tuple[list[list[float]], list[float]]:
    anchors = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
    return refined(anchors, torch.tensor([0.0, 2, 1]), correct, count)


def test_only_the_best_are_corrected_and_clipped() -> None:
    asked = []

    def correct(level: int, boxes: Tensor, margins: Tensor) -> tuple[Tensor, Tensor]:
        asked.append((level, boxes.tolist(), margins.tolist()))
        return torch.tensor([[0.0, 0, 0, math.log(2)]]).expand(len(boxes), 4), margins - 3

    boxes, scores = select(correct, 2)
    assert asked[0][:2] == (0, [[20, 0, 30, 10], [40, 0, 50, 10]])
    assert asked[0][2] == pytest.approx([2, 1], abs=1e-5)
    assert boxes == [[0, 0, 10, 10], [20, 0, 30, 15], [40, 0, 50, 15]]  # the one that nobody looked at is best now
    expected = torch.sigmoid(torch.tensor([0.0, -1.0, -2.0]))
    assert scores == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.parametrize("broken", [[9.0, 0, 0, 0], [math.nan] * 4, [0.0, 0, -9, 0]])
def test_a_correction_that_cannot_be_used_leaves_the_box_as_it_was(broken: list[float]) -> None:
    boxes, scores = select(lambda level, boxes, margins: (torch.tensor([broken]), margins + 1), 1)
    assert boxes[0] == [20, 0, 30, 10]
    assert scores[0] == pytest.approx(torch.sigmoid(torch.tensor(2.0)).item())


def test_the_second_stage_decodes_as_far_as_the_first() -> None:
    def wider(level: int, boxes: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tensor([[0.0, 0, math.log(4), 0]]), logits

    anchors = torch.tensor([[20.0, 20, 30, 30]])
    boxes, _ = refined(anchors, torch.zeros(1), wider, 1, clamp=math.log(2))
    assert boxes == [pytest.approx([15, 20, 35, 30])]


def test_a_score_that_is_no_number_is_not_taken() -> None:
    _, scores = select(lambda level, boxes, margins: (torch.zeros(1, 4), margins + math.nan), 1)
    assert scores[0] == pytest.approx(torch.sigmoid(torch.tensor(2.0)).item())


def test_a_second_stage_is_not_asked_about_boxes_that_are_no_numbers() -> None:
    torch.manual_seed(0)
    stage = RefinementHead(6, (8,), SETTINGS)
    maps = [level[0] for level in stage([torch.randn(1, 6, 8, 8)])]
    anchors = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    deltas = torch.tensor([[math.nan] * 4, [0.0] * 4])
    boxes, _ = refined(anchors, torch.tensor([0.0, 1]), lambda *given: stage.correct(maps, *given), 2, deltas)
    assert boxes == [pytest.approx([20, 0, 30, 10], abs=0.1)]


def test_a_second_stage_and_open_world_training_exclude_each_other() -> None:
    with pytest.raises(InputError, match=r"refinement\.grid must be 0 where loss\.objective is oln"):
        RPNSettings(loss=LossSettings(objective="oln"), refinement=RefinementSettings(grid=2))


@pytest.mark.parametrize("setting", [{"grid": -1}, {"channels": 0}, {"margin": 0.0}, {"weight": -1.0}])
def test_settings_out_of_range_are_refused_by_name(setting: dict[str, float]) -> None:
    with pytest.raises(InputError, match=rf"^{next(iter(setting))} must be "):
        RefinementSettings(**setting)  # type: ignore[arg-type]
