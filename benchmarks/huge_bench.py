"""What the parts of ``huge.py`` share: photographs, files, and figures that are measured once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from huge_files import raw_file, save_as
from mosaic import Mosaic, lay_out
from numpy.typing import NDArray

from objectness.datasets import Record
from objectness.engines import EngineSettings
from objectness.engines.dense import DenseEngine
from objectness.inference.loading import load
from objectness.inference.model_files import bundled_model, open_engine
from objectness.inference.tiling.plan import Plan, plan_tiles
from objectness.inference.tiling.settings import Look

SIZE_HW = (6000, 10000)
KS = (10, 100, 300, 1000)
REPEATS = {"10000x6000": (1, 1), "30000x30000": (3, 5)}
"""Size of a file -> how often the mosaic is repeated across and down."""


@dataclass(frozen=True)
class Bench:
    """What the parts share.

    Attributes:
        records: Photographs of the split.
        folder: Of files and figures.
        again: Measure what is known already.
        report: Measure nothing.
        threads: Processor threads.
    """

    records: tuple[Record, ...]
    folder: Path
    again: bool
    report: bool
    threads: int

    def figures(self, name: str, measured: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        """What was measured under a name; None where it was not, and only a report is wanted."""
        path = self.folder / "figures" / f"{name}.json"
        if path.exists() and not self.again:
            return dict(json.loads(path.read_text()))
        if self.report:
            return None
        found = measured()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
        return found

    def mosaic(self, origin_yx: tuple[int, int] = (0, 0)) -> Mosaic:
        """The layout, moved."""
        return lay_out(self.records, SIZE_HW, origin_yx)

    def file(self, name: str = "tiled TIFF", size: str = "10000x6000", origin_yx: tuple[int, int] = (0, 0)) -> Path:
        """A file of the mosaic, made where it is not there."""
        across, down = REPEATS[size]
        self.folder.mkdir(parents=True, exist_ok=True)
        moved = "" if origin_yx == (0, 0) else f"-{origin_yx[0]}-{origin_yx[1]}"
        raw = raw_file(self.folder / f"{size}{moved}.raw", self.mosaic(origin_yx), across, down)
        return save_as(raw, (SIZE_HW[0] * down, SIZE_HW[1] * across), name)

    def tiled(self, origin_yx: tuple[int, int] = (0, 0)) -> NDArray[np.float32]:
        """Boxes ``(N, 4)`` of the mosaic in tiles, best first: as many as 1,000 a photograph's area."""
        path = self.folder / "figures" / f"boxes-{origin_yx[0]}-{origin_yx[1]}.npy"
        if not path.exists() or self.again:
            path.parent.mkdir(parents=True, exist_ok=True)
            propose = load(top=round(max(KS) * self.mosaic(origin_yx).photographs_worth), max_pixels=None)
            np.save(path, propose(self.file(origin_yx=origin_yx)).boxes_xyxy)
        found: NDArray[np.float32] = np.load(path)
        return found


def plan_of_mosaic() -> tuple[Plan, DenseEngine]:
    """How the bundled model sees the mosaic when nothing is said, and its network."""
    engine = open_engine(bundled_model(), "the bundled model", EngineSettings(threads=1))
    dense = engine.dense(1)
    own = engine.description
    return plan_tiles(SIZE_HW, dense, Look(own.short_side, own.long_side), top=None), dense


def inner_borders(plan: Plan) -> tuple[list[int], list[int]]:
    """Rows and columns at which the tiles of the full resolution meet."""
    rows = plan.scales[-1].rows
    return [row[0].core.y for row in rows[1:]], [tile.core.x for tile in rows[0][1:]]


def verdict(what: str, kept: bool) -> str:
    """A line for a threshold."""
    return f"{'kept  ' if kept else 'BROKEN'} {what}"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of a Markdown table, between empty ones."""
    cells = [head, ("---",) * len(head), *rows]
    return ["", *("| " + " | ".join(row) + " |" for row in cells), ""]
