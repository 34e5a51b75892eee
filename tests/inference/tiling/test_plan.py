from __future__ import annotations

from typing import Any

import pytest

from objectness.errors import InputError
from objectness.inference.tiling.plan import MOST_AREA, WorkingSize, plan_tiles, scale_sizes, thorough_sizes
from objectness.inference.tiling.settings import TileSettings

WORKING = WorkingSize(40, 70)


def test_scales_halve_down_to_the_working_size() -> None:
    sizes_hw = scale_sizes((6000, 10_000), (448, 747), TileSettings())
    assert sizes_hw == [(448, 747), (750, 1250), (1500, 2500), (3000, 5000), (6000, 10_000)]
    assert scale_sizes((6000, 10_000), (448, 747), TileSettings(scales=2)) == sizes_hw[-2:]
    assert scale_sizes((6000, 10_000), (448, 747), TileSettings(scales=9)) == sizes_hw
    assert scale_sizes((6000, 10_000), (448, 747), TileSettings(scales=(1.0, 0.25))) == [(1500, 2500), (6000, 10_000)]
    assert scale_sizes((300, 400), (448, 597), TileSettings()) == [(300, 400)]
    assert scale_sizes((500, 400), (560, 448), TileSettings()) == [(500, 400)]


def test_a_thorough_look() -> None:
    assert thorough_sizes((480, 640), WorkingSize(448, 748)) == [(320, 427), (448, 597), (640, 853), (896, 1195)]


def test_counts_grow_with_the_area(small_network: Any) -> None:
    plan = plan_tiles((400, 400), WORKING, small_network(), TileSettings(tile=64), top=None)
    assert [scale.size_hw for scale in plan.scales] == [(40, 40), (100, 100), (200, 200), (400, 400)]
    assert [scale.counts.pre_nms_top_n for scale in plan.scales] == [40, 250, 1000, 4000]
    assert [scale.counts.refined for scale in plan.scales] == [12, 75, 300, 1200]
    assert [scale.place for scale in plan.scales] == ["smaller", "smaller", "smaller", "reference"]
    assert plan.top == 3000
    assert (plan.overlap, plan.exact) == (16, True)
    assert plan_tiles((400, 400), WORKING, small_network(), TileSettings(tile=64), top=7).top == 7
    huge = plan_tiles((40_000, 400), WORKING, small_network(), TileSettings(), top=None)
    assert huge.top == 30 * MOST_AREA


@pytest.mark.parametrize(
    ("overlap", "reach", "pixels", "exact"),
    [
        ("auto", 100, 104, True),
        ("auto", 448, 128, False),
        ("auto", None, 128, False),
        ("exact", 300, 304, True),
        (20, 16, 24, True),
        (20, 200, 24, False),
        (0, None, 0, False),
    ],
)
def test_overlap(small_network: Any, overlap: Any, reach: int | None, pixels: int, exact: bool) -> None:
    plan = plan_tiles((999, 3000), WORKING, small_network(reach=reach), TileSettings(overlap=overlap), top=None)
    assert (plan.overlap, plan.exact) == (pixels, exact)


def test_no_reach_to_be_exact_with(small_network: Any) -> None:
    with pytest.raises(InputError, match=r"overlap is 'exact', but this network .* give the overlap in pixels"):
        plan_tiles((99, 99), WORKING, small_network(reach=None), TileSettings(overlap="exact"), top=None)


def test_what_is_seen_whole_is_exact(small_network: Any) -> None:
    plan = plan_tiles((1024, 1536), WORKING, small_network(reach=None), TileSettings(scales=1), top=None)
    assert (plan.tiles, plan.exact) == (1, True)
    plan = plan_tiles((1032, 1536), WORKING, small_network(reach=None), TileSettings(scales=1), top=None)
    assert (plan.tiles, plan.exact) == (4, False)


def test_the_working_size_is_the_reference_of_a_thorough_look(small_network: Any) -> None:
    plan = plan_tiles((80, 100), WORKING, small_network(), TileSettings(), top=None, thorough=True)
    assert [scale.place for scale in plan.scales] == ["smaller", "reference", "larger", "larger"]
    assert plan.top == 30
