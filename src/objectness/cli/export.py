"""``objectness export``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from objectness.cli.output import JsonFlag, Output, QuietFlag, one_sentence_errors
from objectness.errors import InputError


@one_sentence_errors
def command(
    run: Annotated[Path, typer.Argument(help="A run folder, or a .safetensors checkpoint.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The file to write; best.onnx beside the checkpoint.")
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Turn a trained checkpoint into one ONNX file that needs no PyTorch.

    The file is checked against PyTorch on two image sizes before it appears.
    """
    output = Output(as_json, quiet)
    checkpoint = run / "best.safetensors" if run.is_dir() else run
    if not checkpoint.is_file():
        raise InputError(f"No checkpoint {checkpoint}: give a run folder or a .safetensors file of `objectness train`.")
    target = out or checkpoint.with_suffix(".onnx")
    if target.suffix != ".onnx":
        raise InputError(f"--out {target} must end in .onnx.")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        from objectness.export import export_onnx
    except ModuleNotFoundError as error:
        raise InputError(f'Exporting needs {error.name}: pip install "objectness[train]"') from None
    agreements = export_onnx(checkpoint, target)
    for agreement in agreements:
        height, width = agreement.size_hw
        output.note(
            f"{width} x {height}: {agreement.candidates} candidates, PyTorch and ONNX Runtime differ by at most "
            f"{agreement.pixels:.2g} pixels and {agreement.score:.2g} in score."
        )
    size = target.stat().st_size
    output.tables.print(f"{target} ({size / 1e6:.1f} MB)")
    output.result({"file": str(target), "bytes": size, "agreement": [asdict(agreement) for agreement in agreements]})
