"""A table of comparisons, and whether what is promised of them holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timing import Paired


@dataclass(frozen=True)
class Row:
    """One line of the table, and what is promised of it.

    Attributes:
        what: Task and input.
        times: Ours and theirs.
        ours: Peak memory in bytes.
        theirs: Likewise.
        faster: Promised ratio of the times, at least.
        memory: Promised ratio of the memory, at most.
    """

    what: str
    times: Paired
    ours: int | None = None
    theirs: int | None = None
    faster: float | None = None
    memory: float | None = None

    def thresholds(self) -> list[tuple[str, bool]]:
        """Each threshold with whether it is kept."""
        kept = []
        if self.faster is not None:
            kept.append((f"{self.what}: at least {self.faster:g}x as fast", self.times.ratio >= self.faster))
        if self.memory is not None and self.ours is not None and self.theirs is not None:
            kept.append((f"{self.what}: {self.memory:g} of the memory", self.ours <= self.memory * self.theirs))
        return kept


def table(rows: Sequence[Row], peer: str) -> list[str]:
    """Lines of a Markdown table: medians in milliseconds, their ratio, peak memory in MiB."""
    lines = [f"| what | ours ms | {peer} ms | ratio | ours MiB | {peer} MiB |", "|---|---|---|---|---|---|"]
    for row in rows:
        times = f"{1e3 * row.times.a:.1f} | {1e3 * row.times.b:.1f} | {row.times.ratio:.1f}"
        lines.append(f"| {row.what} | {times} | {_mib(row.ours)} | {_mib(row.theirs)} |")
    return lines


def thresholds(rows: Sequence[Row]) -> list[str]:
    """A line for each threshold: kept or BROKEN."""
    return [f"{'kept  ' if kept else 'BROKEN'} {threshold}" for row in rows for threshold, kept in row.thresholds()]


def _mib(count: int | None) -> str:
    return "-" if count is None else f"{count / 2**20:.1f}"
