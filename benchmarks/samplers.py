"""Random against hard negatives, and rules of the paper against their siblings: the same data, seed and budget.

    python benchmarks/samplers.py DATA [--out DIR] [--epochs 15] [--every 3] [--rows NAME ...] [--set KEY=VALUE]

`--set`, as often as needed, holds for every row. One run for each row, one table and one figure. Runs that are
finished are not repeated; those that were stopped go on.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from objectness.settings import override
from objectness.training import run
from objectness.training.recipes import recipe
from objectness.training.run_config import RunConfig

ROWS = {
    "random": (),
    "random, exact ties": ("rpn.match.tie_tolerance=0",),
    "random, anchors at cells' corners": ("rpn.anchors.offset=0",),
    "hard-loss": ("rpn.sample.sampler=ohem",),
    "hard-window": ("rpn.sample.sampler=hard-window",),
    "hard-window, partial-and-varying": (
        "rpn.sample.sampler=hard-window",
        "rpn.sample.window_rule=partial-and-varying",
    ),
    "hard-window, partial-or-varying": ("rpn.sample.sampler=hard-window", "rpn.sample.window_rule=partial-or-varying"),
    "iou-balanced": ("rpn.sample.sampler=iou-balanced",),
}
COLUMNS = ("AR@10", "AR@100", "AR@1000")


def train(data: Path, name: str, epochs: int, every: int, common: list[str], out: Path) -> list[dict[str, str]]:
    """Rows of results.csv of this run, which is trained where it is not finished."""
    folder = out / name.replace(",", "").replace("'", "").replace(" ", "-")
    if not folder.exists():
        same = ["rpn.backbone.pretrained=false", f"loop.epochs={epochs}", f"loop.validate_every={every}"]
        settings = override(recipe("small"), [*same, *common, *ROWS[name]])
        run.begin(RunConfig(data, settings), folder, notify=print)
    rows = _rows(folder)
    if len(rows) < epochs:
        run.resume(folder, notify=print)
        rows = _rows(folder)
    return rows


def _rows(folder: Path) -> list[dict[str, str]]:
    path = folder / "results.csv"
    return list(csv.DictReader(path.open())) if path.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/samplers"))
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--every", type=int, default=3, help="epochs between two measurements")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="NAME")
    parser.add_argument("--set", action="append", default=[], dest="common", metavar="KEY=VALUE")
    words = parser.parse_args()
    curves = {name: train(words.data, name, words.epochs, words.every, words.common, words.out) for name in words.rows}

    measured = {name: [row for row in rows if row["AR@100"]] for name, rows in curves.items()}
    print(f"| {COLUMNS[1]} after epoch | " + " | ".join(row["epoch"] for row in measured[words.rows[0]]), end=" ")
    print("| " + " | ".join(f"{column} at the end" for column in COLUMNS if column != COLUMNS[1]) + " |")
    print("|---|" + "---|" * (len(measured[words.rows[0]]) + len(COLUMNS) - 1))
    for name, rows in measured.items():
        cells = [row[COLUMNS[1]] for row in rows] + [rows[-1][column] for column in COLUMNS if column != COLUMNS[1]]
        print(f"| {name} | " + " | ".join(f"{float(cell):.3f}" for cell in cells) + " |")

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, rows in measured.items():
        axes.plot([int(row["epoch"]) for row in rows], [float(row["AR@100"]) for row in rows], marker="o", label=name)
    axes.set(xlabel="epoch", ylabel="AR@100 (validation)", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(words.out / "samplers.png", dpi=100)
    print(f"\n{words.out / 'samplers.png'}")


if __name__ == "__main__":
    main()
