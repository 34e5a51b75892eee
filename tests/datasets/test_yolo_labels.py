"""Label lines read as ground truth and as proposals: one parser, so the same boxes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectness import formats
from objectness.datasets import load_dataset
from objectness.datasets.yolo_labels import BadLine, LabelLine, declared_keypoints, has_tracks, label_lines
from objectness.errors import InputError

YAML = "train: images\nnames:\n  0: fish\n"


def data_set(making: Any, root: Path, line: str, yaml: str = YAML) -> Path:
    making.image(root / "images" / "a.png", 100, 80)
    making.write(root / "labels" / "a.txt", line)
    making.write(root / "data.yaml", yaml)
    return root


@pytest.mark.parametrize(
    ("line", "yaml"),
    [
        ("0 0.5 0.5 0.2 0.4", YAML),
        ("0 0.5 0.5 0.2 0.4 0.9", YAML),
        ("0 0.4 0.3 0.6 0.3 0.6 0.7", YAML),
        ("0 0.5 0.5 0.2 0.4 0.5 0.5 2", f"{YAML}kpt_shape: [1, 3]\n"),
        ("0 0.5 0.5 0.2 0.4 0.45 0.5 0.5 0.5", f"{YAML}kpt_shape:\n  - 2\n  - 2\n"),
        ("0 0.5 0.5 0.2 0.4 0.9 7", YAML),
    ],
)
def test_ground_truth_and_proposals_agree(making: Any, tmp_path: Path, line: str, yaml: str) -> None:
    root = data_set(making, tmp_path, line, yaml)
    found = load_dataset(root).records[0].boxes_xyxy
    np.testing.assert_allclose(found, [[40, 24, 60, 56]], atol=1e-4)
    np.testing.assert_allclose(formats.read_proposals(root)[1].boxes_xyxy, found, atol=1e-4)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.5 x 0.2 0.4", "line 1 holds something that is not a number"),
        ("-1 0.5 0.5 0.2 0.4", "line 1 has the class -1, which is no whole number from 0"),
        ("1e400 0.5 0.5 0.2 0.4", "line 1 has the class 1e400, which is no whole number from 0"),
    ],
)
def test_a_bad_line_is_a_problem_there_and_an_error_here(making: Any, tmp_path: Path, line: str, reason: str) -> None:
    root = data_set(making, tmp_path, line)
    (problem,) = load_dataset(root).problems
    assert problem.detail == f"{reason}: {line!r}"
    with pytest.raises(InputError, match=reason):
        formats.read_proposals(root, "yolo")


@pytest.mark.parametrize(
    ("shape", "count"), [([17, 3], 51), ([4, 2], 8), ([4, 5], 0), ([0, 3], 0), ("17, 3", 0), (None, 0), ([True, 3], 3)]
)
def test_declared_keypoints(shape: object, count: int) -> None:
    assert declared_keypoints({"kpt_shape": shape}) == count


@pytest.mark.parametrize(
    ("lines", "tracked"),
    [
        (["0 .5 .5 .1 .1 .9 1", "0 .5 .5 .1 .1 .9 1"], True),
        (["0 .5 .5 .1 .1 .9 2"], True),
        (["0 .5 .5 .1 .1 .9 1"], False),  # an outline that ends at the border
        (["0 .5 .5 .1 .1 .9 2", "0 .1 .1 .2 .1 .2 .2"], False),
        (["0 .5 .5 2 .1 .9 2"], False),
    ],
)
def test_tracks(tmp_path: Path, lines: Sequence[str], tracked: bool) -> None:
    (tmp_path / "a.txt").write_text("\n\n".join(lines))
    assert has_tracks(label_lines(tmp_path / "a.txt")) is tracked


def test_lines_are_numbered_as_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n3 .5 .5 .2 .2\n\nrubbish\n")
    good, bad = label_lines(tmp_path / "a.txt")
    assert isinstance(good, LabelLine)
    assert isinstance(bad, BadLine)
    assert (good.number, good.class_id, bad.number) == (2, 3, 4)
