"""Time from file to boxes, and where it goes. Models take turns, so that a busy machine is unfair to none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from objectness.inference.proposer import Proposer

Track = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Timing:
    """Medians over photographs and rounds, in milliseconds.

    Attributes:
        total: From the file to its proposals.
        reading: Decoding, turning upright and resizing.
        network: The rest: the graph, with selection inside it or after it, and the way back to the photograph.
        in_a_stream: A photograph of a stream, whose reading goes on beside the network.
        proposals: How many there were.
    """

    total: float
    reading: float
    network: float
    in_a_stream: float
    proposals: float


def time_models(
    proposers: Sequence[Proposer], photos: Sequence[Path], rounds: int, track: Track = lambda items: items
) -> list[Timing]:
    """Time each model on each photograph, ``rounds`` times in turns, after one round that does not count.

    Raises:
        InputError: a photograph that cannot be read.
    """
    parts: list[list[tuple[float, float, int]]] = [[] for _ in proposers]
    streams: list[list[float]] = [[] for _ in proposers]
    for number in track(range(rounds + 1)):
        for index, proposer in enumerate(proposers):
            taken = [proposer.timed(photo) for photo in photos]
            start = perf_counter()
            for _ in proposer.stream(photos):
                pass
            if number:
                parts[index] += [(timed.reading, timed.network, len(timed.proposals)) for timed in taken]
                streams[index].append((perf_counter() - start) / len(photos))
    return [
        Timing(
            total=1e3 * median(reading + network for reading, network, _ in own),
            reading=1e3 * median(reading for reading, _, _ in own),
            network=1e3 * median(network for _, network, _ in own),
            in_a_stream=1e3 * median(stream),
            proposals=median(count for _, _, count in own),
        )
        for own, stream in zip(parts, streams, strict=True)
    ]


def peak_memory() -> int | None:
    """Bytes that this process held at its worst; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux; what the resource module says there goes back to the process that started this one
        lines = status.read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
