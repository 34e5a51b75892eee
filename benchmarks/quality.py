"""Recall of our recipe ``task-aligned`` beside torchvision's RPN: same backbone, photographs, batches,
optimizer and seeds.

    python benchmarks/quality.py DATA --weights FILE [--rows ours torchvision] [--seeds 0 1] [--photographs 3500]

``--rows ablation`` measures every ingredient between the standard RPN and ours; quality_rows.py holds the rows. Runs
lie in --out: finished ones are not repeated, stopped ones are resumed, and --report prints the results only. With
--only-classes voc the network is trained without the boxes of all other classes; recall is printed for both kinds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from ablation import Budget, DataSplit, Network, finished, read_data, train_and_measure, trained
from quality_report import Clock, clock_lines, draw, ladder, seen_table, table, thresholds
from quality_rows import ABLATION, OURS, TORCHVISION, overrides
from timing import Paired, machine, paired
from torch import Tensor

from objectness.images import fit_size_hw, open_upright, resize


def main() -> None:
    words = _words()
    budget = Budget(
        words.photographs, words.crop, words.weights, tuple(words.only_classes), words.measured, tuple(words.set)
    )
    rows = [row for word in words.rows for row in (ABLATION if word == "ablation" else (word,))]
    for row in (*rows, words.candidate):
        overrides(row, (1.0,) * 4)  # a wrong name is told at once
    data = read_data(words.data, words.split, budget)
    out = words.out or Path("runs/quality") / _tag(words)
    lines: list[str] = []

    def tell(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    if not words.report:
        for seed in words.seeds:
            for row in rows:
                train_and_measure(row, seed, budget, data, out, partial(print, flush=True))
    pair = (words.candidate, TORCHVISION)
    known = {row: [finished(row, seed, data, out) for seed in words.seeds] for row in dict.fromkeys([*pair, *rows])}
    results = {row: [one for one in some if one is not None] for row, some in known.items() if any(some)}
    for row in rows:
        if row not in results:
            tell(f"Not trained yet: {row}")

    tell(f"{machine('torch', 'torchvision')}; PyTorch with {torch.get_num_threads()} threads")
    tell(_conditions(words, budget, data))
    tell(f"torchvision's anchors (also those of the rows without our own): {data.reach}.")
    clock = None
    if words.timed and all(row in results for row in pair):
        firsts = [results[row][0] for row in pair]
        ours, theirs = (trained(first.row, first.seed, budget, data, out) for first in firsts)
        clock = time_both(ours, theirs, data, words.timed, words.rounds)
        tell("")
        for line in clock_lines(clock, pair, torch.get_num_threads()):
            tell(line)
        weights = " and ".join(f"{first.parameters:,} (seed {first.seed})" for first in firsts)
        tell(f"  weights: {weights}")
    parts = table(results), seen_table(results) if data.seen else [], ladder(results), thresholds(results, pair, clock)
    for part in parts:
        for line in ["", *part] if part else []:
            tell(line)
    if words.text:
        words.text.parent.mkdir(parents=True, exist_ok=True)
        words.text.write_text("\n".join(lines) + "\n")
    if words.figure:
        title = f"{words.data.name} {words.split}, {budget.photographs:,} training photographs"
        draw(results, pair, words.figure, title)


def time_both(ours: Network, theirs: Network, data: DataSplit, count: int, rounds: int) -> Clock:
    """Both on the same photographs, one photograph at a time and in turns."""
    images = ours.settings.images
    seen: list[Tensor] = []
    for record in data.measured:
        assert record.size_hw is not None  # repaired
        size_hw = fit_size_hw(record.size_hw, images.short_side, images.long_side)
        if len(seen) < count and not any(side % 64 for side in size_hw):
            pixels = torch.from_numpy(resize(open_upright(record.path), size_hw))
            seen.append(pixels.permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last))

    def both(job: Callable[[Network, Tensor], object]) -> Paired:
        turns = [paired(partial(job, ours, pixels), partial(job, theirs, pixels), rounds) for pixels in seen]
        return Paired(
            tuple(second for turn in turns for second in turn.a_seconds),
            tuple(second for turn in turns for second in turn.b_seconds),
        )

    return Clock(len(seen), both(_network), both(_whole))


@torch.inference_mode()
def _network(network: Network, pixels: Tensor) -> object:
    return network(pixels)


@torch.inference_mode()
def _whole(network: Network, pixels: Tensor) -> object:
    return network.propose(network(pixels), [(pixels.shape[2], pixels.shape[3])])


def _conditions(words: argparse.Namespace, budget: Budget, data: DataSplit) -> str:
    boxes = sum(len(record.boxes_xyxy) for record in data.training.records)
    start = "ImageNet weights" if budget.weights else "random weights"
    classes = f" of {len(data.seen)} classes" if data.seen else ""
    return (
        f"{words.data.name}: {len(data.training)} photographs to train on ({boxes:,} boxes{classes}), measured on "
        f"{len(data.measured)} of {words.split}; every row: MobileNetV2 from {start}, {budget.photographs:,} "
        f"photographs in crops of {budget.crop} px, 8 a batch, the same batches for a seed, AdamW .001 with a cosine "
        "to zero, bf16, averaged weights, gradients clipped; 1000 candidates a level, suppression above .7, "
        "1000 proposals. ± is half the way from the lowest to the highest seed."
    )


def _tag(words: argparse.Namespace) -> str:
    classes = "-" + "-".join(words.only_classes)[:40] if words.only_classes else ""
    return f"{words.data.name}-{words.photographs}-{words.crop}{classes}"


def _words(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, help="of the backbone (.safetensors); else it starts from scratch")
    parser.add_argument("--rows", nargs="+", default=[OURS, TORCHVISION], help="names, or the word ablation")
    parser.add_argument(
        "--candidate", default=OURS, metavar="ROW", help="the row that is timed and compared with torchvision"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--photographs", type=int, default=3500, help="image budget of a training")
    parser.add_argument("--crop", type=int, default=320)
    parser.add_argument("--split", default="val", help="that is measured on")
    parser.add_argument("--measured", type=int, default=0, help="photographs of it, evenly drawn; 0 means all")
    parser.add_argument("--only-classes", nargs="+", default=[], help="that are trained on, or the word voc")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a change for every row")
    parser.add_argument("--timed", type=int, default=8, help="photographs that inference is timed on; 0 for none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--report", action="store_true", help="train nothing")
    parser.add_argument("--out", type=Path, help="default: a folder in runs/quality named after the budget")
    parser.add_argument("--text", type=Path, help="write what is printed there too")
    parser.add_argument("--figure", type=Path, help="draw curves and bars there (.png)")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
