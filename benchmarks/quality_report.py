"""Tables, thresholds and the figure of the ablation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from ablation import KS, Result
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from quality_rows import OURS, TORCHVISION
from timing import Paired

from objectness.evaluation.groups import SEEN, SIZES, UNSEEN

Figures = Callable[[Result], dict[str, float | None]]
Rows = dict[str, list[Result]]
SHOWN = ("10", "100", "300", "1000")
Pair = tuple[str, str]


@dataclass(frozen=True)
class Clock:
    """Ours and theirs in turns on each photograph; seconds of the network, and of network and selection."""

    photographs: int
    network: Paired
    whole: Paired

    @property
    def ratio(self) -> float:
        """How many times as long ours takes as theirs."""
        return median(a / b for a, b in zip(self.whole.a_seconds, self.whole.b_seconds, strict=True))


def table(rows: Rows) -> list[str]:
    """AR by k, then AR@100 and AR@1000 by size: the mean of the seeds, and half the way from lowest to highest."""
    sizes = [(f"{size} @{k}", size, k) for k in ("100", "1000") for size in SIZES]
    names = ["row", "seeds", *(f"AR@{k}" for k in SHOWN), *(name for name, _, _ in sizes)]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row, results in rows.items():
        cells = [_cell([result.ar[k] for result in results]) for k in SHOWN]
        cells += [_cell([result.ar_by_size[size][k] for result in results]) for _, size, k in sizes]
        lines.append(f"| {row} | {len(results)} | {' | '.join(cells)} |")
    return lines


def seen_table(rows: Rows) -> list[str]:
    """AR of the classes that were trained on and of the others, where some were left out."""
    parts = [(part, k) for part in (UNSEEN, SEEN) for k in SHOWN]
    lines = [f"| row | {' | '.join(f'{part} AR@{k}' for part, k in parts)} |", "|---" * (len(parts) + 1) + "|"]
    for row, results in rows.items():
        cells = [_cell([result.ar_by_seen[part][k] for result in results]) for part, k in parts]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return lines


def ladder(rows: Rows) -> list[str]:
    """What a row gains over ``standard``, or loses against ours, in points, on the seeds that they share."""
    lines = ["| row | AR@10 | AR@100 | AR@1000 | compared with |", "|---|---|---|---|---|"]
    for row, results in rows.items():
        base = "standard" if row.startswith("standard") else TORCHVISION if row.startswith(TORCHVISION) else OURS
        pairs = [(one, other) for one in results for other in rows.get(base, []) if one.seed == other.seed]
        if row == base or not pairs:
            continue
        cells = [f"{_points([(one.ar[k], other.ar[k]) for one, other in pairs]):+.1f}" for k in ("10", "100", "1000")]
        lines.append(f"| {row} | {' | '.join(cells)} | {base} |")
    return lines if len(lines) > 2 else []


def thresholds(rows: Rows, pair: Pair, clock: Clock | None) -> list[str]:
    """A line for each target: kept or BROKEN, with the figure; ``pair`` is our row and theirs."""
    ours, theirs = (rows.get(row, []) for row in pair)
    lines = []
    for k, wanted in (("100", 8.0), ("1000", 5.0)) if ours and theirs else ():
        gained = 100 * (mean(r.ar[k] or 0 for r in ours) - mean(r.ar[k] or 0 for r in theirs))
        lines.append(_threshold(f"AR@{k}: {gained:+.1f} points, at least {wanted:+g}", gained >= wanted))
    if ours and theirs and ours[0].ar_by_seen:
        best, base = (mean(r.ar_by_seen[UNSEEN]["100"] or 0 for r in some) for some in (ours, theirs))
        times = best / base if base else float("inf")
        lines.append(_threshold(f"AR@100 of unseen classes: {times:.2f} times theirs, at least 1.3", times >= 1.3))
    if clock is not None:
        lines.append(_threshold(f"inference: {clock.ratio:.2f} times theirs, at most 1.3", clock.ratio <= 1.3))
    return lines


def clock_lines(clock: Clock, pair: Pair, threads: int) -> list[str]:
    """The times in words."""
    network, whole = clock.network, clock.whole
    ours, theirs = pair
    return [
        f"Inference of {clock.photographs} photographs with sides of multiples of 64 px as they are seen (no padding), "
        f"one at a time, in turns (A B A B), PyTorch eager, float32, {threads} thread(s); medians a photograph:",
        f"  network and selection: {ours} {1e3 * whole.a:.1f} ms, {theirs} {1e3 * whole.b:.1f} ms, "
        f"ratio {clock.ratio:.2f}",
        f"  network alone: {ours} {1e3 * network.a:.1f} ms, {theirs} {1e3 * network.b:.1f} ms",
    ]


def draw(rows: Rows, pair: Pair, path: Path, title: str) -> None:
    """AR over the number of proposals for the pair; bars of AR@100 and AR@1000 for every row."""
    figure = Figure(figsize=(12, 1.6 + 0.34 * max(8, len(rows))), layout="constrained")
    FigureCanvasAgg(figure)
    curves, bars = figure.subplots(1, 2, width_ratios=(1, 1.3))
    for row, colour in zip(pair, ("tab:blue", "tab:orange"), strict=True):
        for number, result in enumerate(rows.get(row, [])):
            heights = [result.ar[str(k)] for k in KS]
            curves.plot(KS, heights, color=colour, marker="o", ms=3, lw=1.2, label=None if number else row)
    curves.set(xscale="log", xlabel="proposals a photograph", ylabel="average recall", ylim=(0, None))
    curves.set_title(f"{pair[0]} and {pair[1]}, a line for each seed", fontsize=10)
    curves.grid(alpha=0.3)
    curves.legend()
    names = list(rows)[::-1]
    for offset, k, colour in ((0.2, "100", "tab:blue"), (-0.2, "1000", "lightsteelblue")):
        heights = [mean(result.ar[k] or 0 for result in rows[name]) for name in names]
        places = [index + offset for index in range(len(names))]
        bars.barh(places, heights, height=0.38, color=colour, label=f"AR@{k}")
        for place, height in zip(places, heights, strict=True):
            bars.text(height, place, f" {height:.3f}", va="center", fontsize=7)
    bars.set_yticks(range(len(names)), names, fontsize=8)
    bars.set_title("mean over seeds", fontsize=10)
    bars.margins(x=0.12)
    bars.legend(loc="lower right", fontsize=8)
    figure.suptitle(title, fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def _threshold(what: str, kept: bool) -> str:
    return f"{'kept  ' if kept else 'BROKEN'} {what}"


def _cell(figures: Sequence[float | None]) -> str:
    known = [figure for figure in figures if figure is not None]
    if not known:
        return "–"
    spread = f" ±{(max(known) - min(known)) / 2:.3f}".replace("0.", ".") if len(known) > 1 else ""
    return f"{mean(known):.3f}".replace("0.", ".") + spread


def _points(pairs: Sequence[tuple[float | None, float | None]]) -> float:
    return 100 * mean((one or 0) - (other or 0) for one, other in pairs)
