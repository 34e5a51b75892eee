"""``objectness export``."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from objectness.cli.old_names import note_old_names
from objectness.cli.output import AllowOutsideFlag, JsonFlag, Output, QuietFlag, one_sentence_errors, tracker
from objectness.errors import InputError
from objectness.installation import require_training

if TYPE_CHECKING:
    from objectness.evaluation import RecallReport
    from objectness.export.export_model import ExportReport

_SHOWN_KS = (10, 100, 300, 1000)


class Format(StrEnum):
    """Kind of the exported file."""

    onnx = "onnx"
    openvino = "openvino"


class Precision(StrEnum):
    """Number format of the weights."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


@one_sentence_errors
def command(
    run: Annotated[Path, typer.Argument(help="A run folder, or a .safetensors checkpoint.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="The file to write.", show_default="beside the checkpoint: best.onnx, best.int8.onnx, ..."
        ),
    ] = None,
    detector: Annotated[
        bool,
        typer.Option("--detector", help="The whole detector, which names objects; else its RPN alone, which proposes."),
    ] = False,
    format_: Annotated[
        Format, typer.Option("--format", help="One .onnx file, or OpenVINO's .xml with its .bin.")
    ] = Format.onnx,
    precision: Annotated[
        Precision, typer.Option(help="fp16 halves the file; int8 quantises convolutions and needs --photos.")
    ] = Precision.fp32,
    nms: Annotated[
        bool, typer.Option("--nms/--no-nms", help="Suppression inside the graph, or candidates out.")
    ] = True,
    calibrate: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Data set with boxes on which scores are calibrated and recall is measured, or the word none.",
            show_default="the run's own validation photos, where they still are",
        ),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(
            help="Photos for int8: a folder, or a data set, on which recall is then compared before and after."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change how photos are resized (images.short_side) or boxes selected (select.nms_iou); repeatable.",
        ),
    ] = None,
    most_lost: Annotated[
        float,
        typer.Option(min=0, max=1, help="Refuse int8 that loses a larger share of the best 100 proposals (IoU 0.5)."),
    ] = 0.5,
    licence: Annotated[
        str | None, typer.Option(help="Licence of the weights, kept in the file.", show_default="not stated")
    ] = None,
    allow_outside: AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Turn a trained checkpoint into one file that needs no PyTorch: pixels in, boxes and scores out.

    The file is run beside PyTorch on two image sizes and on a batch before it appears.
    """
    from objectness.cli.targets import require_targets
    from objectness.inference.model_files import CHECKPOINT, model_file

    output = Output(as_json, quiet)
    checkpoint = model_file(run)
    if checkpoint.suffix.lower() != CHECKPOINT:
        raise InputError(f"{checkpoint}: is exported already; give a run folder or a .safetensors file.")
    require_training("Exporting", "onnx", "onnxscript")
    if detector:
        plain = format_ is Format.onnx and precision is Precision.fp32 and nms
        if not plain or any(option is not None for option in (calibrate, photos, set_)):
            raise InputError(
                "--detector writes an .onnx file in fp32 with suppression inside and scores as they are: leave out "
                "--format, --precision, --no-nms, --calibrate, --photos and --set."
            )
        _export_detector(checkpoint, out or checkpoint.with_suffix(".detector.onnx"), licence, output)
        return
    from objectness.export.export_checkpoint import choose_sources
    from objectness.export.export_model import export_model
    from objectness.export.settings import ExportSettings

    settings = ExportSettings(format_.value, precision.value, nms, licence, tuple(set_ or ()), most_lost)
    target = out or checkpoint.with_suffix(settings.variant + settings.suffix)
    if target.suffix != settings.suffix:
        raise InputError(f"--out {target} must end in {settings.suffix}.")
    require_targets((target,), (photos, checkpoint), None if calibrate in (None, "none") else Path(calibrate))
    if target.exists():
        output.note(f"{target} is there already, and will be replaced.")
    note_old_names(output, [f"rpn.{change.strip().removeprefix('rpn.')}" for change in settings.changes])
    sources = choose_sources(
        checkpoint,
        True if calibrate is None else calibrate != "none" and calibrate,
        photos,
        output.warn,
        allow_outside=allow_outside,
    )
    if calibrate is None and sources.calibration is None:
        output.warn("Photos with boxes to calibrate on can be named by --calibrate.")
    report = export_model(checkpoint, target, settings, sources, track=tracker(output, "measuring"), notify=output.note)
    _report(report, output)


def _export_detector(checkpoint: Path, target: Path, licence: str | None, output: Output) -> None:
    from objectness.cli.targets import require_targets
    from objectness.export.export_detector import export_detector

    if target.suffix != ".onnx":
        raise InputError(f"--out {target} must end in .onnx.")
    require_targets((target,), (checkpoint,))
    if target.exists():
        output.note(f"{target} is there already, and will be replaced.")
    export_detector(checkpoint, target, licence=licence, notify=output.note)
    size = target.stat().st_size
    output.summary(f"{target} ({size / 1e6:.1f} MB)")
    output.result({"file": str(target), "files": [str(target)], "bytes": size})


def _report(report: ExportReport, output: Output) -> None:
    for found in (*report.agreements, *report.changed):
        height, width = found.size_hw
        images = "" if found.images == 1 else f"{found.images} x "
        when = " in the precision asked for" if found in report.changed else ""
        output.note(
            f"{images}{width} x {height}: {found.candidates} candidates, PyTorch and ONNX Runtime{when} differ by at "
            f"most {found.pixels:.2g} pixels and {found.score:.2g} in score."
        )
    if report.lost is not None:
        output.note(f"Of the best 100 proposals of a photo in fp32, {report.lost:.1%} have no counterpart in int8.")
    if report.recall_before is not None and report.recall_after is not None:
        output.note(f"Before: {_recall(report.recall_before)}.")
        output.note(f"After:  {_recall(report.recall_after)}.")
    calibrated = report.calibrated
    if calibrated is not None and report.recall is not None:
        output.note(
            f"Calibrated on {calibrated.proposals} proposals of {calibrated.photographs} photos: scores are off by "
            f"{calibrated.after.error:.3f} on average, {calibrated.before.error:.3f} before. {_recall(report.recall)}."
        )
    size = sum(file.stat().st_size for file in report.files if file.suffix != ".png")
    output.summary(f"{' '.join(map(str, report.files))} ({size / 1e6:.1f} MB)")
    output.result(
        {
            "file": str(report.target),
            "files": [str(file) for file in report.files],
            "bytes": size,
            "agreement": [asdict(found) for found in report.agreements],
            "agreement_after": [asdict(found) for found in report.changed],
            "lost": report.lost,
            "recall": _to_json(report.recall),
            "recall_before": _to_json(report.recall_before),
            "recall_after": _to_json(report.recall_after),
            "calibration": None
            if calibrated is None
            else {
                **calibrated.calibration.to_json(),
                "error_before": calibrated.before.error,
                "error_after": calibrated.after.error,
            },
        }
    )


def _recall(report: RecallReport) -> str:
    shown = {k: report.ar[k] for k in _SHOWN_KS if k in report.ar}
    return ", ".join(f"AR@{k} {value:.4f}" for k, value in shown.items() if value is not None)


def _to_json(report: RecallReport | None) -> dict[str, Any] | None:
    return None if report is None else {str(k): value for k, value in report.ar.items()}
