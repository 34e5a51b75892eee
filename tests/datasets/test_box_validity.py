from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from objectness.datasets import Record, box_validity
from objectness.datasets.record_builder import Row, build_record
from objectness.datasets.records import ProblemKind

SIZE = (30, 40)


def one(*box: float) -> np.ndarray:
    return np.array([box], dtype=np.float32)


def kinds(box: np.ndarray, tolerance_px: float = box_validity.TOLERANCE_PX) -> list[str]:
    return [kind for kind, mask in box_validity.box_faults(box, SIZE, tolerance_px).items() if mask.any()]


def test_no_boxes_have_no_faults() -> None:
    faults = box_validity.box_faults(np.empty((0, 4), np.float32), SIZE)
    assert {kind: mask.shape for kind, mask in faults.items()} == dict.fromkeys(faults, (0,))


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ((0, 0, 40, 30), None),
        ((5, 5, 6.5, 6.5), None),
        ((-1, -1, 41, 31), None),
        ((np.nan, 0, 5, 5), ProblemKind.NON_FINITE),
        ((0, 0, np.inf, 5), ProblemKind.NON_FINITE),
        ((5, 5, 5, 9), ProblemKind.DEGENERATE),
        ((9, 5, 5, 9), ProblemKind.DEGENERATE),
        ((5, 5, 9, 6), ProblemKind.DEGENERATE),
        ((50, 50, 60, 60), ProblemKind.OUTSIDE),
        ((39, 5, 60, 9), ProblemKind.OUTSIDE),
        ((38, 5, 60, 9), ProblemKind.STICKS_OUT),
        ((-1.5, 0, 9, 9), ProblemKind.STICKS_OUT),
        ((-3e38, 0, 3e38, 9), ProblemKind.STICKS_OUT),
    ],
)
def test_each_rule(box: tuple[float, ...], kind: str | None) -> None:
    assert kinds(one(*box)) == ([kind] if kind else [])


def test_a_smaller_tolerance_names_more() -> None:
    assert kinds(one(-0.5, 0, 9, 9), box_validity.STRICT_TOLERANCE_PX) == [ProblemKind.STICKS_OUT]
    assert kinds(one(-0.01, 0, 9, 9), box_validity.STRICT_TOLERANCE_PX) == []


def test_without_a_size_nothing_is_outside() -> None:
    assert not any(mask.any() for mask in box_validity.box_faults(one(500, 500, 900, 900), None).values())


@given(hnp.arrays(np.float32, (7, 4), elements=st.floats(width=32)))
def test_no_box_breaks_two_rules(boxes: np.ndarray) -> None:
    assert np.sum(list(box_validity.box_faults(boxes, SIZE).values()), axis=0).max() <= 1


def record(*boxes: tuple[float, float, float, float], size_hw: tuple[int, int] | None = SIZE) -> Record:
    return build_record(1, Path("a.png"), size_hw, [Row(box, 0) for box in boxes])


def test_sentences_name_file_and_box() -> None:
    problems = box_validity.box_problems(record((0, 0, 9, 9), (90, 0, 99, 9), (3, 3, 3, 8)), SIZE)
    assert [str(problem) for problem in problems] == [
        "a.png, box 2: [90, 0, 99, 9] lies outside the image of 40 x 30",
        "a.png, box 3: [3, 3, 3, 8] is 0 px wide and 5 px high",
    ]


def test_a_declared_size_that_differs() -> None:
    assert box_validity.size_problem(record(), SIZE) is None
    assert box_validity.size_problem(record(size_hw=None), SIZE) is None
    other = box_validity.size_problem(record(size_hw=(30, 41)), SIZE)
    assert other is not None
    assert "says 41 x 30 (width x height), the upright image has 40 x 30" in other.detail
    turned = box_validity.size_problem(record(size_hw=(40, 30)), SIZE)
    assert turned is not None
    assert "EXIF" in turned.detail
