"""Layouts cover everything once, show whole photographs at their own resolution, and keep boxes on their objects."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from objectness.datasets import Record
from objectness.images.windows.protocol import Rectangle

SIZE_HW = (100, 160)


@pytest.fixture
def mosaic(benchmarks: None) -> ModuleType:
    return import_module("mosaic")


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    """Photographs of one grey each, with a box of 10 x 8 pixels and an ignore region."""
    sizes_hw = [(40, 50), (39, 50), (40, 55), (30, 60), (30, 60), (30, 40), (28, 30), (40, 20), (40, 50), (110, 50)]
    made = []
    for number, size_hw in enumerate(sizes_hw):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.full((*size_hw, 3), 20 * number + 5, np.uint8)).save(path)
        boxes = np.array([[2, 3, 12, 11], [0, 0, 5, 5]], np.float32)
        ignore = np.array([False, True])
        areas = np.array([70, 25], np.float32)
        made.append(Record(number, path, size_hw, boxes, np.array([1, 2]), ignore, areas))
    return made


@pytest.mark.parametrize("origin_yx", [(0, 0), (13, 21), (64, 0)])
def test_every_pixel_is_covered_once(mosaic: ModuleType, records: list[Record], origin_yx: tuple[int, int]) -> None:
    layout = mosaic.lay_out(records, SIZE_HW, origin_yx)
    covered = np.zeros(SIZE_HW, int)
    for place in layout.places:
        y, x, height, width = place.part
        assert (height, width) <= place.record.size_hw or not place.whole
        covered[y : y + height, x : x + width] += 1
    assert (covered == 1).all()


def test_whole_photographs_in_rows_of_nearly_one_height(mosaic: ModuleType, records: list[Record]) -> None:
    layout = mosaic.lay_out(records, SIZE_HW)
    whole = [(place.record.image_id, place.part) for place in layout.photographs]
    assert whole[:3] == [(3, (0, 0, 30, 60)), (4, (0, 60, 30, 60)), (5, (0, 120, 30, 40))]  # a row that is full
    # The highest of the rest.
    assert whole[3:6] == [(0, (30, 0, 40, 50)), (2, (30, 50, 40, 55)), (7, (30, 105, 40, 20))]
    ids = [image_id for image_id, _ in whole]
    assert len(ids) == len(set(ids))
    assert 9 not in {place.record.image_id for place in layout.places}  # higher than the mosaic
    again = mosaic.lay_out(records, SIZE_HW)
    assert [place.part for place in again.places] == [place.part for place in layout.places]


def test_boxes_move_with_their_photographs(mosaic: ModuleType, records: list[Record]) -> None:
    layout = mosaic.lay_out(records, SIZE_HW, (10, 20))
    place = layout.photographs[0]
    assert place.part == (10, 20, 30, 60)
    record = layout.record(Path("mosaic.tif"))
    count = len(layout.photographs)
    assert record.boxes_xyxy[:2].tolist() == [[22, 13, 32, 21], [20, 10, 25, 15]]
    assert record.ignore[: 2 * count].tolist() == [False, True] * count
    assert record.areas[:2].tolist() == [70, 25]
    pieces = [place.part for place in layout.places if not place.whole]
    assert record.ignore[2 * count :].all()
    assert len(record.boxes_xyxy) == 2 * count + len(pieces)
    y, x, height, width = pieces[0]
    assert record.boxes_xyxy[2 * count].tolist() == [x, y, x + width, y + height]


def test_a_photograph_that_sticks_out_is_a_piece(mosaic: ModuleType, records: list[Record]) -> None:
    there, moved = (mosaic.lay_out(records, SIZE_HW, origin_yx) for origin_yx in ((0, 0), (0, 50)))
    gone = {place.record.image_id for place in there.photographs} - {
        place.record.image_id for place in moved.photographs
    }
    assert {4, 5} <= gone
    assert all(place.part.x + place.part.width <= SIZE_HW[1] for place in moved.places)


def test_the_pixels_of_a_part_are_those_of_the_whole(mosaic: ModuleType, records: list[Record]) -> None:
    layout = mosaic.lay_out(records, SIZE_HW, (5, 7))
    whole = mosaic.paint(layout, Rectangle(0, 0, *SIZE_HW))
    for place in layout.photographs:
        y, x, height, width = place.part
        assert (whole[y : y + height, x : x + width] == 20 * place.record.image_id + 5).all()
    part = Rectangle(17, 33, 50, 71)
    assert (mosaic.paint(layout, part) == whole[17:67, 33:104]).all()
    assert (whole > 0).all()


def test_the_share_of_the_proposals_goes_by_area(mosaic: ModuleType, records: list[Record]) -> None:
    layout = mosaic.lay_out(records, SIZE_HW)
    areas = [place.part.height * place.part.width for place in layout.photographs]
    assert layout.photographs_worth == pytest.approx(100 * 160 / (sum(areas) / len(areas)))


def test_nothing_fits(mosaic: ModuleType, records: list[Record]) -> None:
    with pytest.raises(ValueError, match="None of the 10 photographs fits into 20 x 10 pixels"):
        mosaic.lay_out(records, (10, 20))
