"""An image in tiles: every scale is scanned, and at the end the boxes of all are chosen once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import BoundedSemaphore
from time import perf_counter

from objectness.engines.candidates import Candidates
from objectness.engines.dense import DenseEngine
from objectness.images.windows.protocol import Rectangle, Window, WindowReader
from objectness.images.windows.scaled import ScaledReader
from objectness.inference.tiling.choice import of_fitting_size
from objectness.inference.tiling.grid import Tile
from objectness.inference.tiling.journal import Journal, Progress
from objectness.inference.tiling.ordered import in_order
from objectness.inference.tiling.plan import Plan, ScalePlan
from objectness.inference.tiling.scan import Scan, TileFound

# Tiles that are done, all tiles, seconds left.
OnTile = Callable[[int, int, float | None], None]


@dataclass(frozen=True, eq=False)
class Scanned:
    """What the scales of an image gave.

    Attributes:
        scales: (height, width) and candidates of each scale.
        missing: Parts of the image that could not be read, in its own pixels.
        reason: Why the first could not.
    """

    scales: list[tuple[tuple[int, int], Candidates]]
    missing: tuple[Rectangle, ...]
    reason: str


@dataclass
class _Pace:
    """Tiles that are done, and the time that the others will take."""

    tiles: int
    pixels: int
    on_tile: OnTile | None
    done: int = 0
    pixels_done: int = 0
    start: float = field(default_factory=perf_counter)
    pixels_before: int = 0

    def skip(self, tiles: Iterator[Tile]) -> None:
        """Tiles that an earlier run has done."""
        for tile in tiles:
            self.done += 1
            self.pixels_done += tile.window.height * tile.window.width
        self.pixels_before = self.pixels_done
        self.start = perf_counter()

    def advance(self, tile: Tile) -> None:
        """One more tile is done."""
        self.done += 1
        self.pixels_done += tile.window.height * tile.window.width
        if self.on_tile is not None:
            seconds = (perf_counter() - self.start) / (self.pixels_done - self.pixels_before)
            self.on_tile(self.done, self.tiles, seconds * (self.pixels - self.pixels_done))


def scan_scales(
    reader: WindowReader,
    engine: DenseEngine,
    plan: Plan,
    *,
    workers: int,
    journal: Journal | None = None,
    on_tile: OnTile | None = None,
) -> Scanned:
    """Scan an image at every scale of a plan.

    The result does not depend on the number of workers, nor on how often the run was stopped and went on.

    Args:
        reader: The open image.
        engine: The network, to be called by several threads.
        plan: Scales and tiles.
        workers: Tiles that the network computes at once; memory grows with them.
        journal: Where the run keeps its state; it goes on with what is there.
        on_tile: Hears of each tile that is done, in this thread. What it raises ends the run.

    Raises:
        InputError: Nothing of the image can be read any more, the network fails, or the disk is full.
    """
    progress, found = (Progress(), []) if journal is None else journal.load()
    pace = _Pace(plan.tiles, sum(map(_pixels, plan.scales)), on_tile)
    pace.skip(
        tile
        for number, scale in enumerate(plan.scales)
        for row in scale.rows[: len(scale.rows) if number < progress.scale else progress.rows]
        if number <= progress.scale
        for tile in row
    )
    for number in range(progress.scale, len(plan.scales)):
        if not progress.rows:
            progress = Progress(number)  # what is missing is told of the last scale: each one reads the whole image
        candidates, progress = _scan(reader, engine, plan.scales[number], progress, pace, workers, journal)
        found.append(candidates)
        progress = Progress(number + 1, missing=progress.missing, reason=progress.reason)
        if journal is not None:
            journal.finish_scale(number, candidates)
            journal.save(progress)
            journal.drop_features(number)
    sizes = [scale.size_hw for scale in plan.scales]
    return Scanned(list(zip(sizes, found, strict=True)), progress.missing, progress.reason)


def _scan(
    reader: WindowReader,
    engine: DenseEngine,
    scale: ScalePlan,
    progress: Progress,
    pace: _Pace,
    workers: int,
    journal: Journal | None,
) -> tuple[Candidates, Progress]:
    path: Path | None = None if journal is None else journal.features_path(progress.scale)
    network = BoundedSemaphore(workers)  # what follows the network is done while it computes the next tile
    scaled = ScaledReader(reader, scale.size_hw)  # not closed, as that would close the reader
    with closing(Scan(engine, scale.size_hw, scale.counts, path, progress.state)) as scan:

        def read(place: tuple[Tile, bool]) -> Window:
            return scaled.window(place[0].window)

        def compute(place: tuple[Tile, bool], window: Window) -> tuple[TileFound, Window]:
            with network:
                maps = engine.maps(window.pixels)
            return scan.find(place[0], maps), replace(window, pixels=window.pixels[:0])

        left = [(tile, tile is row[-1]) for row in scale.rows[progress.rows :] for tile in row]
        with closing(in_order(left, read, compute, workers + 1)) as results:
            for (tile, ends_row), (found, window) in results:
                scan.take(found)
                progress = _with_missing(progress, window, reader.size_hw, scale.size_hw)
                if ends_row:
                    progress = replace(progress, rows=progress.rows + 1)
                    if journal is not None:
                        journal.save(replace(progress, state=scan.state()))
                pace.advance(tile)
        engine.rest()
        found_boxes = of_fitting_size(scan.candidates(), scale.place, scan.anchor_sizes)
        return found_boxes, progress


def _with_missing(progress: Progress, window: Window, size_hw: tuple[int, int], scale_hw: tuple[int, int]) -> Progress:
    known = dict.fromkeys(progress.missing)
    for part in window.missing:
        known[_on_image(part, size_hw, scale_hw)] = None
    return replace(progress, missing=tuple(known), reason=progress.reason or window.reason)


def _on_image(part: Rectangle, size_hw: tuple[int, int], scale_hw: tuple[int, int]) -> Rectangle:
    """A part of a scale in whole pixels of the image itself, rounded outwards."""
    if size_hw == scale_hw:
        return part
    spans = []
    for begin, length, side, scaled in zip(part[:2], part[2:], size_hw, scale_hw, strict=True):
        spans.append((begin * side // scaled, min(side, -(-(begin + length) * side // scaled))))
    (top, bottom), (left, right) = spans
    return Rectangle(top, left, bottom - top, right - left)


def _pixels(scale: ScalePlan) -> int:
    return sum(tile.window.height * tile.window.width for row in scale.rows for tile in row)
