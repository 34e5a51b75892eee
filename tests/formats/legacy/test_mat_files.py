from __future__ import annotations

import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from objectness.errors import InputError
from objectness.formats.legacy.mat_files import load_mat, save_mat

HEAD = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
BOX = struct.pack("<4d", 1, 2, 3, 4)


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(shape: bytes, body: bytes, kind: int = 6) -> bytes:
    """The variable "boxes", of doubles unless another kind is named."""
    return element(14, element(6, struct.pack("<II", kind, 0)) + shape + element(1, b"boxes") + body)


def compressed(content: bytes, *, within: int = 0) -> bytes:
    """Zipped, and made so much longer by noise that it unfolds to less than ``within`` times its size."""
    noise = max(0, len(content) // within - len(zlib.compress(content))) if within else 0
    packed = zlib.compress(content + (element(1, os.urandom(noise)) if noise else b""))
    return struct.pack("<II", 15, len(packed)) + packed


def written(folder: Path, content: bytes) -> Path:
    path = folder / "a.mat"
    path.write_bytes(HEAD + content)
    return path


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    given = {"boxes": [np.array([[1.0, 2, 3, 4]]), np.empty((0, 4))], "images": ["a", "b"]}
    with path.open("wb") as file:
        save_mat(file, given)
    found = load_mat(path, ["boxes", "images"])
    assert [cell.tolist() for cell in found["boxes"]] == [[[1, 2, 3, 4]], []]
    assert found["images"] == ["a", "b"]


@pytest.mark.parametrize(
    "shape",
    [
        element(9, struct.pack("<2d", 1, 4)),  # sides that are fractions
        element(9, struct.pack("<2d", np.nan, 4)),
        element(13, struct.pack("<2Q", 0, 2**63)),  # nothing, but too wide for NumPy
        element(5, struct.pack("<2i", -1, -4)),
        element(5, struct.pack("<i", 4)),
    ],
)
def test_impossible_shapes(tmp_path: Path, shape: bytes) -> None:
    with pytest.raises(InputError, match=r"a\.mat is a damaged \.mat file: it has a matrix of an impossible shape"):
        load_mat(written(tmp_path, matrix(shape, element(9, BOX))), ["boxes"])


def test_compressed_contents_in_compressed_contents(tmp_path: Path) -> None:
    plain = matrix(element(5, struct.pack("<2i", 1, 4)), element(9, BOX))
    assert load_mat(written(tmp_path, compressed(plain)), ["boxes"])["boxes"].tolist() == [[1, 2, 3, 4]]
    with pytest.raises(InputError, match="compressed contents in compressed contents"):
        load_mat(written(tmp_path, compressed(compressed(plain))), ["boxes"])


@pytest.mark.slow
def test_a_small_file_does_not_fill_the_memory(tmp_path: Path) -> None:
    def cells(count: int) -> Path:
        body = struct.pack("<II", 14, 0) * count  # of eight bytes, each an empty matrix
        whole = matrix(element(5, struct.pack("<2i", count, 1)), body, kind=1)
        return written(tmp_path, compressed(whole, within=90))

    tracemalloc.start()
    try:
        assert len(load_mat(cells(1 << 16), ["boxes"])["boxes"]) == 1 << 16
        path = cells(1 << 18)
        assert path.stat().st_size < 30_000
        with pytest.raises(InputError, match="far more cells than its size allows"):
            load_mat(path, ["boxes"])
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_more_cells_than_the_shape_says(tmp_path: Path) -> None:
    body = struct.pack("<II", 14, 0) * 3
    for count in (2, 4):
        path = written(tmp_path, matrix(element(5, struct.pack("<2i", count, 1)), body, kind=1))
        with pytest.raises(InputError, match="does not have all its cells"):
            load_mat(path, ["boxes"])
