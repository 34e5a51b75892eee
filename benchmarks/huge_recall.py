"""Recall on huge images, at seams, and with several scales of ordinary photographs: parts of ``huge.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
from huge_bench import KS, SIZE_HW, Bench, inner_borders, plan_of_mosaic, table, verdict
from huge_measures import (
    Floats,
    Mask,
    as_one_image,
    crosses,
    matched_by_size,
    names,
    objects_xyxy,
    per_photograph,
    shares,
    spread,
)

from objectness.evaluation.measurement import measure
from objectness.evaluation.recall import RecallReport, recall_report
from objectness.inference.loading import load

_AT_SEAMS = 100  # proposals a photograph's area
_SMALL, _THOROUGH = 0.38, {10: 0.217, 100: 0.41, 1000: 0.57}


def recall(bench: Bench) -> list[str]:
    """The photographs alone and in the mosaic."""

    def measured() -> dict[str, Any]:
        mosaic = bench.mosaic()
        records = [place.record for place in mosaic.photographs]
        propose = load(top=max(KS), threads=bench.threads)
        alone = recall_report(measure({one.image_id: propose(one.path) for one in records}, records, KS))
        counts = [round(k * mosaic.photographs_worth) for k in KS]
        proposals = spread(bench.tiled(), mosaic)
        own = recall_report(per_photograph(proposals, mosaic, KS))
        shrunk = load(top=counts[-1], threads=bench.threads, max_pixels=None, tile="off")(bench.file())
        before = as_one_image(spread(shrunk.boxes_xyxy, mosaic), mosaic, counts[-1])
        return {
            "photographs": len(records),
            "objects": alone.objects,
            "worth": mosaic.photographs_worth,
            "photographs alone": [alone.ar[k] for k in KS],
            "mosaic as one image": [float(shares(as_one_image(proposals, mosaic, count)).mean()) for count in counts],
            "mosaic per photograph": [own.ar[k] for k in KS],
            "shrunk": float(shares(before).mean()),
        }

    found = bench.figures("recall", measured)
    if found is None:
        return []
    title = f"{found['photographs']} photographs with {found['objects']} objects on {SIZE_HW[1]:,} x {SIZE_HW[0]:,}"
    mosaics = ("mosaic as one image", "mosaic per photograph")
    rows = [(name, *(f"{figure:.4f}" for figure in found[name])) for name in ("photographs alone", *mosaics)]
    lines = [f"Recall: {title} pixels, {found['worth']:.1f} photographs' worth of proposals."]
    lines += table(("", *(f"AR@{k}" for k in KS)), rows)
    lines.append(f"Shrunk to the working size, without tiles: AR@1000 {found['shrunk']:.4f}")
    for name in mosaics:
        worst = min(ours - alone for ours, alone in zip(found[name], found["photographs alone"], strict=True))
        lines.append(verdict(f"{name}: at worst {100 * worst:+.2f} points, at least -1", worst >= -0.01))
    return lines


def seams(bench: Bench) -> list[str]:
    """Objects that lie across borders of tiles: beside themselves in another layout, and beside others."""

    def measured() -> dict[str, Any]:
        plan, dense = plan_of_mosaic()
        borders = inner_borders(plan)
        origin = most_crossing(bench, borders, max(dense.geometry.strides))
        seen = [_seen(bench, one, borders) for one in ((0, 0), origin)]
        at, elsewhere = [], []
        for one, other in (seen, seen[::-1]):
            both = [name for name in one if name in other and one[name][1] and not other[name][1]]
            at += [one[name][0] for name in both]
            elsewhere += [other[name][0] for name in both]
        values, mask, boxes = (np.array([row[place] for row in seen[1].values()]) for place in range(3))
        sizes = matched_by_size(values, mask, boxes)
        differences = np.array(at) - np.array(elsewhere)
        return {
            "tile": plan.tile,
            "overlap": plan.overlap,
            "origin": origin,
            "crossing": [sum(bool(row[1]) for row in one.values()) for one in seen],
            "pairs": len(at),
            "at": float(np.mean(at)),
            "elsewhere": float(np.mean(elsewhere)),
            "error": float(1.96 * differences.std() / np.sqrt(len(differences))),
            "apart": int((differences != 0).sum()),
            "by size": [sizes.chosen, sizes.others, sizes.count],
        }

    found = bench.figures("seams", measured)
    if found is None:
        return []
    pixels, apart = f"tiles of {found['tile']}, overlap {found['overlap']}", found["at"] - found["elsewhere"]
    y, x = found["origin"]
    crossing = " and ".join(str(count) for count in found["crossing"])
    chosen, others, count = found["by size"]
    return [
        f"Seams ({pixels}): {crossing} objects lie across borders in the layout and in the one moved by {x}, {y}.",
        f"AR@{_AT_SEAMS} of {found['pairs']} objects where a border goes through them: {found['at']:.4f}; of the same "
        f"where none does: {found['elsewhere']:.4f} (apart {apart:+.4f} ± {found['error']:.4f}; {found['apart']} of "
        "them differ at all)",
        f"AR@{_AT_SEAMS} of {count} objects across borders of the moved layout: {chosen:.4f}; of others of their size: "
        f"{others:.4f}",
        verdict(f"objects across borders: {100 * apart:+.2f} points, at least -0.5", apart >= -0.005),
    ]


def most_crossing(bench: Bench, borders: tuple[list[int], list[int]], stride: int) -> tuple[int, int]:
    """The shift ``(y, x)`` by which most objects come to lie across borders where none was before.

    A multiple of the coarsest stride: the network sees every photograph as before, but for the tiles.
    """
    before = bench.mosaic()
    objects = np.concatenate(
        [
            place.record.boxes_xyxy[~place.record.ignore] + np.array([place.part.x, place.part.y] * 2)
            for place in before.photographs
        ]
    )
    free = ~crosses(objects, *borders)

    def count(origin_yx: tuple[int, int]) -> int:
        moved = objects + np.array([origin_yx[1], origin_yx[0]] * 2)
        inside = (moved[:, 2] <= SIZE_HW[1]) & (moved[:, 3] <= SIZE_HW[0])
        return int((crosses(moved, *borders) & free & inside).sum())

    steps = range(0, 513, stride)
    return max(((y, x) for y in steps for x in steps), key=count)


def _seen(
    bench: Bench, origin_yx: tuple[int, int], borders: tuple[list[int], list[int]]
) -> dict[tuple[int, int], tuple[float, bool, Floats]]:
    """Object -> the share of IoU thresholds at which it is found, whether it lies across a border, its box."""
    mosaic = bench.mosaic(origin_yx)
    count = round(_AT_SEAMS * mosaic.photographs_worth)
    measured = as_one_image(spread(bench.tiled(origin_yx), mosaic), mosaic, count)
    boxes = objects_xyxy(measured, mosaic)
    across: Mask = crosses(boxes, *borders)
    return dict(zip(names(measured), zip(shares(measured), across, boxes, strict=True), strict=True))


def thorough(bench: Bench) -> list[str]:
    """All photographs of the split in one pass and in several, and the time of each."""

    def measured() -> dict[str, Any]:
        single = load(top=max(KS), threads=bench.threads)
        several = load(top=max(KS), threads=bench.threads, thorough=True)
        found: list[dict[int, Any]] = [{}, {}]
        seconds = [0.0, 0.0]
        for record in bench.records:  # in turns: what slows one slows the other
            for place, propose in enumerate((single, several)):
                timed = propose.timed(record.path)
                found[place][record.image_id] = timed.proposals
                seconds[place] += timed.reading + timed.network
        reports = [recall_report(measure(one, bench.records, KS)) for one in found]
        return {
            "photographs": len(bench.records),
            "one pass": _plain(reports[0]),
            "thorough": _plain(reports[1]),
            "milliseconds": [1e3 * one / len(bench.records) for one in seconds],
        }

    found = bench.figures("thorough", measured)
    if found is None:
        return []
    sizes = [(size, k) for k in (100, 1000) for size in ("small", "medium", "large")]
    head = ("", *(f"AR@{k}" for k in KS), *(f"{size} @{k}" for size, k in sizes), "ms a photograph")
    rows = [
        (name, *(f"{figure:.4f}" for figure in found[name]), f"{milliseconds:.0f}")
        for name, milliseconds in zip(("one pass", "thorough"), found["milliseconds"], strict=True)
    ]
    lines = [f"Thorough: {found['photographs']} photographs of the split, {bench.threads} threads."]
    lines += table(head, rows)
    once, more = found["milliseconds"]
    lines.append(f"Cost: {more / once:.1f} times one pass")
    named = dict(zip(head[1:-1], found["thorough"], strict=True))
    for k, least in _THOROUGH.items():
        lines.append(verdict(f"thorough: AR@{k} {named[f'AR@{k}']:.4f}, at least {least:g}", named[f"AR@{k}"] >= least))
    small = named["small @1000"]
    return [*lines, verdict(f"thorough: small AR@1000 {small:.4f}, at least {_SMALL:g}", small >= _SMALL)]


def _plain(report: RecallReport) -> list[float | None]:
    by_size = [report.ar_by_size[size][k] for k in (100, 1000) for size in ("small", "medium", "large")]
    return [*(report.ar[k] for k in KS), *by_size]
