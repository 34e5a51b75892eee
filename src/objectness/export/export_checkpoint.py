"""Export of a run or a checkpoint in one call, calibrated where the run's own validation photographs still are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from objectness.datasets import Dataset, available_splits, load_dataset
from objectness.errors import InputError
from objectness.export.calibration_data import load_measured
from objectness.export.settings import ExportSettings
from objectness.images.finding import describe_skipped, find_photos
from objectness.inference.model_files import CHECKPOINT, model_file
from objectness.installation import require_training

if TYPE_CHECKING:
    from objectness.export.export_model import ExportReport, Sources


def export_checkpoint(
    model: str | PathLike[str],
    target: str | PathLike[str] | None = None,
    *,
    format: Literal["onnx", "openvino"] = "onnx",
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
    nms: bool = True,
    calibrate: str | PathLike[str] | Dataset | bool = True,
    photos: str | PathLike[str] | None = None,
    changes: Sequence[str] = (),
    most_lost: float = 0.5,
    licence: str | None = None,
    allow_outside: bool = False,
    notify: Callable[[str], None] = lambda sentence: None,
) -> ExportReport:
    """Turn a trained checkpoint into one file that needs no PyTorch: pixels in, boxes and scores out.

    The file is run beside PyTorch on two image sizes and on a batch before it appears. Needs PyTorch.

    Args:
        model: A run folder or a .safetensors checkpoint.
        target: The file to write; None for one beside the checkpoint, as best.onnx or best.int8.onnx.
        format: "onnx", or "openvino" for an .xml with its .bin.
        precision: "fp32"; "fp16" stores weights in half the space; "int8" quantises and needs ``photos``.
        nms: Suppression inside the graph; else it gives candidates.
        calibrate: Data set with boxes on which scores are calibrated and recall is measured; True for the run's own
            validation photographs, where they still are; False for none.
        photos: For int8: a folder of photographs, or a data set, on which recall is then compared before and after.
        changes: ``key=value`` for the size of photographs and the selection, as "select.nms_iou=0.8".
        most_lost: int8 is refused where a larger share of the best 100 proposals in fp32 has no counterpart.
        licence: Licence of the weights, kept in the file.
        allow_outside: File names in a data set may lead out of its folder.
        notify: Called with sentences on the progress, as ``print``.

    Returns:
        The files, their difference from PyTorch, recall and calibration.

    Raises:
        InputError: a model that is exported already, photographs that are missing, a file that differs from PyTorch.
    """
    require_training("Exporting", "onnx", "onnxscript")
    from objectness.export.export_model import export_model

    checkpoint = model_file(Path(model))
    if checkpoint.suffix.lower() != CHECKPOINT:
        raise InputError(f"{checkpoint}: is exported already; give a run folder or a .safetensors file.")
    settings = ExportSettings(format, precision, nms, licence, tuple(changes), most_lost)
    place = checkpoint.with_suffix(settings.variant + settings.suffix) if target is None else Path(target)
    if place.suffix != settings.suffix:
        raise InputError(f"The file {place} must end in {settings.suffix}.")
    sources = choose_sources(
        checkpoint, calibrate, None if photos is None else Path(photos), notify, allow_outside=allow_outside
    )
    return export_model(checkpoint, place, settings, sources, notify=notify)


def choose_sources(
    checkpoint: Path,
    calibrate: str | PathLike[str] | Dataset | bool,
    photos: Path | None,
    warn: Callable[[str], object],
    *,
    allow_outside: bool = False,
) -> Sources:
    """Read the photographs to calibrate, quantise and measure on; see :func:`export_checkpoint`."""
    from objectness.export.export_model import Sources

    required = not isinstance(calibrate, bool)
    if isinstance(calibrate, bool):
        calibration = _own_validation(checkpoint, warn) if calibrate else None
    elif isinstance(calibrate, Dataset):
        calibration = calibrate
    else:
        calibration = load_measured(Path(calibrate), allow_outside=allow_outside)
    if photos is None:
        return Sources(calibration, required)
    try:
        measured = load_measured(photos, allow_outside=allow_outside)
    except InputError:  # photographs without boxes are enough for int8
        found = find_photos([str(photos)])
        for sentence in describe_skipped(found):
            warn(sentence)
        return Sources(calibration, required, None, found.photos)
    seen = measured
    if "train" in available_splits(photos, allow_outside=allow_outside):
        seen = load_dataset(photos, "train", allow_outside=allow_outside)
    return Sources(calibration, required, measured, [record.path for record in seen.records])


def _own_validation(checkpoint: Path, warn: Callable[[str], object]) -> Dataset | None:
    """The validation photographs of the run that the checkpoint lies in, where they still are."""
    from objectness.training.run_config import read_config
    from objectness.training.splits import read_splits

    try:
        config = read_config(checkpoint.parent)
        dataset = read_splits(config).validation
        if any(len(record.boxes_xyxy) for record in dataset.records):
            return dataset
        why = f"no boxes in {config.data}"
    except InputError as error:
        why = str(error).removesuffix(".")
    warn(f"Scores stay as the network gives them, not calibrated ({why}): name photographs with boxes for it.")
    return None
