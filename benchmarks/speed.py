"""From file to boxes beside its peers: time, its parts, memory, arithmetic, and whether promises hold.

    python benchmarks/speed.py DATA [--run RUN] [--photos 4] [--measured 40] [--rounds 3] [--out FILE]

DATA is a data set whose photographs are proposed for; with --run, a training run of the recipe ``fpn-resnet50``, the
same weights go into our network and into torchvision's (else random ones, which say nothing about recall). Needs the
extra ``bench``. Suppression, selection and matching have kernels.py.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from tables import Row, promises, table
from timing import machine, paired, peak_memory
from torchvision_peer import TorchvisionProposer

from objectness.datasets import Record, load_dataset, repair
from objectness.evaluation import average_recall
from objectness.evaluation.baselines import baseline
from objectness.export import ExportSettings, export_model
from objectness.images import open_upright
from objectness.proposals import Proposals
from objectness.proposer import Proposer, load
from objectness.rpn.checkpoint import load_network, save_network
from objectness.rpn.network import RegionProposalNetwork
from objectness.speed.measure import time_models
from objectness.speed.work import machine_gflops, watch
from objectness.training.recipes import recipe

Propose = Callable[[Path], Proposals]
TOP = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--run", type=Path, help="a run folder of fpn-resnet50")
    parser.add_argument("--photos", type=int, default=4, help="that are timed")
    parser.add_argument("--measured", type=int, default=40, help="that recall is measured on")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write what is printed there too")
    words = parser.parse_args()
    lines: list[str] = []

    def tell(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    records = repair(load_dataset(words.data, words.split), decode=False)[0].records
    timed = [record.path for record in _evenly(records, words.photos)]
    distributions = ("numpy", "onnxruntime", "openvino", "torch", "torchvision", "opencv-contrib-python-headless")
    tell(f"{machine(*distributions)}; PyTorch with {torch.get_num_threads()} threads")
    tell(f"Medians over {len(timed)} photographs of {words.data.name} and {words.rounds} rounds, in turns (A B A B).")
    with tempfile.TemporaryDirectory() as folder:
        rows = same_network(words.run, Path(folder), timed, _evenly(records, words.measured), words.rounds, tell)
    rows += small_model(timed, words.rounds, tell)
    for line in ["", *table(rows, "peer"), "", *promises(rows)]:
        tell(line)
    if words.out:
        words.out.parent.mkdir(parents=True, exist_ok=True)
        words.out.write_text("\n".join(lines) + "\n")


def same_network(
    run: Path | None,
    folder: Path,
    photos: Sequence[Path],
    measured: Sequence[Record],
    rounds: int,
    tell: Callable[[str], None],
) -> list[Row]:
    """ResNet-50-FPN at 800 px, file to boxes: our engines against torchvision eager with the same weights."""
    checkpoint = _checkpoint(run, folder)
    target = folder / "resnet50.onnx"
    export_model(checkpoint, target, ExportSettings())
    network, _ = load_network(checkpoint)
    theirs = TorchvisionProposer(network)
    ours: dict[str, Propose] = {
        "ONNX Runtime": load(target, top=TOP),
        "OpenVINO fp32": load(target, top=TOP, engine="openvino"),
        "OpenVINO bf16": load(target, top=TOP, engine="openvino", precision="bf16"),
    }
    tell("")
    tell(f"Recall of the same weights on {len(measured)} photographs (AR@100, AR@300, AR@1000):")
    tell(f"  torchvision as it is          {_numbers(_recall(theirs, measured).values())}")
    reference = _recall(TorchvisionProposer(network, same_input=True), measured)
    tell(f"  torchvision on the same input {_numbers(reference.values())}")
    for name, propose in ours.items():
        recall = _recall(propose, measured)
        worst = max(abs(recall[k] - reference[k]) for k in recall)
        verdict = "kept" if worst <= 0.001 else "BROKEN"
        tell(f"  {name:<29} {_numbers(recall.values())}   at most {worst:.4f} apart, 0.001 promised: {verdict}")
    rows = []
    for name, propose in ours.items():
        times = paired(partial(_all, propose, photos), partial(_all, theirs, photos), rounds)
        memory = peak_memory(partial(propose, photos[0])), peak_memory(partial(theirs, photos[0]))
        what = f"ResNet-50-FPN, 800 px, {len(photos)} photos, {name}; torchvision eager"
        rows.append(Row(what, times, *memory, 3.0 if name == "OpenVINO bf16" else None))
    return rows


def small_model(photos: Sequence[Path], rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """The model in the box: its parts, its arithmetic, and the classic ways on the same photographs."""
    propose = load(top=TOP)
    (parts,) = time_models([propose], photos, max(rounds, 5))
    tell("")
    tell(
        f"The model in the box: {parts.total:.1f} ms from file to boxes (reading {parts.reading:.1f}, network and "
        f"selection {parts.network:.1f}); {parts.in_a_stream:.1f} ms a photograph in a stream."
    )
    work = watch(_default_model(), _seen(propose, photos[0])[None], threads=torch.get_num_threads())
    rate, peak = work.flops / 1e6 / work.convolution_ms, machine_gflops(torch.get_num_threads())
    tell(
        f"Its graph: {work.flops / 1e9:.2f} GFLOP, convolutions at {rate:.0f} GFLOP/s in {work.convolution_ms:.1f} ms, "
        f"all else {work.other_ms:.1f} ms; a matrix product reaches {peak:.0f} GFLOP/s here."
    )
    rows = []
    for name in ("selective-search", "sliding-window"):
        classic = baseline(name, TOP)
        times = paired(
            partial(_all, propose, photos),
            partial(_all, lambda path, classic=classic: classic(open_upright(path)), photos),
            1 if name == "selective-search" else rounds,
        )
        rows.append(Row(f"The model in the box, {len(photos)} photos; {name}", times))
    return rows


def _checkpoint(run: Path | None, folder: Path) -> Path:
    if run is not None:
        return run / "best.safetensors"
    torch.manual_seed(0)
    network = RegionProposalNetwork(recipe("fpn-resnet50").rpn, load_weights=False)
    save_network(folder / "random.safetensors", network, {"name": "random weights"})
    return folder / "random.safetensors"


def _recall(propose: Propose, records: Sequence[Record]) -> Mapping[int, float]:
    found = {record.image_id: propose(record.path) for record in records}
    return {k: value or 0.0 for k, value in average_recall(found, records, ks=(100, 300, 1000)).ar.items()}


def _all(propose: Propose, photos: Sequence[Path]) -> None:
    for photo in photos:
        propose(photo)


def _evenly(records: Sequence[Record], count: int) -> list[Record]:
    places = np.linspace(0, len(records) - 1, min(count, len(records))).round().astype(int)
    return [records[place] for place in places]


def _numbers(values: object) -> str:
    return " ".join(f"{value:.4f}" for value in values)  # type: ignore[attr-defined]


def _default_model() -> bytes:
    from importlib import resources

    return (resources.files("objectness.models") / "default.onnx").read_bytes()


def _seen(propose: Proposer, photo: Path) -> np.ndarray:
    from objectness.images import open_fitted

    return open_fitted(photo, propose.description.short_side, propose.description.long_side).pixels


if __name__ == "__main__":
    start = perf_counter()
    main()
    print(f"{perf_counter() - start:.0f} s")
