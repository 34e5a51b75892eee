"""Loading a model by name: the bundled model, a file, or the run folder of a training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from objectness.engines import EngineSettings, ProposalEngine
from objectness.engines.checkpoint_file import weights_digest
from objectness.engines.settings import EngineName, Precision
from objectness.errors import InputError
from objectness.images import DEFAULT_MAX_PIXELS
from objectness.inference.model_files import CHECKPOINT, DEFAULT, ONNX, bundled_model, model_file, open_engine
from objectness.inference.proposer import MIN_SIDE, Proposer
from objectness.inference.tiling.settings import TileSettings
from objectness.installation import how_to_install


def load(
    model: str | os.PathLike[str] | None = None,
    *,
    top: int | None = None,
    score: float = 0.0,
    nms: float | None = None,
    threads: int | None = None,
    device: str = "cpu",
    engine: EngineName = "auto",
    precision: Precision = "fp32",
    min_side: float = MIN_SIDE,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    size: int | None = None,
    thorough: bool = False,
    tile: int | Literal["auto", "off"] = "auto",
    overlap: int | Literal["auto", "exact"] = "auto",
    scales: int | Literal["auto"] | Sequence[float] = "auto",
) -> Proposer:
    """Load a model.

    Args:
        model: An exported ``.onnx`` or OpenVINO ``.xml`` file; a ``.safetensors`` checkpoint or a training's run
            folder (they need PyTorch; without it the ``.onnx`` file beside the checkpoint is taken, if it was exported
            from these weights); None or "default" for the bundled model.
        top: Give at most this many proposals; None for the model's own number (usually 300).
        score: Leave out proposals below this score.
        nms: Drop the worse of two boxes whose IoU is above this; None for the model's own (usually 0.7).
        threads: Processor threads for the network; None for every core this process may use.
        device: See :class:`objectness.engines.EngineSettings`; so are ``engine`` and ``precision``.
        engine: "auto" takes the engine of the file's kind; "openvino" runs an .onnx file too.
        precision: Number format in which OpenVINO computes; the other engines refuse "bf16" and "fp16".
        min_side: Leave out boxes that are less wide or high than this, in pixels of the photograph.
        max_pixels: Refuse larger photographs; None for no limit.
        size: Short side in pixels at which the network sees a photograph; None for the model's own.
        thorough: See each photograph at several sizes around this one (see :class:`Proposer`).
        tile: Side in pixels of the tiles in which every image is seen at its full size; "auto" does so with images of
            more than 50 megapixels alone, "off" with none. See
            :class:`objectness.inference.tiling.settings.TileSettings`; so are ``overlap`` and ``scales``.
        overlap: Pixels by which tiles overlap; "exact" for the result of the image in one piece.
        scales: At which sizes an image is seen that is tiled.

    Raises:
        InputError: The model is missing, damaged or of an unknown kind, or a number is outside its range.
    """
    settings = EngineSettings(engine=engine, device=device, threads=threads, precision=precision)
    tiles = TileSettings(tile, overlap, scales)
    return Proposer(
        _open_engine(model, settings),
        top=top,
        score=score,
        nms=nms,
        min_side=min_side,
        max_pixels=max_pixels,
        size=size,
        thorough=thorough,
        tiles=tiles,
        threads=threads,
    )


def _open_engine(model: str | os.PathLike[str] | None, settings: EngineSettings) -> ProposalEngine:
    if model is None or model == DEFAULT:
        return open_engine(bundled_model(), "the default model", settings)
    path = model_file(Path(model))
    try:
        return open_engine(path, str(path), settings)
    except ModuleNotFoundError as error:
        if path.suffix.lower() != CHECKPOINT or (error.name or "").split(".")[0] == "objectness":
            raise
        return _exported(path, settings, str(error.name))


def _exported(checkpoint: Path, settings: EngineSettings, missing: str) -> ProposalEngine:
    """The exported file beside a checkpoint, where PyTorch is not installed.

    Raises:
        InputError: There is none, or it was exported from other weights.
    """
    exported = checkpoint.with_suffix(ONNX)
    stale = ""
    if exported.is_file() and settings.engine == "auto":
        opened = open_engine(exported, str(exported), settings)
        if opened.description.details.get("weights_sha256") == weights_digest(checkpoint):
            return opened
        stale = f" ({exported.name} beside it was exported from other weights)"
    raise InputError(
        f"{checkpoint}: a checkpoint needs PyTorch ({missing} is not installed); {how_to_install('train')}, or use "
        f"the .onnx file that `objectness export` makes of it{stale}."
    )
