"""From file to boxes beside its peers: time, its parts, memory, arithmetic, and whether thresholds hold.

    python benchmarks/speed.py DATA [--run RUN] [--only recall times box] [--photos 4] [--measured 40] [--rounds 3]

DATA is a data set whose photographs are proposed for; with --run, a training run of the recipe ``fpn-resnet50``, the
same weights go into our network and into torchvision's (else random ones, which say nothing about recall). Needs the
extra ``bench``. Suppression, selection and matching have kernels.py.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from tables import Row, table, thresholds
from timing import machine, paired, peak_memory
from torchvision_peer import TorchvisionProposer

from objectness.datasets import Record, load_dataset, repair
from objectness.errors import did_you_mean
from objectness.evaluation import per_object
from objectness.evaluation.baselines import baseline
from objectness.evaluation.bootstrap import Sampled, over_images, sample
from objectness.evaluation.measurement import measure
from objectness.export.export_model import export_model
from objectness.export.settings import ExportSettings
from objectness.images import open_upright
from objectness.inference.loading import load
from objectness.inference.proposer import Proposer
from objectness.proposals import Proposals
from objectness.rpn.checkpoint import load_network, save_network
from objectness.rpn.network import RegionProposalNetwork
from objectness.speed.measure import time_models
from objectness.speed.work import machine_gflops, watch
from objectness.training.recipes import recipe

Propose = Callable[[Path], Proposals]
TOP = 1000
KS = (100, 300, 1000)
PARTS = ("recall", "times", "box")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", nargs="+", default=["val"], help="one or several")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="recall needs no quiet machine")
    parser.add_argument("--run", type=Path, help="a run folder of fpn-resnet50")
    parser.add_argument("--model", type=Path, help="what `objectness export` made of it, to spare the time")
    parser.add_argument("--int8", type=Path, help="the same in int8")
    parser.add_argument("--engines", nargs="+", help="names of ours, as the table has them; default: all")
    parser.add_argument("--photos", type=int, default=4, help="that are timed")
    parser.add_argument("--measured", type=int, default=40, help="that recall is measured on")
    parser.add_argument("--as-it-is", action="store_true", help="recall of torchvision's own resizing and anchors too")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write what is printed there too")
    words = parser.parse_args()
    lines: list[str] = []

    def tell(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    records = [
        record for split in words.split for record in repair(load_dataset(words.data, split), decode=False)[0].records
    ]
    timed = [record.path for record in _evenly(records, words.photos)]
    distributions = ("numpy", "onnxruntime", "openvino", "torch", "torchvision", "opencv-contrib-python-headless")
    tell(f"{machine(*distributions)}; PyTorch with {torch.get_num_threads()} threads")
    if set(words.only) - {"recall"}:
        count = f"{len(timed)} photographs of {words.data.name} and {words.rounds} rounds"
        tell(f"Medians over {count}, in turns (A B A B).")
    rows: list[Row] = []
    if {"recall", "times"} & set(words.only):
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = _checkpoint(words.run, Path(folder))
            engines = _engines(words.model or _exported(checkpoint, Path(folder)), words.int8, words.engines)
            network, _ = load_network(checkpoint)
            if "recall" in words.only:
                recall(network, engines, _evenly(records, words.measured), tell, as_it_is=words.as_it_is)
            if "times" in words.only:
                rows += same_network(network, engines, timed, words.rounds)
    if "box" in words.only:
        rows += small_model(timed, words.rounds, tell)
    for line in ["", *table(rows, "peer"), "", *thresholds(rows)] if rows else []:
        tell(line)
    if words.out:
        words.out.parent.mkdir(parents=True, exist_ok=True)
        words.out.write_text("\n".join(lines) + "\n")


def recall(
    network: RegionProposalNetwork,
    engines: Mapping[str, Propose],
    records: Sequence[Record],
    tell: Callable[[str], None],
    *,
    as_it_is: bool,
) -> None:
    """Average recall of the same weights on the same input, ours beside torchvision's."""
    objects = sum(int((~record.ignore).sum()) for record in records)
    tell("")
    tell(f"Recall of the same weights on {len(records)} photographs with {objects} objects (AR@100, AR@300, AR@1000):")
    if as_it_is:
        tell(f"  torchvision as it is          {_numbers(_recall(TorchvisionProposer(network), records))}")
    reference = _recall(TorchvisionProposer(network, same_input=True), records)
    tell(f"  torchvision on the same input {_numbers(reference)}")
    for name, propose in engines.items():
        found = _recall(propose, records)
        apart = found.minus(reference)
        worst = max(abs(difference.value or 0) for difference in apart)
        verdict = "kept" if worst <= 0.001 else "BROKEN"
        tell(f"  {name:<29} {_numbers(found)}   at most {worst:.4f} apart, 0.001 promised: {verdict}")
        if worst and len(records) > 1:  # one photograph has no interval
            ends = ", ".join(f"{one.value:+.4f} ({one.low:+.4f} to {one.high:+.4f})" for one in apart)
            tell(f"  {'':<29} {ends}: intervals over the photographs, 95 %")


