from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from objectness.images.sizes import images_below, read_size, read_sizes


def test_no_files() -> None:
    assert read_sizes([]) == []


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize(("orientation", "size_hw"), [(None, (30, 40)), (1, (30, 40)), (3, (30, 40)), (6, (40, 30))])
def test_sizes_are_upright(
    making: Any, tmp_path: Path, suffix: str, orientation: int | None, size_hw: tuple[int, int]
) -> None:
    path = making.image(tmp_path / f"a{suffix}", width=40, height=30, orientation=orientation)
    assert read_size(path) == size_hw


def test_reasons(making: Any, tmp_path: Path) -> None:
    rubbish = making.write(tmp_path / "a.jpg", "no photograph")
    (tmp_path / "b.jpg").mkdir()
    script = making.write(tmp_path / "c.jpg", "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n\n")
    sizes = read_sizes([tmp_path / "gone.jpg", rubbish, tmp_path / "b.jpg", script])
    assert sizes == [
        "is missing",
        "is not an image that Pillow knows, or its beginning is damaged",
        "is a folder, not an image",
        "cannot be decoded (Encapsulated PostScript is not read)",
    ]


def test_too_many_pixels(making: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = making.image(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_sizes([path]) == ["has too many pixels to be opened safely"]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert read_sizes([path]) == [(30, 40)], "a warning of Pillow's is no error"


def test_images_of_a_folder(making: Any, tmp_path: Path) -> None:
    for name in ("b.PNG", "deep/a.png", "._a.png", "a.txt"):
        making.write(tmp_path / name, "")
    assert images_below(tmp_path) == [tmp_path / "b.PNG", tmp_path / "deep" / "a.png"]
