from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from objectness.inference.tiling.cells import Cells, CellStore, LevelGrid


def cells(scores: list[float], index: list[int]) -> Cells:
    found = np.array(scores, np.float32)
    return Cells(found, np.repeat(found[:, None], 4, axis=1), np.array(index, np.int64))


@given(
    scores=st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75]), min_size=1, max_size=60),
    count=st.integers(1, 20),
    parts=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_the_best_in_any_order(scores: list[float], count: int, parts: int, seed: int) -> None:
    """As one stable sort of all would choose."""
    order = np.random.default_rng(seed).permutation(len(scores))
    store = CellStore(count)
    for places in np.array_split(order, parts):
        floor = store.floor
        store.add(cells([scores[place] for place in places], places.tolist()))
        assert store.floor >= floor
    found = store.best()
    expected = np.argsort(-np.array(scores), kind="stable")[:count]
    assert found.index.tolist() == expected.tolist()
    assert found.scores.tolist() == [scores[place] for place in expected]
    assert (found.deltas == found.scores[:, None]).all()
    assert store.floor <= min(found.scores) or len(scores) < count


def test_an_earlier_store_goes_on() -> None:
    store = CellStore(2, cells([0.5, 0.25], [7, 3]))
    store.add(cells([0.5, 0.5], [9, 1]))
    assert store.best().index.tolist() == [1, 7]


def test_no_cell() -> None:
    assert len(CellStore(3).best()) == 0


def test_places_on_the_whole_image() -> None:
    grid = LevelGrid(stride=16, pitch=100, anchors_xyxy=np.array([[-8, -8, 24, 24], [0, 0, 16, 8]], np.float32))
    index = grid.index(3, 5, (1, 2, 2))
    assert index.tolist() == [610, 611, 612, 613]
    assert grid.anchors_of(index).tolist() == [
        [72, 40, 104, 72],
        [80, 48, 96, 56],
        [88, 40, 120, 72],
        [96, 48, 112, 56],
    ]
