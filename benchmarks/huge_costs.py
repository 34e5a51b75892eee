"""Memory and time of huge images: parts of ``huge.py``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from statistics import median
from time import perf_counter
from typing import Any

from huge_bench import REPEATS, Bench, plan_of_mosaic, table, verdict
from huge_files import watch

from objectness.images.windows.open_windows import open_windows
from objectness.images.windows.scaled import ScaledReader
from objectness.inference.loading import load

MOST_MEMORY = {"10000x6000": 600e6, "30000x30000": 1e9}
_MOST_OVERHEAD, _LEAST_GAIN = 1.10, 1.8


def memory(bench: Bench, sizes: Sequence[str], formats: Sequence[str]) -> list[str]:
    """Peak of the whole process of the command."""
    rows, lines = [], []
    for size in sizes:
        for name in formats:

            def measured(size: str = size, name: str = name) -> dict[str, Any]:
                path, out = bench.file(name, size), bench.folder / f"{size}-{name.replace(' ', '-')}-proposals.json"
                done = watch(
                    [
                        sys.executable,
                        "-m",
                        "objectness",
                        "propose",
                        str(path),
                        "--out",
                        str(out),
                        "--max-pixels",
                        "2000000000",
                    ]
                )
                if done.code:
                    raise SystemExit(f"objectness propose {path} ended with {done.code}: {done.errors[-500:]}")
                return {"peak": done.peak, "seconds": done.seconds, "bytes": path.stat().st_size}

            found = bench.figures(f"memory-{size}-{name.replace(' ', '-')}", measured)
            if found is not None:
                megabytes = [f"{found[key] / 1e6:.0f}" for key in ("bytes", "peak")]
                rows.append((f"{size} {name}", *megabytes, f"{found['seconds']:.0f}"))
                most = MOST_MEMORY[size]
                what = f"{size} {name}: {found['peak'] / 1e6:.0f} MB, at most {most / 1e6:.0f}"
                lines.append(verdict(what, found["peak"] <= most))
    if not rows:
        return []
    head = ("`objectness propose`", "file MB", "peak of the process MB", "seconds")
    pixels = {size: 60 * across * down for size, (across, down) in REPEATS.items()}
    note = ", ".join(f"{size} has {count} megapixels" for size, count in pixels.items())
    return [f"Memory ({note}):", *table(head, rows), *lines]


def time(bench: Bench, rounds: int) -> list[str]:
    """From file to boxes against the network alone on the same windows; one thread against two."""

    def measured() -> dict[str, Any]:
        path = bench.file()
        proposers = [load(threads=threads, max_pixels=None) for threads in (1, 2)]
        whole: list[float] = []
        two: list[float] = []
        alone: list[float] = []
        for _ in range(rounds):  # in turns: what slows one slows the other
            alone.append(network_seconds(bench))
            for seconds, propose in zip((whole, two), proposers, strict=True):
                start = perf_counter()
                propose(path)
                seconds.append(perf_counter() - start)
        return {"network": alone, "whole": whole, "two": two}

    found = bench.figures("time", measured)
    if found is None:
        return []
    overhead = median(whole / alone for whole, alone in zip(found["whole"], found["network"], strict=True))
    gain = median(one / two for one, two in zip(found["whole"], found["two"], strict=True))
    whole, alone, two = (median(found[name]) for name in ("whole", "network", "two"))
    return [
        f"Time of 10,000 x 6,000, tiled TIFF, medians of {len(found['whole'])} rounds in turns: network alone on the "
        f"same windows {alone:.1f} s, file to boxes {whole:.1f} s with one thread, {two:.1f} s with two",
        verdict(
            f"file to boxes {overhead:.2f} times the network, at most {_MOST_OVERHEAD:g}", overhead <= _MOST_OVERHEAD
        ),
        verdict(f"two threads {gain:.2f} times one, at least {_LEAST_GAIN:g}", gain >= _LEAST_GAIN),
    ]


def network_seconds(bench: Bench) -> float:
    """Seconds of one thread in the network, for every window of every scale of the mosaic; reading is not counted."""
    plan, dense = plan_of_mosaic()
    seconds = 0.0
    for scale in plan.scales:
        reader = open_windows(bench.file(), max_pixels=None)
        try:
            scaled = ScaledReader(reader, scale.size_hw)
            for row in scale.rows:
                for tile in row:
                    pixels = scaled.window(tile.window).pixels
                    start = perf_counter()
                    dense.maps(pixels)
                    seconds += perf_counter() - start
        finally:
            reader.close()
    return seconds
