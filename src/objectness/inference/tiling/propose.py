"""The boxes of one open image by its tiles, or by the scales of a thorough look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from objectness.engines import RankedBoxes
from objectness.engines.dense import DenseEngine
from objectness.images import Source
from objectness.images.windows.open_windows import remarks_of
from objectness.images.windows.protocol import WindowReader
from objectness.inference.tiling.choice import choose
from objectness.inference.tiling.journal import Journal, require_file
from objectness.inference.tiling.plan import Plan, WorkingSize, plan_tiles
from objectness.inference.tiling.result import TileProgress, Tiling
from objectness.inference.tiling.run import Scanned, scan_scales
from objectness.inference.tiling.settings import TileSettings


@dataclass(frozen=True)
class TileRun:
    """How images are tiled, and who hears of it.

    Attributes:
        settings: Of tiles.
        journal: Folder where the state of an image under way is kept; None keeps none.
        resume: Go on with what is there.
        on_tile: Hears of each tile that is done.
        workers: Tiles that the network computes at once.
    """

    settings: TileSettings
    journal: Path | None
    resume: bool
    on_tile: Callable[[TileProgress], None] | None
    workers: int


def propose_in_tiles(
    source: Source,
    reader: WindowReader,
    engine: DenseEngine,
    run: TileRun,
    working: WorkingSize,
    *,
    top: int | None,
    nms: float,
    min_side: float,
    thorough: bool,
) -> tuple[RankedBoxes, Tiling]:
    """The ranked boxes of an image in its own pixels, and how it was seen.

    Args:
        source: What was opened.
        reader: The open image.
        engine: The network.
        run: Tiles, journal and threads.
        working: Size of ordinary photographs.
        top: Boxes, at most; None for the model's own number in proportion to the area.
        nms: A box is dropped when its IoU with a better one is above this.
        min_side: Shortest side of a box in pixels.
        thorough: See an ordinary photograph at several scales, instead of a large one in tiles.

    Raises:
        InputError: The image, the network, the journal or the settings do not allow it.
    """
    plan = plan_tiles(reader.size_hw, working, engine, run.settings, top=top, thorough=thorough)
    journal = None
    if run.journal is not None and not thorough:
        journal = Journal(run.journal, require_file(source), engine, plan, resume=run.resume)
    heard = run.on_tile

    def on_tile(done: int, tiles: int, seconds_left: float | None) -> None:
        if heard is not None:
            heard(TileProgress(source, done, tiles, seconds_left))

    found = scan_scales(reader, engine, plan, workers=run.workers, journal=journal, on_tile=on_tile)
    calibration = engine.geometry.calibration
    ranked = choose(found.scales, reader.size_hw, nms=nms, top=plan.top, min_side=min_side, calibration=calibration)
    if journal is not None:
        journal.remove()
    return ranked, _tiling(reader, plan, found)


def _tiling(reader: WindowReader, plan: Plan, found: Scanned) -> Tiling:
    remarks = list(remarks_of(reader))
    if found.missing:
        count, (y, x, height, width) = len(found.missing), found.missing[0]
        parts = "1 part" if count == 1 else f"{count} parts"
        why = f" ({found.reason})" if found.reason else ""
        remarks.append(
            f"{reader.name}: {parts} could not be read{why}: the {'' if count == 1 else 'first '}one is {width} x "
            f"{height} pixels at x {x}, y {y}. The network saw grey there; copy the file again."
        )
    sizes_hw = tuple(scale.size_hw for scale in plan.scales)
    return Tiling(sizes_hw, plan.tiles, plan.tile, plan.overlap, plan.exact, found.missing, tuple(remarks))
