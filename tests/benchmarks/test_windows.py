from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from PIL import Image


def test_each_file_gives_a_row(tmp_path: Path, benchmarks: None) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (70, 50)).save(path)
    read = import_module("windows").read
    row = r"\| a.png \| 70 x 50 \| WholeReader \| 6 \| \d+\.\d \| \d+ MB \|"
    assert re.fullmatch(row, read(path, 32, 4))
    assert "| 35 x 25 | WholeReader | 2 |" in read(path, 32, 4, (25, 35))
