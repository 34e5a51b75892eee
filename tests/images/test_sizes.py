from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from objectness.images.finding import walk
from objectness.images.sizes import read_size, read_sizes

NO_IMAGE = (
    "is not an image of a format that is read (AVIF BMP GIF JPEG JPEG2000 PNG PPM TGA TIFF WEBP), "
    "or is damaged in its first bytes"
)


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
        NO_IMAGE,
        "is a folder, where an image was expected",
        NO_IMAGE,
    ]


def test_too_many_pixels(tmp_path: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(tmp_path / "a.png")
    said = "has 20000 x 10000 = 200000000 pixels, more than the limit of 178000000"
    assert read_sizes([tmp_path / "a.png"]) == read_sizes([tmp_path / "a.png"], decode=True) == [said]


def test_pillow_s_own_limit_is_left_alone(making: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    assert read_sizes([making.image(tmp_path / "a.png")]) == [(30, 40)]


def test_images_of_a_folder(making: Any, tmp_path: Path) -> None:
    for name in ("b.PNG", "deep/a.png", "._a.png", "a.txt"):
        making.write(tmp_path / name, "")
    assert walk(tmp_path).images == (tmp_path / "b.PNG", tmp_path / "deep" / "a.png")
