"""Files of every format hold the mosaic's pixels, and the peak of a process is its own."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from objectness.datasets import Record
from objectness.images.windows.protocol import Rectangle


@pytest.fixture
def files(benchmarks: None) -> ModuleType:
    return import_module("huge_files")


@pytest.mark.parametrize("name", ["tiled TIFF", "strip TIFF", "baseline JPEG", "PNG"])
def test_a_format_holds_the_repeated_mosaic(files: ModuleType, name: str, tmp_path: Path) -> None:
    pytest.importorskip("pyvips")
    mosaic = import_module("mosaic")
    photograph = tmp_path / "photograph.png"
    ramp = np.linspace(0, 255, 40 * 60 * 3).reshape(40, 60, 3).astype(np.uint8)
    Image.fromarray(ramp).save(photograph)
    none = np.zeros(0, np.float32)
    record = Record(1, photograph, (40, 60), np.zeros((0, 4), np.float32), none.astype(int), none > 0, none)
    layout = mosaic.Mosaic((40, 60), (mosaic.Place(record, Rectangle(0, 0, 40, 60), whole=True),))
    raw = files.raw_file(tmp_path / "small.raw", layout, across=2, down=3)
    path = files.save_as(raw, (120, 120), name)
    pixels = np.asarray(Image.open(path).convert("RGB"), dtype=int)
    assert np.abs(pixels - np.tile(ramp, (3, 2, 1)).astype(int)).max() <= (
        12 if "JPEG" in name or "tiled" in name else 0
    )
    assert files.save_as(raw, (120, 120), name) == path
    assert not list(tmp_path.glob("unfinished*"))


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the peak is counted in bytes")
def test_the_peak_is_that_of_the_process(files: ModuleType) -> None:
    held = b"x" * (200 << 20)  # of this process: it must not count
    small, large = (files.watch([sys.executable, "-c", f"b = b'x' * ({size} << 20)"]) for size in (1, 80))
    assert small.code == large.code == 0
    assert 60e6 < large.peak - small.peak < 100e6
    assert small.peak < 60e6 < len(held)


def test_errors_of_the_process_are_kept(files: ModuleType) -> None:
    done = files.watch([sys.executable, "-c", "import sys; sys.exit('what went wrong')"])
    assert done.code == 1
    assert "what went wrong" in done.errors