def same_network(
    network: RegionProposalNetwork, engines: Mapping[str, Propose], photos: Sequence[Path], rounds: int
) -> list[Row]:
    """ResNet-50-FPN at 800 px, file to boxes: our engines against torchvision eager with the same weights."""
    theirs, rows = TorchvisionProposer(network), []
    for name, propose in engines.items():
        times = paired(partial(_all, propose, photos), partial(_all, theirs, photos), rounds)
        memory = peak_memory(partial(propose, photos[0])), peak_memory(partial(theirs, photos[0]))
        what = f"ResNet-50-FPN, 800 px, {len(photos)} photos, {name}; torchvision eager"
        rows.append(Row(what, times, *memory, 3.0 if name == "OpenVINO bf16" else None))
    return rows


def _exported(checkpoint: Path, folder: Path) -> Path:
    export_model(checkpoint, folder / "resnet50.onnx", ExportSettings())
    return folder / "resnet50.onnx"


def _engines(model: Path, int8: Path | None, wanted: Sequence[str] | None) -> dict[str, Propose]:
    engines: dict[str, Callable[[], Propose]] = {
        "ONNX Runtime": partial(load, model, top=TOP),
        "OpenVINO fp32": partial(load, model, top=TOP, engine="openvino"),
        "OpenVINO bf16": partial(load, model, top=TOP, engine="openvino", precision="bf16"),
    }
    if int8:
        engines["ONNX Runtime int8"] = partial(load, int8, top=TOP)
        engines["OpenVINO int8"] = partial(load, int8, top=TOP, engine="openvino")
    unknown = [name for name in wanted or () if name not in engines]
    if unknown:
        raise SystemExit(f"Unknown engine {unknown[0]!r}: {did_you_mean(unknown[0], list(engines))}")
    return {name: opened() for name, opened in engines.items() if not wanted or name in wanted}


def small_model(photos: Sequence[Path], rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """The bundled model: its parts, its arithmetic, and the classic ways on the same photographs."""
    propose = load(top=TOP)
    (parts,) = time_models([propose], photos, max(rounds, 5))
    tell("")
    tell(
        f"The bundled model: {parts.total:.1f} ms from file to boxes (reading {parts.reading:.1f}, network and "
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
        rows.append(Row(f"The bundled model, {len(photos)} photos; {name}", times))
    return rows


def _checkpoint(run: Path | None, folder: Path) -> Path:
    if run is not None:
        return run / "best.safetensors"
    torch.manual_seed(0)
    network = RegionProposalNetwork(recipe("fpn-resnet50").rpn)
    save_network(folder / "random.safetensors", network, {"name": "random weights"})
    return folder / "random.safetensors"


def _recall(propose: Propose, records: Sequence[Record]) -> Sampled:
    numbered = [replace(record, image_id=place) for place, record in enumerate(records)]  # ids may repeat over splits
    measured = measure({record.image_id: propose(record.path) for record in numbered}, numbered, KS)
    hits = over_images(per_object.ar(measured.ranks, KS), measured.image_of, measured.images)
    objects = np.bincount(measured.image_of, minlength=measured.images).astype(float)
    return sample(hits, objects[:, None])


def _all(propose: Propose, photos: Sequence[Path]) -> None:
    for photo in photos:
        propose(photo)


def _evenly(records: Sequence[Record], count: int) -> list[Record]:
    places = np.linspace(0, len(records) - 1, min(count, len(records))).round().astype(int)
    return [records[place] for place in places]


def _numbers(figures: Sampled) -> str:
    return " ".join(f"{value:.4f}" for value in figures.values)


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
