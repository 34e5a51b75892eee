from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from objectness.drawing.crops import CropSettings, choose_crops, crop_part, cut_crops
from objectness.errors import InputError
from objectness.images.windows.open_windows import open_windows
from objectness.images.windows.protocol import Rectangle, Window
from objectness.proposals import Proposals

PIXELS = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)


def proposals(*boxes: tuple[float, ...], size_hw: tuple[int, int] = (60, 80)) -> Proposals:
    return Proposals(np.array(boxes, np.float32), np.linspace(0.9, 0.1, len(boxes), dtype=np.float32), size_hw)


class Watched:
    """A reader that keeps what it was asked for, and misses some pixels."""

    name, in_order, size_hw = "watched", True, (60, 80)

    def __init__(self, *missing: Rectangle) -> None:
        self.asked: list[Rectangle] = []
        self.missing = missing

    def window(self, part: Rectangle) -> Window:
        self.asked.append(part)
        return Window(PIXELS[part.y : part.y + part.height, part.x : part.x + part.width], self.missing)

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("box", "settings", "expected"),
    [
        ((10, 20, 30, 30), {}, (20, 10, 10, 20)),
        ((10.5, 20.2, 29.1, 29.9), {}, (20, 10, 10, 20)),
        ((10, 20, 30, 30), {"context": 1.5}, (17, 5, 16, 30)),  # 17.5 to 32.5: whole pixels around it
        ((0, 0, 20, 10), {"context": 2}, (0, 0, 15, 30)),
        ((10, 20, 30, 30), {"square": True}, (15, 10, 20, 20)),
        ((0, 0, 20, 10), {"square": True}, (0, 0, 20, 20)),
        ((60, 50, 80, 60), {"square": True, "context": 1.5}, (30, 50, 30, 30)),
        ((0, 0, 80, 60), {"square": True}, (0, 0, 60, 80)),
        ((80, 60, 80, 60), {}, (59, 79, 1, 1)),
        ((3.2, 4.2, 3.3, 4.3), {"context": 0.1}, (4, 3, 1, 1)),
        ((-50, -50, -40, -40), {}, (0, 0, 1, 1)),
    ],
)
def test_parts(box: tuple[float, ...], settings: dict[str, Any], expected: tuple[int, ...]) -> None:
    assert crop_part(np.array(box, np.float32), (60, 80), CropSettings(**settings)) == expected


def test_pixels_are_those_of_the_image_from_top_to_bottom() -> None:
    reader = Watched(Rectangle(0, 0, 5, 5))
    crops = list(cut_crops(reader, proposals((40, 30, 60, 50), (2, 2, 12, 22), (30, 10, 50, 30)), CropSettings()))
    assert [crop.rank for crop in crops] == [2, 3, 1]
    assert [part.y for part in reader.asked] == [2, 10, 30]
    for crop in crops:
        part = crop.part
        assert (crop.pixels == PIXELS[part.y : part.y + part.height, part.x : part.x + part.width]).all()
    assert [crop.is_damaged for crop in crops] == [True, False, False]
    assert crops[2].score == pytest.approx(0.9)
    assert crops[2].box_xyxy.tolist() == [40, 30, 60, 50]


def test_a_long_crop_is_shrunk_and_its_damage_told() -> None:
    reader = Watched(Rectangle(30, 40, 2, 2))
    whole, beside = cut_crops(reader, proposals((0, 0, 80, 60), (0, 40, 30, 60)), CropSettings(longest=40))
    assert whole.pixels.shape == (30, 40, 3)
    means = PIXELS.reshape(30, 2, 40, 2, 3).mean(axis=(1, 3))
    assert np.abs(whole.pixels.astype(float) - means).max() <= 1
    assert (whole.is_damaged, beside.is_damaged) == (True, False)


def test_separate_boxes() -> None:
    found = proposals((0, 0, 20, 20), (10, 0, 30, 20), (25, 0, 45, 20), (5, 5, 8, 8), (20, 0, 30, 20))
    chosen = choose_crops(found, CropSettings(separate=0.0))
    assert chosen.boxes_xyxy[:, 0].tolist() == [0, 25]
    half = choose_crops(found, CropSettings(separate=0.5))
    assert half.boxes_xyxy[:, 0].tolist() == [0, 10, 25]
    assert choose_crops(found, CropSettings(separate=0.5, top=2)).boxes_xyxy[:, 0].tolist() == [0, 10]
    assert len(choose_crops(found, CropSettings(separate=1.0))) == 5
    assert len(choose_crops(found, CropSettings(score=0.5))) == 3
    assert len(choose_crops(proposals((0, 0, np.nan, 3), (0, 0, 2, 2)), CropSettings())) == 1
    assert len(choose_crops(Proposals([], [], (60, 80)), CropSettings(separate=0.0))) == 0


def test_wrong_sizes_and_numbers() -> None:
    with pytest.raises(InputError, match="has 80 x 60 pixels, but the proposals are of an image of 9 x 8"):
        next(cut_crops(open_windows(PIXELS), proposals((0, 0, 2, 2), size_hw=(8, 9)), CropSettings()))
    for wrong in ({"context": 0}, {"score": 2}, {"separate": -0.1}, {"top": 0}, {"longest": 10**6}):
        with pytest.raises(InputError, match=f"{next(iter(wrong))} is"):
            CropSettings(**wrong)  # type: ignore[arg-type]
