from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from objectness.errors import InputError
from objectness.inference.tiling import features
from objectness.inference.tiling.features import FeatureStore


@pytest.fixture(params=["memory", "temporary file", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeatureStore:
    if request.param != "memory":
        monkeypatch.setattr(features, "MOST_BYTES_IN_MEMORY", 0)
    return FeatureStore([(6, 9), (4, 5)], 3, tmp_path / "features.bin" if request.param == "file" else None)


def block(height: int, width: int, start: int) -> NDArray[np.float32]:
    return np.arange(start, start + height * width * 3, dtype=np.float32).reshape(height, width, 3)


def test_what_is_written_is_read(store: FeatureStore) -> None:
    """In any order, and again in the same place; rows end where the widest block ends."""
    right, left, low = block(2, 3, 100), block(2, 4, 500), block(1, 7, 900)
    store.write(0, 0, 4, right)
    store.write(0, 0, 0, left)
    store.write(0, 2, 0, low)
    store.write(0, 0, 4, right)
    store.write(1, 0, 0, block(3, 4, 7000))
    store.write(1, 2, 2, block(0, 5, 0))
    assert (store.extent(0), store.extent(1)) == ((3, 7), (3, 4))
    assert (store.row(0, 1) == np.concatenate([left[1], right[1]])).all()
    assert (store.row(0, 2) == low[0]).all()
    assert (store.row(1, 2) == block(3, 4, 7000)[2]).all()
    store.close()


def test_a_file_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "features.bin"
    store = FeatureStore([(6, 9)], 3, path)
    store.write(0, 0, 0, block(6, 9, 0))
    store.close()
    path.write_bytes(path.read_bytes()[:100])
    again = FeatureStore([(6, 9)], 3, path)
    again.resume([(6, 9)])
    with pytest.raises(InputError, match="the features of an earlier run are cut short there; start without resume"):
        again.row(0, 3)
    again.close()
