"""What ``objectness propose`` says of a photograph: the row of its table and of its JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from objectness.cli.propose_plan import Task
    from objectness.images.windows.protocol import Rectangle
    from objectness.inference.proposer import Outcome
    from objectness.proposals import Proposals


def row_of(
    task: Task, found: Proposals, missing: Sequence[Rectangle], outcome: Outcome | None = None
) -> dict[str, Any]:
    """What is said of a photograph; without an outcome, of one that an earlier run has done."""
    height, width = found.size_hw
    tiling = None if outcome is None else outcome.tiling
    return {
        "file": str(task.photo),
        "image_id": task.image_id,
        "width": width,
        "height": height,
        "proposals": len(found),
        "best_score": round(float(found.scores[0]), 6) if len(found) else None,
        "seconds": None if outcome is None else round(outcome.seconds, 4),
        "frames": 1 if outcome is None else outcome.frames,
        "tiling": None
        if tiling is None
        else {
            "tiles": tiling.tiles,
            "tile": tiling.tile,
            "overlap": tiling.overlap,
            "exact": tiling.exact,
            "scales": [[wide, high] for high, wide in tiling.scales_hw],
        },
        "missing": [[part.x, part.y, part.width, part.height] for part in missing],
        "picture": None,
        "details": [],
        "geojson": None,
    }
