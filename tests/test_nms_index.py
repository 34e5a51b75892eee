from __future__ import annotations

import numpy as np
import pytest

from objectness.boxes import iou
from objectness.nms_index import OverlapIndex

THRESHOLDS = [0.0, 0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 0.95, 1.0]


def some_boxes(seed: int, count: int = 300) -> np.ndarray:
    """Sides of 1 to 400 px, half of the boxes close to another one."""
    rng = np.random.default_rng(seed)
    sides = np.exp(rng.uniform(0, np.log(400), (count, 2)))
    corner = rng.uniform(-100, 500, (count, 2))
    half = count // 2
    corner[half:] = corner[: count - half] + rng.normal(0, 0.1, (count - half, 2)) * sides[: count - half]
    sides[half:] = sides[: count - half] * np.exp(rng.normal(0, 0.2, (count - half, 2)))
    return np.concatenate([corner, corner + sides], axis=1).astype(np.float32)


def found(near: OverlapIndex, queries: list[int], inside: list[int]) -> set[tuple[int, int]]:
    directory = near.directory(np.array(inside, dtype=np.int64))
    runs = near.runs(np.array(queries, dtype=np.int64), directory)
    return {(int(i), int(j)) for part in near.pairs(runs, directory) for i, j in zip(*part, strict=True)}


def test_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 8], [3, 0, 13, 10], [0, 0, 10, 4]], dtype=np.float32)
    near = OverlapIndex(boxes, 0.5)  # 0 and 1: 80/100; 0 and 2: 70/130; 1 and 2: 56/124; 1 and 3: 40/80, not above
    assert found(near, [0, 1, 2, 3], [0, 1, 2, 3]) == {(0, 0), (1, 1), (2, 2), (3, 3), (0, 1), (1, 0), (0, 2), (2, 0)}
    assert found(near, [2], [0, 1]) == {(2, 0)}


@pytest.mark.parametrize(("queries", "inside"), [([], []), ([], [0, 1]), ([0, 1], [])])
def test_nobody_asks_or_nobody_is_there(queries: list[int], inside: list[int]) -> None:
    assert found(OverlapIndex(some_boxes(0), 0.5), queries, inside) == set()


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("seed", range(4))
def test_exactly_the_pairs_above_the_threshold(threshold: float, seed: int) -> None:
    boxes = some_boxes(seed)
    overlaps = iou(boxes, boxes).astype(np.float64)
    queries, inside = list(range(0, 300, 2)), list(range(0, 300, 3))
    want = {(i, j) for i in queries for j in inside if overlaps[i, j] > threshold}
    assert found(OverlapIndex(boxes, threshold), queries, inside) == want


def test_groups_are_apart() -> None:
    boxes, groups = some_boxes(5), np.arange(300) % 3
    everyone = list(range(300))
    want = {pair for pair in found(OverlapIndex(boxes, 0.4), everyone, everyone) if groups[pair[0]] == groups[pair[1]]}
    assert found(OverlapIndex(boxes, 0.4, groups), everyone, everyone) == want
    assert found(OverlapIndex(boxes, 0.4, groups * 10**9 - 5), everyone, everyone) == want


def test_few_pairs_are_looked_at() -> None:
    """The point of it: of 9 million pairs of boxes on a large canvas, almost none."""
    rng = np.random.default_rng(6)
    corner = rng.uniform(0, 5000, (3000, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(20, 200, (3000, 2))], axis=1).astype(np.float32)
    near, everyone = OverlapIndex(boxes, 0.7), np.arange(3000)
    looked_at = near.runs(everyone, near.directory(everyone)).total
    assert 3000 <= looked_at < 20_000


def test_parts_of_the_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes, everyone = some_boxes(7), list(range(300))
    whole = found(OverlapIndex(boxes, 0.1), everyone, everyone)
    monkeypatch.setattr("objectness.nms_index._PAIRS_AT_A_TIME", 5)  # fewer than one box has
    assert found(OverlapIndex(boxes, 0.1), everyone, everyone) == whole
