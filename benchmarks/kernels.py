"""Suppression, selection, matching and a training step beside torchvision's: time, memory, and whether thresholds hold.

    python benchmarks/kernels.py [--only nms large selection matching training] [--rounds 7] [--out FILE]

Both sides get the same tensors, take turns (A B A B), and give the same answer, which is checked before they are
timed. Threads are PyTorch's own choice (OMP_NUM_THREADS), for both.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np
import torch
from tables import Row, table, thresholds
from timing import machine, paired, peak_memory
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler, BoxCoder, Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.rpn import RegionProposalNetwork as TheirNetwork
from torchvision.models.detection.rpn import RPNHead as TheirHead
from torchvision.ops import box_iou, nms
from training_step import training_step

from objectness import boxes
from objectness.engines import EngineSettings
from objectness.engines.onnx_runtime import open_onnx
from objectness.images import open_upright, resize
from objectness.rpn.anchors import level_anchors
from objectness.rpn.box_coder import encode
from objectness.rpn.losses import objectness_scores
from objectness.rpn.matching import match
from objectness.rpn.sampling import sample_random
from objectness.rpn.selection import candidates, suppress
from objectness.rpn.settings import AnchorSettings, SampleSettings, SelectSettings

HERE = Path(__file__).parent
PYRAMID = AnchorSettings(sizes=(32.0, 64.0, 128.0, 256.0, 512.0), offset=0.0)
PYRAMID_STRIDES, PYRAMID_HW = [4, 8, 16, 32, 64], (800, 1344)


Tell = Callable[[str], None]


def scattered(count: int, size_hw: tuple[int, int], clusters: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes with sides of 16 to 400 px and scores: around the centres of clusters, or anywhere."""
    rng = np.random.default_rng(seed)
    canvas = np.array(size_hw[::-1])
    own = clusters or count
    centres, sides = rng.uniform(0, canvas, (own, 2)), np.exp(rng.uniform(np.log(16), np.log(400), (own, 2)))
    if clusters:
        chosen = rng.integers(0, clusters, count)
        centres = centres[chosen] + rng.normal(0, 0.12, (count, 2)) * sides[chosen]
        sides = sides[chosen] * np.exp(rng.normal(0, 0.12, (count, 2)))
    both = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
    return both.astype(np.float32), rng.random(count).astype(np.float32)


