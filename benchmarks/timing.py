"""Time two ways of doing one thing side by side, and see how much memory each takes.

The machine is rarely quiet: A and B take turns, so that what slows one slows the other, and the ratio is the
median of the ratios of the rounds.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

Call = Callable[[], Any]


@dataclass(frozen=True)
class Paired:
    """Two calls timed in turns.

    Attributes:
        a_seconds: Of each round.
        b_seconds: Of each round.
    """

    a_seconds: tuple[float, ...]
    b_seconds: tuple[float, ...]

    @property
    def a(self) -> float:
        """Median seconds of the first."""
        return median(self.a_seconds)

    @property
    def b(self) -> float:
        """Median seconds of the second."""
        return median(self.b_seconds)

    @property
    def ratio(self) -> float:
        """How many times faster the first is: the median over the rounds of b / a."""
        return median(b / a for a, b in zip(self.a_seconds, self.b_seconds, strict=True))


def paired(a: Call, b: Call, rounds: int = 7, *, warm: int = 1) -> Paired:
    """Time ``a`` and ``b`` in turns: A B A B ...

    Args:
        a: Ours, usually.
        b: The peer.
        rounds: How often each is timed.
        warm: Untimed calls of each before.
    """
    for _ in range(warm):
        a()
        b()
    times = [(seconds(a), seconds(b)) for _ in range(rounds)]
    return Paired(tuple(pair[0] for pair in times), tuple(pair[1] for pair in times))


def seconds(call: Call) -> float:
    """Wall time of one call."""
    start = perf_counter()
    call()
    return perf_counter() - start


def peak_memory(call: Call) -> int | None:
    """Bytes of resident memory that the call needs at its worst, above what the process held before.

    What it returns counts, as it is alive at the end. None where the system cannot tell (only Linux can reset
    a process's peak).
    """
    peak_reset = Path("/proc/self/clear_refs")
    if not peak_reset.exists():
        return None
    gc.collect()
    _give_freed_memory_back()
    try:
        peak_reset.write_text("5")
    except OSError:
        return None
    before = _status_bytes("VmRSS")
    result = call()
    peak = _status_bytes("VmHWM") - before
    del result
    return max(0, peak)


def machine(*distributions: str) -> str:
    """The machine in general terms: processor, cores that this process may use, versions."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in distributions)
    return f"{cpu}, {cores} cores, {platform.system()}, Python {platform.python_version()}, {versions}".rstrip(", ")


def _status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def _give_freed_memory_back() -> None:
    """Otherwise the call reuses what an earlier one left, and its memory looks free."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)
