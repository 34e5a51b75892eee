"""Parquet of strangers: bounded before it is decoded, one sentence for what is odd."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectness import formats
from objectness.errors import InputError
from objectness.formats import parquet, read_proposals
from objectness.proposals import Proposals

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

CORNERS = ("x1", "y1", "x2", "y2")


def written(path: Path, columns: dict[str, Any]) -> Path:
    pq.write_table(pa.table(columns), path, compression="zstd")
    return path


def same(count: int, **more: Any) -> dict[str, Any]:
    zeros = pa.array(np.zeros(count, np.float32))
    return {"image_id": pa.array(np.zeros(count, np.int64)), **dict.fromkeys(CORNERS, zeros), **more}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (lambda: same(3_000_000), r"bytes would unfold into 3,000,000 rows"),
        (lambda: same(200, image_id=pa.array(["x" * 2_000_000 + str(n) for n in range(200)])), "would unfold into 200"),
        (lambda: same(9, image_id=pa.DictionaryArray.from_arrays([0] * 9, ["y" * 200_000])), "200,000 characters"),
        (lambda: same(9, path=pa.DictionaryArray.from_arrays([0] * 9, ["y" * 200_000])), "200,000 characters"),
        (lambda: same(1, path=pa.array([b"caf\xe9"], pa.binary()).cast(pa.string(), safe=False)), "neither whole"),
        (lambda: same(1, x1=pa.array([[0.0] * 1_000_000])), "'x1' holds lists or records"),
        (lambda: same(1, image_id=pa.array([10**30], pa.decimal128(38))), "image_id .* is no whole number and no text"),
        (lambda: same(1, x1=pa.array(["a"])), "column 'x1' does not hold numbers"),
    ],
)
def test_small_files_that_unfold_are_refused(columns: Any, says: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", columns())
    assert path.stat().st_size < 200_000
    before = pa.total_allocated_bytes()
    with pytest.raises(InputError, match=says):
        read_proposals(path, "parquet")
    assert pa.total_allocated_bytes() - before < 1 << 20


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    names = ["image_id", "x1", "x1", "y1", "x2", "y2"]
    pq.write_table(pa.Table.from_arrays([pa.array([1.0])] * 6, names=names), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="2 columns 'x1': keep one"):
        read_proposals(tmp_path / "a.parquet", "parquet")


def test_a_footer_may_not_lie_about_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.parquet", same(70_000))
    monkeypatch.setattr(parquet, "_MOST_UNPACKED", 1000)
    monkeypatch.setattr(parquet, "_refuse_bombs", lambda *_: None)
    with pytest.raises(InputError, match="unfolds into far more than its size"):
        read_proposals(path, "parquet")


def test_widths_that_no_image_has(tmp_path: Path) -> None:
    written(tmp_path / "a.parquet", same(1))
    wide = pa.array([10**70], pa.decimal256(76))
    written(tmp_path / "a.images.parquet", {"image_id": pa.array([0]), "width": wide, "height": pa.array([5])})
    assert read_proposals(tmp_path / "a.parquet", "parquet")[0].size_hw == (0, 0)


def test_ids_beyond_64_bits_become_text(tmp_path: Path) -> None:
    one = Proposals([[0, 0, 1, 1]], [0.5], (4, 4), "a.jpg")
    formats.write_proposals(tmp_path / "a.parquet", {2**64: one, 7: one})
    assert list(formats.read_proposals(tmp_path / "a.parquet")) == [str(2**64), "7"]


def test_a_pipe_is_no_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"pipe or a device|neither a file"):
        read_proposals(tmp_path / "a.parquet", "parquet")
    written(tmp_path / "b.parquet", same(1))
    os.mkfifo(tmp_path / "b.images.parquet")
    assert len(read_proposals(tmp_path / "b.parquet", "parquet")) == 1  # what is no file is no table of images
