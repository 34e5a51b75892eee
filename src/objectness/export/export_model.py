"""Export of a checkpoint: trace, compare, change the precision, calibrate, write, compare again.

The graph holds normalisation, backbone, head, anchors, decoding, clipping, top-k, suppression, ranking and the
calibration of scores, for any image size and any batch. The file appears only after it was run beside PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from objectness.datasets import Dataset
from objectness.drawing.reliability import draw_reliability
from objectness.engines import METADATA_KEY, EngineSettings, GraphEngine, ModelDescription, ProposalEngine
from objectness.engines.onnx_runtime import open_onnx
from objectness.errors import InputError
from objectness.evaluation import RecallReport, average_recall
from objectness.evaluation.hits import COVERED
from objectness.export import calibration_data
from objectness.export.graph import export_choice, export_network
from objectness.export.metadata import describe_export
from objectness.export.openvino_file import require_openvino, write_openvino
from objectness.export.postprocessing_graph import anchor_names, combine, needed
from objectness.export.precision import halve, quantise, range_images
from objectness.export.settings import ExportSettings, changed
from objectness.export.verification import (
    Agreement,
    compare,
    require_agreement,
    require_close_scores,
    require_same_selection,
    require_written,
    share_lost,
)
from objectness.files.atomic_write import placing, replacing_bytes, require_place
from objectness.files.untrusted import regular_file
from objectness.inference.model_files import OPENVINO, open_engine
from objectness.inference.torch_engine import TorchEngine, describe_network
from objectness.rpn.checkpoint import load_network

Track = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True, eq=False)
class Sources:
    """Photographs to measure on.

    Attributes:
        calibration: Data set for the calibration of scores and for recall; None for neither.
        calibration_required: Fail where these photographs are too few to calibrate; else scores stay as they are.
        measured: Data set for recall before and after a change of precision; None for no comparison.
        photos: Photographs on which the quantiser sees the ranges of values.
    """

    calibration: Dataset | None = None
    calibration_required: bool = True
    measured: Dataset | None = None
    photos: Sequence[Path] = ()


@dataclass(frozen=True, eq=False)
class ExportReport:
    """Files that were written, and their quality.

    Attributes:
        target: The file.
        files: All files that were written.
        agreements: Differences between ONNX Runtime and PyTorch, before any change of precision.
        changed: The same after it; empty for fp32.
        calibrated: Calibration of the scores; None where they are the network's own.
        recall: On the data of the calibration; None without.
        recall_before: In fp32, on ``Sources.measured``; None where not compared.
        recall_after: In the precision of the file, on the same.
        lost: Share of the best proposals in fp32 that int8 does not find again; None for other precisions.
    """

    target: Path
    files: tuple[Path, ...]
    agreements: list[Agreement]
    changed: list[Agreement]
    calibrated: calibration_data.Calibrated | None
    recall: RecallReport | None
    recall_before: RecallReport | None
    recall_after: RecallReport | None
    lost: float | None = None


def export_model(
    checkpoint: Path,
    target: Path,
    settings: ExportSettings | None = None,
    sources: Sources | None = None,
    *,
    track: Track = lambda items: items,
    notify: Callable[[str], None] = lambda sentence: None,
) -> ExportReport:
    """Write ``target`` after running it beside PyTorch on images of two sizes and on a batch.

    Args:
        checkpoint: A .safetensors file that ``objectness train`` wrote.
        target: Ends in .onnx or, for OpenVINO, in .xml; it appears whole or not at all.
        settings: Format, precision and contents.
        sources: Photographs to calibrate, quantise and measure on.
        track: Wraps a loop over photographs, to show progress.
        notify: Receives progress messages.

    Raises:
        InputError: The checkpoint cannot be read, photographs are missing, ONNX Runtime and PyTorch differ by more
            than half a pixel or 0.001 in score, or int8 loses more than ``most_lost``.
    """
    settings, sources = settings or ExportSettings(), sources or Sources()
    _require_place(target)
    if settings.format == "openvino":
        require_openvino()
    if settings.precision == "int8" and not sources.photos:
        raise InputError(
            "int8 needs photographs that show it the range of values: give a folder of them or a data set.",
            arguments=("photos",),
        )
    network, details = load_network(checkpoint, change=lambda own: changed(own, settings.changes))
    description = describe_network(network, describe_export(network, details, settings))
    notify("PyTorch exports the network: graph 1 of 2, a minute or more on a small machine.")
    batch = export_network(network)
    notify("PyTorch exports the choice of candidates: graph 2 of 2.")
    one_image = export_choice(network)

    def build(of: onnx.ModelProto, *, nms: bool, calibration: Any = None) -> onnx.ModelProto:
        levels = len(network.strides)
        return combine(of, one_image, network.settings.select, levels=levels, nms=nms, calibration=calibration)

    def opened(of: onnx.ModelProto, *, nms: bool) -> Any:
        return _open(build(of, nms=nms), description, target)

    notify("Comparing the graph with PyTorch on images of two sizes.")
    candidates, proposals = opened(batch, nms=False), opened(batch, nms=True)
    reference = TorchEngine(network, description)
    agreements, differences = compare(reference, candidates), []
    require_agreement(agreements, target)
    require_same_selection(candidates, proposals, target)
    before = after = lost = None
    if settings.precision != "fp32":
        results = needed(one_image) - set(anchor_names(len(network.strides)))
        images = []
        if settings.precision == "int8":
            images = range_images(sources.photos, description.short_side, description.long_side)
            notify(f"Quantising with the ranges seen on {len(images)} photographs.")
        smaller = quantise(batch, results, images) if images else halve(batch)
        if sources.measured is not None:
            records = calibration_data.measured_records(sources.measured)
            before = average_recall(calibration_data.propose_all(proposals, records, track), records)
        differences = compare(reference, opened(smaller, nms=False))
        if settings.precision == "fp16":
            require_close_scores(differences, target)
        whole, batch, proposals = proposals, smaller, opened(smaller, nms=True)
        if images:
            lost = share_lost(whole, proposals, images, settings.most_lost, target)
        if sources.measured is not None:
            after = average_recall(calibration_data.propose_all(proposals, records, track), records)
    calibrated = recall = None
    if sources.calibration is not None:
        records = calibration_data.measured_records(sources.calibration)
        notify(f"Calibrating on {len(records)} photographs.")
        found = calibration_data.propose_all(proposals, records, track)
        recall = average_recall(found, records)
        try:
            calibrated = calibration_data.calibrate(calibration_data.score_hits(found, records))
        except InputError as error:
            if sources.calibration_required:
                raise
            notify(f"Scores stay as the network gives them, not calibrated. {error}")
        description = _with_measures(description, sources.calibration, calibrated, recall)
    notify(f"Writing {target} and comparing it with what it was made of.")
    model = build(batch, nms=settings.nms, calibration=calibrated.calibration if calibrated else None)
    files = _write(model, description, target, settings, proposals, calibrated)
    if calibrated is not None:
        plot = target.with_name(f"{target.stem}.reliability.png")
        with replacing_bytes(plot) as file:
            draw_reliability(calibrated.before, calibrated.after, description.name).save(file, "PNG")
        files = (*files, plot)
    return ExportReport(target, files, agreements, differences, calibrated, recall, before, after, lost)


def _open(model: onnx.ModelProto, description: ModelDescription, target: Path) -> GraphEngine:
    return open_onnx(_described(model, description).SerializeToString(), str(target), EngineSettings())


def _described(model: onnx.ModelProto, description: ModelDescription) -> onnx.ModelProto:
    """The graph with its description, and with the fields that other tools display."""
    described = onnx.ModelProto()
    described.CopyFrom(model)
    onnx.helper.set_model_props(described, {METADATA_KEY: description.to_json()})
    described.producer_name = "objectness"
    described.model_version = 1  # ONNX Runtime shows the largest number there is where none is written
    described.producer_version = str(description.details.get("version", ""))
    described.doc_string = (
        f"{description.name}: region proposals. Licence of the weights: {description.details['licence']}."
    )
    return described


def _with_measures(
    description: ModelDescription,
    dataset: Dataset,
    calibrated: calibration_data.Calibrated | None,
    recall: RecallReport,
) -> ModelDescription:
    where = {"data": dataset.root.name, "split": dataset.split, "photographs": recall.images}
    measured = {**where, "objects": recall.objects, "ar": {str(k): value for k, value in recall.ar.items()}}
    calibration = None
    if calibrated is not None:
        calibration = {
            **where,
            **calibrated.calibration.to_json(),
            "photographs": calibrated.photographs,
            "iou": COVERED,
            "proposals": calibrated.proposals,
            "error_before": calibrated.before.error,
            "error_after": calibrated.after.error,
        }
    return replace(description, details={**description.details, "measured": measured, "calibration": calibration})


def _write(
    model: onnx.ModelProto,
    description: ModelDescription,
    target: Path,
    settings: ExportSettings,
    proposals: ProposalEngine,
    calibrated: calibration_data.Calibrated | None,
) -> tuple[Path, ...]:
    """Write beside the target, compare the written file, and only then let it take its place."""
    is_pair = settings.format == "openvino"
    with placing(target) as temporary:
        weights = temporary.with_suffix(".bin")
        try:
            if is_pair:
                write_openvino(model, description.to_json(), temporary, half=settings.precision == "fp16")
            else:
                onnx.save(_described(model, description), temporary)
            written = open_engine(temporary, str(target), EngineSettings())
            calibration = calibrated.calibration if calibrated else None
            require_written(written, proposals, calibration, target, exact=not is_pair)
            if is_pair:
                weights.replace(target.with_suffix(".bin"))
        finally:
            weights.unlink(missing_ok=True)
    return (target.with_suffix(".bin"), target) if is_pair else (target,)


def _require_place(target: Path) -> None:
    """Check before the work that the file may be written there.

    Raises:
        InputError: It may not, or another file than an OpenVINO model is there: an annotation in XML, other weights.
    """
    require_place(target)
    if target.suffix != OPENVINO:
        return
    if target.exists():
        with regular_file(target).open("rb") as file:
            if b"<net " not in file.read(1000):
                raise InputError(f"{target} is there and no model of OpenVINO; name another place.")
    elif target.with_suffix(".bin").exists():
        raise InputError(f"{target.with_suffix('.bin')} is there and belongs to no {target.name}; name another place.")
