"""What will be computed for an image: its scales, their tiles, the numbers of boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from objectness.engines.dense import DenseEngine, Geometry
from objectness.errors import InputError
from objectness.images import fit_size_hw
from objectness.inference.tiling.choice import Place
from objectness.inference.tiling.grid import Tile, round_up, rows_of_tiles
from objectness.inference.tiling.scan import Counts
from objectness.inference.tiling.settings import AUTO_OVERLAP, AUTO_TILE, ONE_WINDOW_PIXELS, Look, TileSettings

MOST_AREA = 333
"""Times the working size: an image of more area gives no more boxes by itself. A model's 300 become 100,000."""

THOROUGH = (5 / 7, 1.0, 10 / 7, 2.0)
"""Short sides of an ordinary photograph in multiples of the working size: 320, 448, 640, 896 for the bundled model."""

_CORE = 512  # pixels of a core at least, where the overlap is large and the tile "auto"
_NEARLY_THE_SAME = 1.3  # a halving that ends within this of the working size is left out


@dataclass(frozen=True)
class ScalePlan:
    """One scale.

    Attributes:
        size_hw: (height, width) of the image there.
        rows: Its tiles.
        counts: Of boxes.
        place: Beside the other scales.
    """

    size_hw: tuple[int, int]
    rows: list[list[Tile]]
    counts: Counts
    place: Place = "reference"

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return sum(map(len, self.rows))


@dataclass(frozen=True)
class Plan:
    """All that is decided before the first tile.

    Attributes:
        scales: The smallest first.
        top: Proposals, at most.
        tile: Longest side of a window; 0 where each scale is seen whole.
        overlap: In pixels.
        exact: Whether every scale gives what the image in one piece would.
    """

    scales: tuple[ScalePlan, ...]
    top: int
    tile: int
    overlap: int
    exact: bool

    @property
    def tiles(self) -> int:
        """Number of tiles of all scales."""
        return sum(scale.tiles for scale in self.scales)


def plan_tiles(size_hw: tuple[int, int], engine: DenseEngine, look: Look, *, top: int | None) -> Plan:
    """Plan an image: its scales in tiles; else those of a thorough look, or the working size alone.

    Args:
        size_hw: Its (height, width).
        engine: The network.
        look: How it is seen.
        top: Proposals, at most; None for the model's own number, in a tiled image more in proportion to the area beyond
            the working size.

    Raises:
        InputError: An overlap that the network cannot tell, or a tile that has no room for a core.
    """
    working_hw, settings = fit_size_hw(size_hw, look.short_side, look.long_side), look.tiles
    is_tiled = look.tiles_image(size_hw)
    if is_tiled:
        sizes_hw = scale_sizes(size_hw, working_hw, settings)
    else:
        sizes_hw = thorough_sizes(size_hw, look) if look.thorough else [working_hw]
    geometry, stride = engine.geometry, max(engine.geometry.strides)
    overlap, covers = _overlap(geometry, settings)
    scales = []
    for scale_hw in sizes_hw:
        tile = _tile(scale_hw, overlap, stride, settings)
        share = min(MOST_AREA, max(1.0, math.prod(scale_hw) / math.prod(working_hw)))
        refined = 0 if geometry.refinement is None else math.ceil(geometry.refinement.boxes * share)
        counts = Counts(math.ceil(geometry.pre_nms_top_n * share), refined)
        place = _place(scale_hw, sizes_hw[-1] if is_tiled else working_hw)
        scales.append(ScalePlan(scale_hw, rows_of_tiles(scale_hw, tile, overlap, stride), counts, place))
    if top is None:
        area = math.prod(scales[-1].size_hw) / math.prod(working_hw) if is_tiled else 1.0
        top = math.ceil(engine.description.top * min(MOST_AREA, max(1.0, area)))
    longest = max(max(tile.window[2:]) for scale in scales for row in scale.rows for tile in row)
    return Plan(tuple(scales), top, longest, overlap, covers or all(scale.tiles == 1 for scale in scales))


def scale_sizes(size_hw: tuple[int, int], working_hw: tuple[int, int], settings: TileSettings) -> list[tuple[int, int]]:
    """(height, width) of each scale, the smallest first."""
    if not isinstance(settings.scales, int | str):
        fractions = sorted(set(settings.scales))
    else:
        smallest = min(1.0, working_hw[0] / size_hw[0])
        fractions, fraction = [smallest], 1.0
        while fraction > _NEARLY_THE_SAME * smallest:
            fractions.insert(1, fraction)
            fraction /= 2
        if settings.scales != "auto":
            fractions = fractions[-int(settings.scales) :]
    return [_scaled(size_hw, fraction) for fraction in fractions]


def thorough_sizes(size_hw: tuple[int, int], look: Look) -> list[tuple[int, int]]:
    """(height, width) of each scale of an ordinary photograph, the smallest first."""
    sides = [(round(look.short_side * factor), round(look.long_side * factor)) for factor in THOROUGH]
    return [fit_size_hw(size_hw, max(1, short), max(1, long)) for short, long in sides]


def _place(size_hw: tuple[int, int], reference_hw: tuple[int, int]) -> Place:
    if size_hw == reference_hw:
        return "reference"
    return "smaller" if max(size_hw) < max(reference_hw) else "larger"


def _scaled(size_hw: tuple[int, int], fraction: float) -> tuple[int, int]:
    return max(1, int(size_hw[0] * fraction + 0.5)), max(1, int(size_hw[1] * fraction + 0.5))


def _overlap(geometry: Geometry, settings: TileSettings) -> tuple[int, bool]:
    """The overlap in pixels, and whether it covers what the network sees."""
    stride, reach = max(geometry.strides), geometry.reach
    if settings.overlap == "exact" and reach is None:
        raise InputError(
            "overlap is 'exact', but this network sees the whole image at once, or its file does not say how far it "
            "sees: export it again, or give the overlap in pixels.",
            arguments=("overlap",),
        )
    if settings.overlap == "exact" or (settings.overlap == "auto" and reach is not None and reach <= AUTO_OVERLAP):
        assert reach is not None
        return round_up(reach, stride), True
    overlap = round_up(AUTO_OVERLAP if settings.overlap == "auto" else int(settings.overlap), stride)
    return overlap, reach is not None and overlap >= reach


def _tile(size_hw: tuple[int, int], overlap: int, stride: int, settings: TileSettings) -> int:
    """Longest side of a window at a scale."""
    if settings.tile not in ("auto", "off"):
        return int(settings.tile)
    if math.prod(size_hw) <= ONE_WINDOW_PIXELS:
        return round_up(max(size_hw), stride)
    return max(AUTO_TILE, round_up(2 * overlap + _CORE, stride))
