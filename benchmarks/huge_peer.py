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
            at, elsewhere, _ = one["doubles"]
            rows.append(
                (
                    who,
                    f"{found['count']:,}",
                    f"{one['recall']:.4f}",
                    f"{at:.1f} / {elsewhere:.1f}",
                    f"{one['peak'] / 1e6:.0f}",
                    f"{one['seconds']:.1f}",
                )
            )
        lines += [
            verdict(
                f"{name}: recall {ours['recall']:.4f} against {theirs['recall']:.4f}", ours["recall"] > theirs["recall"]
            ),
            verdict(
                f"{name}: doubles at seams above others {_excess(ours):+.2f} against {_excess(theirs):+.2f} an object",
                _excess(ours) < _excess(theirs),
            ),
            verdict(
                f"{name}: memory {ours['peak'] / 1e6:.0f} against {theirs['peak'] / 1e6:.0f} MB",
                ours["peak"] < theirs["peak"],
            ),
            verdict(
                f"{name}: time {ours['seconds']:.1f} against {theirs['seconds']:.1f} s",
                ours["seconds"] < theirs["seconds"],
            ),
        ]
    if not rows:
        return []
    head = ("", "proposals", "AR", "doubles an object at seams / others of its size", "peak MB", "seconds")
    return ["SAHI around the same model, on the tiled TIFF:", *table(head, rows), *lines]


def _excess(one: dict[str, Any]) -> float:
    at, elsewhere, _ = one["doubles"]
    return float(at - elsewhere)


def _measured(bench: Bench, python: Path | None, slice_side: int, options: tuple[str, ...]) -> dict[str, Any]:
    if python is None:
        raise SystemExit("SAHI is compared with --sahi PYTHON: an environment with sahi and objectness.")
    # What SAHI can read of the formats and holds in memory: any, decoded by Pillow.
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
    return {
        "count": count,
        "theirs": {**_figures(theirs[:count], mosaic, their_seams), **their_cost},
        "ours": {**_figures(ours[:count], mosaic, borders), **our_cost},
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
    return boxes, seams, {"peak": done.peak, "seconds": seconds}


def _figures(boxes_xyxy: Floats, mosaic: Mosaic, borders: tuple[list[int], list[int]]) -> dict[str, Any]:
    measured = as_one_image(spread(boxes_xyxy, mosaic), mosaic, len(boxes_xyxy))
    objects = objects_xyxy(measured, mosaic)
    pairs = matched_by_size(doubles(boxes_xyxy, objects).astype(float), crosses(objects, *borders), objects)
    return {"recall": float(shares(measured).mean()), "doubles": [pairs.chosen, pairs.others, pairs.count]}
