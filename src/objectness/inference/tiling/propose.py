"""The boxes of one image by its tiles, or by the sizes of a thorough look."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from objectness.engines import EngineSettings, ProposalEngine, RankedBoxes
from objectness.images import Source
from objectness.images.windows.open_windows import open_windows, remarks_of
from objectness.images.windows.protocol import Rectangle, WindowReader
from objectness.inference.tiling.choice import choose
from objectness.inference.tiling.journal import Journal, require_file
from objectness.inference.tiling.plan import Plan, plan_tiles
from objectness.inference.tiling.result import TileProgress, Tiling
from objectness.inference.tiling.run import Scanned, scan_scales
from objectness.inference.tiling.settings import THREADS_OF_A_TILE, Look, is_large


def open_in_parts(
    source: Source, max_pixels: int | None, *, keep_image: bool
) -> tuple[WindowReader, NDArray[np.uint8] | None]:
    """Open an image, and read all of it where it is to be kept and is no large one.

    Raises:
        InputError: It cannot be read, or is too large.
    """
    reader = open_windows(source, max_pixels=max_pixels)
    if not keep_image or is_large(reader.size_hw):
        return reader, None
    return reader, reader.window(Rectangle(0, 0, *reader.size_hw)).pixels


def propose_in_parts(
    source: Source,
    reader: WindowReader,
    engine: ProposalEngine,
    look: Look,
    *,
    top: int | None,
    nms: float,
    min_side: float,
) -> tuple[RankedBoxes, Tiling]:
    """The ranked boxes of an image in its own pixels, and how it was seen.

    Args:
        source: What was opened.
        reader: The open image; it is closed at the end.
        engine: The loaded model.
        look: How it is seen.
        top: Boxes, at most; None for the model's own number, in a tiled image in proportion to its area.
        nms: A box is dropped when its IoU with a better one is above this.
        min_side: Shortest side of a box in pixels.

    Raises:
        InputError: The image, the network, the journal or the settings do not allow it.
    """
    journal: Journal | None = None
    try:
        cores = EngineSettings(threads=look.threads).cores
        network = engine.dense(min(cores, THREADS_OF_A_TILE))
        plan = plan_tiles(reader.size_hw, network, look, top=top)
        if look.journal is not None and look.tiles_image(reader.size_hw):
            journal = Journal(look.journal, require_file(source), network, plan, resume=look.resume)

        def on_tile(done: int, tiles: int, seconds_left: float | None) -> None:
            if look.on_tile is not None:
                look.on_tile(TileProgress(source, done, tiles, seconds_left))

        workers = max(1, cores // THREADS_OF_A_TILE)
        found = scan_scales(reader, network, plan, workers=workers, journal=journal, on_tile=on_tile)
        ranked = choose(
            found.scales,
            reader.size_hw,
            nms=nms,
            top=plan.top,
            min_side=min_side,
            calibration=network.geometry.calibration,
        )
        if journal is not None:
            journal.remove()
        return ranked, _tiling(reader, plan, found)
    finally:
        reader.close()
        if journal is not None:
            journal.remove_empty()


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
