"""``objectness benchmark``: how long models take on this machine, from the file to its boxes, and where it goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from objectness.cli.model_options import SizeOption, ThoroughFlag
from objectness.cli.output import JsonFlag, Output, QuietFlag, one_sentence_errors, tracker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objectness.engines.settings import EngineName, Precision
    from objectness.inference.proposer import Proposer
    from objectness.speed.measure import Timing
    from objectness.speed.work import Work

_NOISE_HW = (480, 640)


@one_sentence_errors
def command(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]...", help="Model files, run folders or default.", show_default="built in"),
    ] = None,
    photos: Annotated[
        list[str] | None,
        typer.Option("--photos", help="Photos or folders; may be repeated.", show_default="a 640 x 480 JPEG of noise"),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each photo is timed.")] = 10,
    limit: Annotated[int, typer.Option(min=1, help="At most this many photos.")] = 20,
    top: Annotated[int, typer.Option(min=1, help="Proposals a photo, at most.")] = 300,
    size: SizeOption = None,
    thorough: ThoroughFlag = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.", show_default="all cores")] = None,
    engine: Annotated[str, typer.Option(help="auto, onnxruntime, openvino or torch.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="Number format of the engine openvino: auto, fp32, bf16 or fp16.")
    ] = "fp32",
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Time models on this machine: reading, network, whole, and in a stream; medians, the models in turns.

    For .onnx files at their own size it also counts their arithmetic and sets it against what a matrix product
    reaches here.
    """
    import tempfile

    from objectness.engines.settings import EngineSettings
    from objectness.images.finding import Found, describe_skipped, find_photos
    from objectness.inference.loading import load
    from objectness.speed.measure import peak_memory, time_models
    from objectness.speed.work import machine_gflops

    output = Output(as_json, quiet)
    names = models or ["default"]
    cores = EngineSettings(threads=threads).cores
    found = find_photos(photos) if photos else Found(())
    for sentence in describe_skipped(found):
        output.warn(sentence)
    with tempfile.TemporaryDirectory() as folder:
        chosen = list(found.photos[:limit]) or [_noise(Path(folder))]
        proposers = [
            load(
                name,
                top=top,
                threads=threads,
                engine=cast("EngineName", engine),
                precision=cast("Precision", precision),
                size=size,
                thorough=thorough,
            )
            for name in names
        ]
        timings = time_models(proposers, chosen, rounds, tracker(output, "timing"))
        memory = peak_memory()
        is_counted = engine in ("auto", "onnxruntime") and size is None and not thorough
        works = [
            _work(name, proposer, chosen[0], cores) if is_counted else None
            for name, proposer in zip(names, proposers, strict=True)
        ]
    peak = machine_gflops(cores) if any(works) else None
    _print(output, names, timings, works, peak)
    files = f"photos: {len(chosen)}" if photos else "a 640 x 480 JPEG of noise"
    held = f", {memory / 2**20:.0f} MiB at most" if memory else ""
    output.note(f"Medians of {files}; rounds: {rounds}; threads: {cores}; up to {top} proposals{held}.")
    output.result(
        {
            "photos": len(chosen) if photos else 0,
            "rounds": rounds,
            "threads": cores,
            "peak memory bytes": memory,
            "machine GFLOP/s": peak,
            "models": [_document(*row) for row in zip(names, timings, works, strict=True)],
        }
    )


def _noise(folder: Path) -> Path:
    """A photograph where none was given: what is in it matters little to the time."""
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (*(side // 8 for side in _NOISE_HW), 3), dtype=np.uint8)
    path = folder / "noise.jpg"
    Image.fromarray(pixels).resize(_NOISE_HW[::-1], Image.Resampling.BICUBIC).save(path, quality=90)
    return path


def _work(name: str, proposer: Proposer, photo: Path, cores: int) -> Work | None:
    """The arithmetic of an .onnx model on one photograph; None for models of other kinds."""
    from objectness.images import open_fitted
    from objectness.inference.model_files import DEFAULT, ONNX, bundled_model
    from objectness.speed.work import watch

    model: Path | bytes
    if name == DEFAULT:
        model = bundled_model()
    elif name.lower().endswith(ONNX):
        model = Path(name)
    else:
        return None
    description = proposer.description
    fitted = open_fitted(photo, description.short_side, description.long_side)
    return watch(model, fitted.pixels[None], cores)


def _document(name: str, timing: Timing, work: Work | None) -> dict[str, Any]:
    from dataclasses import asdict

    return {"model": name, "milliseconds": asdict(timing), "work": None if work is None else asdict(work)}


def _print(
    output: Output, names: Sequence[str], timings: Sequence[Timing], works: Sequence[Work | None], peak: float | None
) -> None:
    from rich.table import Column, Table

    table = Table(Column("model", overflow="fold"), title="Milliseconds a photograph")
    for column in ("file to boxes", "reading", "network", "in a stream", "photos/s", "proposals"):
        table.add_column(column, justify="right")
    for name, timing in zip(names, timings, strict=True):
        parts = (timing.total, timing.reading, timing.network, timing.in_a_stream)
        cells = [f"{part:.1f}" for part in parts]
        table.add_row(name, *cells, f"{1e3 / timing.in_a_stream:.1f}", f"{timing.proposals:g}")
    output.table(table)
    for name, work in zip(names, works, strict=True):
        if work is not None and peak is not None:
            both = work.convolution_ms + work.other_ms
            rate = work.flops / 1e6 / work.convolution_ms if work.convolution_ms else 0
            output.tables.print(
                f"{name}: {work.flops / 1e9:.2f} GFLOP, {work.convolution_ms / both:.0%} of the graph's time in "
                f"convolutions at {rate:.0f} GFLOP/s; NumPy's matrix product reaches {peak:.0f} here.",
                soft_wrap=True,
                markup=False,
            )
