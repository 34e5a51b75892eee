from __future__ import annotations

from typing import Any

import pytest

from objectness.errors import InputError
from objectness.inference.tiling import settings
from objectness.inference.tiling.plan import MOST_AREA, plan_tiles, scale_sizes, thorough_sizes
from objectness.inference.tiling.settings import Look, TileSettings


@pytest.fixture
def all_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "LARGE_PIXELS", 0)


def look(**tiles: Any) -> Look:
    return Look(40, 70, tiles=TileSettings(**tiles))


def test_scales_halve_down_to_the_working_size() -> None:
    sizes_hw = scale_sizes((6000, 10_000), (448, 747), TileSettings())
    assert sizes_hw == [(448, 747), (750, 1250), (1500, 2500), (3000, 5000), (6000, 10_000)]
    assert scale_sizes((6000, 10_000), (448, 747), TileSettings(scales=2)) == sizes_hw[-2:]
    assert scale_sizes((6000, 10_000), (448, 747), TileSettings(scales=9)) == sizes_hw
    assert scale_sizes((6000, 10_000), (448, 747), TileSettings(scales=(1.0, 0.25))) == [(1500, 2500), (6000, 10_000)]
    assert scale_sizes((300, 400), (448, 597), TileSettings()) == [(300, 400)]
    assert scale_sizes((500, 400), (560, 448), TileSettings()) == [(500, 400)]


def test_a_thorough_look() -> None:
    assert thorough_sizes((480, 640), Look(448, 748)) == [(320, 427), (448, 597), (640, 853), (896, 1195)]


def test_counts_grow_with_the_area(all_large: None, small_network: Any) -> None:
    plan = plan_tiles((400, 400), small_network(), look(tile=64), top=None)
    assert [scale.size_hw for scale in plan.scales] == [(40, 40), (100, 100), (200, 200), (400, 400)]
    assert [scale.counts.pre_nms_top_n for scale in plan.scales] == [40, 250, 1000, 4000]
    assert [scale.counts.refined for scale in plan.scales] == [12, 75, 300, 1200]
    assert [scale.place for scale in plan.scales] == ["smaller", "smaller", "smaller", "reference"]
    assert plan.top == 3000
    assert (plan.overlap, plan.exact) == (16, True)
    assert plan_tiles((400, 400), small_network(), look(tile=64), top=7).top == 7
    huge = plan_tiles((40_000, 400), small_network(), look(), top=None)
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
def test_overlap(
    all_large: None, small_network: Any, overlap: Any, reach: int | None, pixels: int, exact: bool
) -> None:
    plan = plan_tiles((999, 3000), small_network(reach=reach), look(overlap=overlap), top=None)
    assert (plan.overlap, plan.exact) == (pixels, exact)


def test_no_reach_to_be_exact_with(all_large: None, small_network: Any) -> None:
    with pytest.raises(InputError, match=r"overlap is 'exact', but this network .* give the overlap in pixels"):
        plan_tiles((99, 99), small_network(reach=None), look(overlap="exact"), top=None)


def test_what_is_seen_whole_is_exact(all_large: None, small_network: Any) -> None:
    plan = plan_tiles((1024, 1536), small_network(reach=None), look(scales=1), top=None)
    assert (plan.tiles, plan.exact) == (1, True)
    plan = plan_tiles((1032, 1536), small_network(reach=None), look(scales=1), top=None)
    assert (plan.tiles, plan.exact) == (4, False)


def test_the_working_size_is_the_reference_of_a_thorough_look(small_network: Any) -> None:
    plan = plan_tiles((80, 100), small_network(), Look(40, 70, thorough=True), top=None)
    assert [scale.place for scale in plan.scales] == ["smaller", "reference", "larger", "larger"]
    assert plan.top == 30


def test_an_ordinary_image_in_parts_is_seen_at_the_working_size(small_network: Any) -> None:
    plan = plan_tiles((80, 100), small_network(), look(), top=None)
    assert [scale.size_hw for scale in plan.scales] == [(40, 50)]
    assert (plan.tiles, plan.top, plan.exact) == (1, 30, True)
