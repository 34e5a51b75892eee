"""Random against hard negatives: the same data, seed and budget, one run for each sampler, one table and one figure.

    python benchmarks/samplers.py DATA [--out DIR] [--epochs 15]

Runs that are finished are not repeated; those that were stopped go on.
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

SAMPLERS = ("random", "hard-loss", "hard-window")
COLUMNS = ("AR@10", "AR@100", "AR@1000")


def train(data: Path, sampler: str, epochs: int, out: Path) -> list[dict[str, str]]:
    """Rows of results.csv of the run with this sampler, which is trained where it is not finished."""
    folder = out / f"sampler-{sampler}"
    if not folder.exists():
        settings = override(
            recipe("small"),
            [
                "rpn.backbone.pretrained=false",
                f"rpn.sample.sampler={sampler}",
                f"loop.epochs={epochs}",
                "loop.validate_every=3",
            ],
        )
        prepared = run.prepare(data, settings)
        folder.mkdir(parents=True)
        run.start(prepared, folder, tell=print)
    rows = _rows(folder)
    if len(rows) < epochs:
        run.resume(folder, tell=print)
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
    words = parser.parse_args()
    curves = {sampler: train(words.data, sampler, words.epochs, words.out) for sampler in SAMPLERS}

    print("| epoch | " + " | ".join(f"{sampler} {column}" for sampler in SAMPLERS for column in COLUMNS) + " |")
    print("|---|" + "---|" * (len(SAMPLERS) * len(COLUMNS)))
    validated = [row["epoch"] for row in curves["random"] if row["AR@100"]]
    for epoch in validated:
        cells = []
        for sampler in SAMPLERS:
            row = next(row for row in curves[sampler] if row["epoch"] == epoch)
            cells += [f"{float(row[column]):.3f}" for column in COLUMNS]
        print(f"| {epoch} | " + " | ".join(cells) + " |")

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for sampler, rows in curves.items():
        measured = [row for row in rows if row["AR@100"]]
        axes.plot(
            [int(row["epoch"]) for row in measured],
            [float(row["AR@100"]) for row in measured],
            marker="o",
            label=sampler,
        )
    axes.set(xlabel="epoch", ylabel="AR@100 (validation)", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(words.out / "samplers.png", dpi=100)
    print(f"\n{words.out / 'samplers.png'}")


if __name__ == "__main__":
    main()
