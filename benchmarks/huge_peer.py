"""SAHI's slicing around the same model, beside our tiles: a part of ``huge.py``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from huge_bench import Bench, inner_borders, plan_of_mosaic, table, verdict
from huge_files import watch
from huge_measures import Floats, as_one_image, crosses, doubles, matched_by_size, objects_xyxy, shares, spread
from mosaic import Mosaic
from numpy.typing import NDArray

_SAHI = Path(__file__).with_name("huge_sahi.py")
_OURS = """
import sys, time
import numpy as np
from objectness import load
path, out, top, threads = sys.argv[1:]
propose = load(top=int(top), threads=int(threads), max_pixels=None)
start = time.perf_counter()
found = propose(path)
np.savez(out, boxes_xyxy=found.boxes_xyxy, scores=found.scores, seconds=time.perf_counter() - start)
"""
KINDS: dict[str, tuple[str, ...]] = {
    "SAHI's defaults": (),
    "SAHI at its best": ("--confidence", "0", "--postprocess", "NMS", "--metric", "IOU", "--threshold", "0.8"),
}
_K = 100  # proposals a photograph's area, at most


def sahi(bench: Bench, python: Path | None, slice_side: int) -> list[str]:
    """Recall, doubles at seams, memory and time, with as many proposals as the other gives."""
    lines: list[str] = []
    rows: list[tuple[str, ...]] = []
    for name, options in KINDS.items():

        def measured(options: tuple[str, ...] = options) -> dict[str, Any]:
            return _measured(bench, python, slice_side, options)

        found = bench.figures(f"sahi-{slice_side}-{name.split()[-1]}", measured)
        if found is None:
            continue
        theirs, ours = found["theirs"], found["ours"]
        for who, one in ((f"{name}, slices of {slice_side}", theirs), ("ours", ours)):
            at, elsewhere = one["doubles"]
            costs = (f"{one['peak'] / 1e6:.0f}", f"{one['seconds']:.1f}", f"{one['processor']:.1f}")
            twice = (f"{at:.2f} / {elsewhere:.2f}", f"{one['excess']:.2f}")
            rows.append((who, f"{found['count']:,}", f"{one['recall']:.4f}", *twice, *costs))
        for what, key, sign in (
            ("recall", "recall", 1),
            ("doubles by seams", "excess", -1),
            ("memory", "peak", -1),
            ("time", "seconds", -1),
        ):
            lines.append(verdict(f"{what}: better than {name}", sign * ours[key] > sign * theirs[key]))
    if not rows:
        return []
    head = ("", "proposals", "AR", "doubles at seams / others", "by seams", "peak MB", "seconds", "of processor")
    return [
        "SAHI around the same model, on the tiled TIFF. Doubles: pairs an object, at seams / others of their size.",
        "By seams: that ratio, over the same ratio of the other's boxes about the same objects (1: seams bring none).",
        *table(head, rows),
        *lines,
    ]


def _measured(bench: Bench, python: Path | None, slice_side: int, options: tuple[str, ...]) -> dict[str, Any]:
    if python is None:
        raise SystemExit("SAHI is compared with --sahi PYTHON: an environment with sahi and objectness.")
    path, mosaic = bench.file(), bench.mosaic()
    threads = str(bench.threads)
    theirs, their_seams, their_cost = _run(
        [str(python), str(_SAHI), str(path)],
        bench.folder / "sahi.npz",
        ["--slice", str(slice_side), "--threads", threads, *options],
    )
    count = min(len(theirs), round(_K * mosaic.photographs_worth))
    ours, _, our_cost = _run([sys.executable, "-c", _OURS, str(path)], bench.folder / "ours.npz", [str(count), threads])
    borders = inner_borders(plan_of_mosaic()[0])
    count = min(count, len(ours))
    theirs, ours = theirs[:count], ours[:count]
    return {
        "count": count,
        "theirs": {**compared(theirs, ours, mosaic, their_seams), **their_cost},
        "ours": {**compared(ours, theirs, mosaic, borders), **our_cost},
    }


def compared(
    boxes_xyxy: Floats, others_xyxy: Floats, mosaic: Mosaic, seams: tuple[list[int], list[int]]
) -> dict[str, Any]:
    """Recall of some boxes, and their doubles at their own seams beside those of boxes that have no seams there.

    Objects at seams are not as others, even where there are none: that is told by the other boxes.
    """
    measured = as_one_image(spread(boxes_xyxy, mosaic), mosaic, len(boxes_xyxy))
    objects = objects_xyxy(measured, mosaic)
    at = crosses(objects, *seams)
    own, other = (
        matched_by_size(doubles(boxes, objects).astype(float), at, objects) for boxes in (boxes_xyxy, others_xyxy)
    )
    ratios = [one.chosen / max(one.others, 1e-9) for one in (own, other)]
    return {
        "recall": float(shares(measured).mean()),
        "doubles": [own.chosen, own.others],
        "excess": ratios[0] / max(ratios[1], 1e-9),
    }


def _run(
    command: list[str], out: Path, options: list[str]
) -> tuple[NDArray[np.float32], tuple[list[int], list[int]], dict[str, float]]:
    """Boxes, seams (rows and columns where a slice ends inside the image), and what they cost."""
    done = watch([*command, str(out), *options])
    if done.code:
        raise SystemExit(f"{json.dumps(command)} ended with {done.code}: {done.errors[-1000:]}")
    with np.load(out) as found:
        boxes = found["boxes_xyxy"]
        slices = found["slices_xyxy"] if "slices_xyxy" in found else np.zeros((0, 4))
        seconds = float(found["seconds"])
    right, bottom = slices[:, 2:].max(axis=0, initial=0)
    seams = (
        sorted({int(y) for y in slices[:, [1, 3]].ravel() if 0 < y < bottom}),
        sorted({int(x) for x in slices[:, [0, 2]].ravel() if 0 < x < right}),
    )
    return boxes, seams, {"peak": done.peak, "seconds": seconds, "processor": done.processor}
