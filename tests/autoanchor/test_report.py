from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from objectness.autoanchor.report import boxes_as_seen, examine, is_better, suggest
from objectness.datasets import load_dataset, repair
from objectness.datasets.records import Record
from objectness.errors import InputError
from objectness.rpn.settings import AnchorSettings, BackboneSettings, ImageSettings, MatchSettings, RPNSettings
from objectness.training.recipes import recipe


def record(boxes: list[list[float]], size_hw: tuple[int, int] | None = (100, 200), ignore: int = 0) -> Record:
    array = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    ignored = np.arange(len(array)) < ignore
    zeros = np.zeros(len(array))
    return Record(1, Path("a.png"), size_hw, array, zeros.astype(np.int64), ignored, zeros.astype(np.float32))


SETTINGS = RPNSettings(
    images=ImageSettings(short_side=200, long_side=1000),
    backbone=BackboneSettings(strides=(16,)),
    anchors=AnchorSettings(sizes=(32.0,), ratios_height_over_width=(1.0,)),
    match=MatchSettings(drop_cross_boundary=False),
)


def test_boxes_are_scaled_as_the_network_sees_them_and_ignored_ones_left_out() -> None:
    seen = boxes_as_seen([record([]), record([[0, 0, 5, 5], [10, 20, 30, 60]], ignore=1)], SETTINGS.images)
    assert seen.boxes_xyxy.tolist() == [[20, 40, 60, 120]]
    assert seen.sizes_hw.tolist() == [[200, 400]]
    assert (seen.record.tolist(), seen.box.tolist()) == ([1], [2])


def test_no_boxes_and_no_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="no boxes"):
        boxes_as_seen([record([])], SETTINGS.images)
    with pytest.raises(InputError, match=r"a\.png: its size is not known"):
        boxes_as_seen([record([[0, 0, 5, 5]], None)], SETTINGS.images)


def test_examination_by_hand() -> None:
    """Seen twice as large: a box that an anchor fits, one half as wide, and one of 4 px."""
    boxes = [[8, 8, 24, 24], [12, 8, 20, 24], [11, 11, 13, 13]]
    found = examine(boxes_as_seen([record(boxes)], SETTINGS.images), SETTINGS)
    # Anchors of 32 px are centred at 8, 24, 40 ...; the boxes are centred at 32, 32 and 24, 24.
    first, second, third = 24 * 24 / (2 * 1024 - 24 * 24), 16 * 24 / (1024 + 512 - 16 * 24), 16 / 1024
    assert found.reach.iou.tolist() == pytest.approx([first, second, third])
    assert found.mean_iou == pytest.approx((first + second + third) / 3)
    assert found.recall == {0.5: 0, 0.7: 0, 0.9: 0}
    assert found.out_of_reach.tolist() == [2]


def test_levels_of_a_pyramid_go_on_doubling() -> None:
    assert BackboneSettings(strides=(8, 16), pyramid_channels=4, extra_levels=2).level_strides == (8, 16, 32, 64)


def test_too_few_boxes_to_fit_to() -> None:
    seen = boxes_as_seen([record([[0, 0, 5, 5]])], SETTINGS.images)
    with pytest.raises(InputError, match="1 boxes are too few to fit 3 sizes and 1 ratios"):
        suggest(seen, replace(SETTINGS, anchors=replace(SETTINGS.anchors, sizes=(16.0, 32.0, 64.0))))


@pytest.mark.parametrize("name", ["small", "paper-zf"])
@pytest.mark.parametrize("data", ["bccd", "aquarium"])
def test_suggested_anchors_fit_real_boxes_better_on_the_grid_and_lose_none(
    shared_data: Path, data: str, name: str
) -> None:
    dataset, _ = repair(load_dataset(shared_data / data, "val"), decode=False)
    settings = recipe(name).rpn
    seen = boxes_as_seen(dataset.records, settings.images)
    suggestion = suggest(seen, settings)
    assert suggestion.anchors is not None
    assert len(suggestion.anchors.sizes) == len(settings.anchors.sizes)
    before, after = examine(seen, settings), examine(seen, settings, suggestion.anchors)
    assert after.mean_iou > before.mean_iou + 0.001
    assert after.recall[0.5] >= before.recall[0.5]
    assert len(after.out_of_reach) <= len(before.out_of_reach)
    if data == "bccd":
        assert after.mean_iou > before.mean_iou + 0.05
        assert after.positive > before.positive


def test_a_better_mean_does_not_pay_for_a_lost_box() -> None:
    """Nine boxes of 40 px and one of 24, on cells: anchors of 40 px would fit nine exactly and lose the tenth.

    The anchor that reaches the small one by IoU .5 is 24 * sqrt(2) = 33.9 px at most.
    """
    many = [[20 + 16 * i, 20, 60 + 16 * i, 60] for i in range(9)]
    seen = boxes_as_seen([record([*many, [28, 28, 52, 52]], size_hw=(200, 200))], SETTINGS.images)
    before = examine(seen, SETTINGS)
    assert before.reach.iou.tolist() == pytest.approx([32 * 32 / 1600] * 9 + [24 * 24 / 1024])
    tempting = examine(seen, SETTINGS, replace(SETTINGS.anchors, sizes=(40.0,)))
    assert tempting.mean_iou > before.mean_iou + 0.2
    assert not is_better(before, tempting)
    suggestion = suggest(seen, SETTINGS)
    assert suggestion.anchors is not None
    assert 32 < suggestion.anchors.sizes[0] <= 33.9
    assert examine(seen, SETTINGS, suggestion.anchors).recall[0.5] == 1


def test_anchors_that_fit_already_get_no_suggestion() -> None:
    centred = [[x, y, x + 32, y + 32] for x in range(8, 150, 16) for y in range(8, 60, 16)]
    seen = boxes_as_seen([record(centred, size_hw=(200, 200))], SETTINGS.images)
    assert examine(seen, SETTINGS).mean_iou == pytest.approx(1)
    assert suggest(seen, SETTINGS).anchors is None
