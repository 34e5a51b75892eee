from __future__ import annotations

import numpy as np
import pytest

from objectness.calibration import Calibration
from objectness.engines import Candidates
from objectness.engines.candidates import select
from objectness.inference.tiling.choice import choose, of_fitting_size


def candidates(boxes_xyxy: list[list[float]], scores: list[float], levels: list[int] | None = None) -> Candidates:
    levels = [0] * len(scores) if levels is None else levels
    return Candidates(
        np.array(boxes_xyxy, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(levels, np.int64)
    )


@pytest.mark.parametrize(("place", "kept"), [("smaller", [2, 3]), ("reference", [0, 1, 2, 3]), ("larger", [0, 1, 2])])
def test_each_scale_gives_what_it_is_there_for(place: object, kept: list[int]) -> None:
    """By the square root of the area: 20, 47, 48 and 256 pixels."""
    boxes = [[5, 5, 15, 45], [0, 0, 47, 47], [0, 0, 48, 48], [10, 10, 266, 266]]
    found = of_fitting_size(candidates(boxes, [0.1, 0.2, 0.3, 0.4]), place, (24.0, 256.0))  # type: ignore[arg-type]
    assert found.scores.tolist() == np.array([0.1, 0.2, 0.3, 0.4], np.float32)[kept].tolist()


def test_one_scale_is_chosen_as_ever() -> None:
    draw = np.random.default_rng(0)
    corners = draw.uniform(0, 80, (500, 2))
    boxes = np.concatenate([corners, corners + draw.uniform(1, 60, (500, 2))], axis=1)
    levels = np.sort(draw.integers(0, 3, 500))
    found = candidates(boxes.tolist(), np.round(draw.uniform(0, 1, 500), 1).tolist(), levels.tolist())
    chosen = choose([((100, 100), found)], (100, 100), nms=0.5, top=80, min_side=3.0, calibration=None)
    expected = select(found, (100, 100), nms=0.5, top=80, smallest_hw=(3, 3))
    assert chosen.boxes_xyxy.tolist() == expected.boxes_xyxy.tolist()
    assert chosen.scores.tolist() == expected.scores.tolist()


def test_scales_are_joined_in_the_image_s_pixels() -> None:
    """A box that both scales found stays once, with the better score, whatever its levels; the calibration is last."""
    small = candidates([[10, 20, 30, 40], [0, 0, 5, 5]], [0.8, 0.3], [1, 0])
    full = candidates([[20, 40, 60, 81], [100, 100, 150, 150]], [0.6, 0.7], [0, 0])
    calibration = Calibration((0.0, 1.0), (0.0, 0.5))
    scales = [((100, 100), small), ((200, 200), full)]
    chosen = choose(scales, (200, 200), nms=0.8, top=3, min_side=1.0, calibration=calibration)
    assert chosen.boxes_xyxy.tolist() == [[20, 40, 60, 80], [100, 100, 150, 150], [0, 0, 10, 10]]
    assert chosen.scores.tolist() == pytest.approx([0.4, 0.35, 0.15])


def test_no_candidate() -> None:
    none = candidates([], [])
    chosen = choose([((9, 9), none)] * 2, (9, 9), nms=0.8, top=3, min_side=1.0, calibration=None)
    assert chosen.boxes_xyxy.shape == (0, 4)