def of_the_model(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What the bundled model sees before suppression, each several times with a jitter of 3 % of its sides."""
    model = HERE.parent / "src/objectness/models/default.onnx"
    image = open_upright(HERE.parent / "examples/photos/astronaut.jpg")
    found = open_onnx(model, str(model), EngineSettings()).propose(resize(image, (384, 384)), nms=1.0, top=count)
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, len(found.scores), count)
    sides = np.tile(found.boxes_xyxy[chosen, 2:] - found.boxes_xyxy[chosen, :2], 2)
    moved = found.boxes_xyxy[chosen] + rng.normal(0, 0.03, (count, 4)) * sides
    return moved.astype(np.float32), (found.scores[chosen] + rng.normal(0, 0.01, count)).astype(np.float32)


def suppression(rounds: int, tell: Tell) -> list[Row]:
    del tell
    rows = []
    inputs = {
        "12,000 of the model": of_the_model(12_000, seed=0),
        "12,000 in 100 clusters": scattered(12_000, (600, 1000), 100, seed=0),
        "12,000 in 300 clusters": scattered(12_000, (600, 1000), 300, seed=0),
        "12,000 anywhere": scattered(12_000, (600, 1000), None, seed=0),
    }
    for name, (some, scores) in inputs.items():
        for threshold in (0.3, 0.5, 0.7, 0.9):
            promised = 5.0 if threshold == 0.7 and "clusters" in name else None
            rows.append(_suppression(f"NMS, {name}, {threshold}", some, scores, threshold, rounds, promised))
    return rows


def large_suppression(rounds: int, tell: Tell) -> list[Row]:
    """The threshold is a time and not a ratio: run it on an idle machine. Processor time tells how busy it was."""
    rows = []
    for name, clusters in (("in 2,000 clusters", 2000), ("anywhere", None)):
        some, scores = scattered(100_000, (10_000, 10_000), clusters, seed=0)
        row = _suppression(f"NMS, 100,000 {name}, 0.7", some, scores, 0.7, 1, None)
        half = peak_memory(lambda some=some, scores=scores: boxes.nms(some[:50_000], scores[:50_000], 0.7))
        spent = []
        for _ in range(rounds):
            start = perf_counter(), process_time()
            boxes.nms(some, scores, 0.7)
            spent.append((perf_counter() - start[0], process_time() - start[1]))
        clock, processor = (median(times) for times in zip(*spent, strict=True))
        verdict = "kept" if clock <= 0.5 else "BROKEN"
        tell(f"{row.what}: {clock:.3f} s ({processor:.3f} s of processor time), 0.5 s promised: {verdict}")
        if row.ours and half:
            tell(f"{row.what}: {row.ours / half:.1f} times the memory of half the boxes (linear: 2)")
        rows.append(row)
    return rows


def _suppression(
    what: str, some: np.ndarray, scores: np.ndarray, threshold: float, rounds: int, promised: float | None
) -> Row:
    tensors = torch.from_numpy(some), torch.from_numpy(scores)
    answers = []

    def ours() -> None:
        answers.append(boxes.nms(some, scores, threshold).tolist())

    def theirs() -> None:
        answers.append(nms(*tensors, threshold).tolist())

    memory = peak_memory(ours), peak_memory(theirs)
    times = paired(ours, theirs, rounds, warm=0)
    assert all(answer == answers[0] for answer in answers), what
    return Row(f"{what}, {len(answers[0])} kept", times, *memory, promised)


def selection(rounds: int, tell: Tell) -> list[Row]:
    del tell
    paper = AnchorSettings(sizes=(128.0, 256.0, 512.0), offset=0.0)
    return [
        _selection("Selection, paper, 6000 -> 300", paper, [16], (600, 1000), (6000, 300), rounds, 5.0),
        _selection(
            "Selection, paper's training, 12000 -> 2000", paper, [16], (600, 1000), (12_000, 2000), rounds, None
        ),
        _selection(
            "Selection, five levels, 1000 -> 1000", PYRAMID, PYRAMID_STRIDES, PYRAMID_HW, (1000,) * 2, rounds, 1.0
        ),
        _selection(
            "Selection, five levels, 2000 -> 2000", PYRAMID, PYRAMID_STRIDES, PYRAMID_HW, (2000,) * 2, rounds, 1.0
        ),
    ]


def _selection(
    what: str,
    anchors: AnchorSettings,
    strides: list[int],
    size_hw: tuple[int, int],
    counts: tuple[int, int],
    rounds: int,
    promised: float | None,
) -> Row:
    """Scores and deltas as a half-trained network gives them: high and near the boxes, with noise."""
    chance = torch.Generator().manual_seed(0)
    levels = level_anchors(anchors, _maps(size_hw, strides), strides)
    truth = torch.from_numpy(scattered(12, size_hw, None, seed=1)[0])
    logits, deltas = [], []
    for level in levels:
        found = match(level, truth)
        near = (found.iou > 0.3)[:, None]
        wanted = encode(truth[found.box_index], level).clamp(-1, 1)
        deltas.append(torch.where(near, 0.6 * wanted, 0) + 0.1 * torch.randn(len(level), 4, generator=chance))
        logits.append((8 * found.iou - 4 + torch.randn(len(level), generator=chance))[:, None])
    settings = SelectSettings(pre_nms_top_n=counts[0], post_nms_top_n=counts[1])
    coder, network = BoxCoder((1.0, 1.0, 1.0, 1.0)), _their_network(counts).eval()
    network.min_size = settings.min_size
    all_deltas, all_logits, all_anchors = torch.cat(deltas), torch.cat(logits)[None, :, 0], [torch.cat(levels)]

    @torch.no_grad()
    def ours() -> tuple[Tensor, Tensor]:
        found = suppress(
            candidates([objectness_scores(level) for level in logits], deltas, levels, size_hw, settings), settings
        )
        return found.boxes_xyxy, found.scores

    @torch.no_grad()
    def theirs() -> tuple[Tensor, Tensor]:
        decoded = coder.decode(all_deltas, all_anchors).view(1, -1, 4)
        found = network.filter_proposals(decoded, all_logits, [size_hw], [len(level) for level in levels])
        return found[0][0], found[1][0]

    torch.testing.assert_close(ours(), theirs(), rtol=1e-5, atol=1e-2)
    what = f"{what} ({len(all_deltas):,} anchors)"
    return Row(what, paired(ours, theirs, rounds), peak_memory(ours), peak_memory(theirs), promised)


def matching(rounds: int, tell: Tell) -> list[Row]:
    del tell
    return [
        _matching("100 boxes of 16 to 400 px", 16, 400, rounds),
        _matching("100 of 200 to 800 px", 200, 800, rounds),
    ]


def _matching(what: str, low: float, high: float, rounds: int) -> Row:
    anchors = torch.cat(level_anchors(PYRAMID, _maps(PYRAMID_HW, PYRAMID_STRIDES), PYRAMID_STRIDES))
    rng = np.random.default_rng(0)
    sides = np.exp(rng.uniform(np.log(low), np.log(high), (100, 2)))
    corner = rng.uniform(0, 1, (100, 2)) * (np.array(PYRAMID_HW[::-1]) - sides)
    truth = torch.from_numpy(np.concatenate([corner, corner + sides], axis=1).astype(np.float32))
    settings = SampleSettings()
    matcher, sampler = Matcher(0.7, 0.3, allow_low_quality_matches=True), BalancedPositiveNegativeSampler(256, 0.5)

    def their_labels() -> Tensor:
        index = matcher(box_iou(truth, anchors))
        labels = (index >= 0).float()
        labels[index == Matcher.BETWEEN_THRESHOLDS] = -1
        return labels

    assert torch.equal(match(anchors, truth).labels.float(), their_labels())

    def ours() -> object:
        return sample_random(match(anchors, truth), None, settings, torch.Generator().manual_seed(0))

    def theirs() -> object:
        return sampler([their_labels()])

    rounds = min(rounds, 5)
    times = paired(ours, theirs, rounds)
    return Row(
        f"Matching and sampling, {len(anchors):,} anchors, {what}",
        times,
        peak_memory(ours),
        peak_memory(theirs),
        5.0,
        0.1,
    )


def _their_network(counts: tuple[int, int]) -> TheirNetwork:
    before, after = ({"training": count, "testing": count} for count in counts)
    return TheirNetwork(AnchorGenerator(), TheirHead(4, 3), 0.7, 0.3, 256, 0.5, before, after, 0.7)


def _maps(size_hw: tuple[int, int], strides: list[int]) -> list[tuple[int, int]]:
    return [(-(-size_hw[0] // stride), -(-size_hw[1] // stride)) for stride in strides]


PARTS = {
    "nms": suppression,
    "large": large_suppression,
    "selection": selection,
    "matching": matching,
    "training": training_step,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write what is printed there too")
    words = parser.parse_args()
    lines: list[str] = []

    def tell(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    threads = f"{torch.get_num_threads()} threads"
    tell(f"{machine('numpy', 'torch', 'torchvision')}, {threads}; medians of {words.rounds} rounds or fewer, A B A B")
    rows = [row for part in words.only for row in PARTS[part](words.rounds, tell)]
    for line in ["", *table(rows, "torchvision"), "", *thresholds(rows)]:
        tell(line)
    if words.out:
        words.out.parent.mkdir(parents=True, exist_ok=True)
        words.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
