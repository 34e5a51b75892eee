"""From the name of a model to what proposes with it: the model in the box, a file, or a training's run folder."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from objectness.engines import Engine, EngineSettings, Ranker, open_graph
from objectness.engines.checkpoint_file import weights_digest
from objectness.engines.opening import GRAPH_SUFFIXES
from objectness.engines.settings import EngineName, Precision
from objectness.errors import InputError
from objectness.images import DEFAULT_MAX_PIXELS
from objectness.inference.postprocessing import MIN_SIDE
from objectness.inference.proposer import Proposer
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
) -> Proposer:
    """Load a model.

    Args:
        model: An exported ``.onnx`` or OpenVINO ``.xml`` file; a ``.safetensors`` checkpoint or a training's run
            folder (they need PyTorch; without it the ``.onnx`` file beside the checkpoint is taken, if it was exported
            from these weights); None or "default" for the model that comes with the package.
        top: Give at most this many proposals; None for the model's own number (usually 300).
        score: Leave out proposals below this score.
        nms: Drop the worse of two boxes whose IoU is above this; None for the model's own (usually 0.7).
        threads: Processor threads for the network; None for every core this process may use.
        device: See :class:`objectness.engines.EngineSettings`; so are ``engine`` and ``precision``.
        engine: "auto" goes by the file; "openvino" runs an .onnx file too.
        precision: What OpenVINO computes in; the other engines refuse "bf16" and "fp16".
        min_side: Leave out boxes that are less wide or high than this, in pixels of the photograph.
        max_pixels: Refuse larger photographs; None for no limit.

    Raises:
        InputError: The model is missing, damaged or of an unknown kind, or a number is outside its range.
    """
    settings = EngineSettings(engine=engine, device=device, threads=threads, precision=precision)
    opened = _open_engine(model, settings)
    return Proposer(opened, top=top, score=score, nms=nms, min_side=min_side, max_pixels=max_pixels)


def _open_engine(model: str | os.PathLike[str] | None, settings: EngineSettings) -> Engine | Ranker:
    if model is None or model == "default":
        embedded = resources.files("objectness.models") / "default.onnx"
        if not embedded.is_file():
            raise InputError("objectness was installed without a model; name one: --model PATH or load(PATH).")
        return open_graph(embedded.read_bytes(), "the default model", settings)
    path = model_file(Path(model))
    if path.suffix.lower() in GRAPH_SUFFIXES:
        return open_graph(path, str(path), settings)
    if settings.engine not in ("auto", "torch"):
        raise InputError(f"{path}: a checkpoint runs in PyTorch only; leave out --engine, or export it first.")
    settings.require_default_precision(str(path), "PyTorch")
    try:
        from objectness.inference.torch_engine import load_engine
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "objectness":
            raise
        return _exported(path, settings, str(error.name))
    loaded: Engine = load_engine(path, device=settings.device, threads=settings.threads)
    return loaded


def _exported(checkpoint: Path, settings: EngineSettings, missing: str) -> Engine | Ranker:
    """The file beside a checkpoint that was exported from its weights, where PyTorch is not installed.

    Raises:
        InputError: There is none, or it was exported from other weights.
    """
    exported = checkpoint.with_suffix(".onnx")
    stale = ""
    if exported.is_file() and settings.engine == "auto":
        opened = open_graph(exported, str(exported), settings)
        if opened.description.details.get("weights_sha256") == weights_digest(checkpoint):
            return opened
        stale = f" ({exported.name} beside it was exported from other weights)"
    raise InputError(
        f"{checkpoint}: a checkpoint needs PyTorch ({missing} is not installed); {how_to_install('train')}, or use "
        f"the .onnx file that `objectness export` makes of it{stale}."
    )


def model_file(path: Path) -> Path:
    """The model that a path stands for: itself, or the best, else the last, checkpoint of a run folder.

    Raises:
        InputError: It is missing, empty or of an unknown kind.
    """
    if path.is_dir():
        checkpoints = [path / "best.safetensors", path / "last.safetensors"]
        found = next((file for file in checkpoints if file.is_file()), None)
        if found is None:
            raise InputError(
                f"{path}: is a folder without best.safetensors or last.safetensors; name a run folder or a model file."
            )
        return found
    if not path.is_file():
        raise InputError(f"{path}: there is no such model file or run folder; check the path.")
    if path.suffix.lower() not in (*GRAPH_SUFFIXES, ".safetensors"):
        raise InputError(
            f"{path}: a model is an .onnx or .xml file, a .safetensors checkpoint or a run folder; name one."
        )
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the model file is empty; export or download it again.")
    return path
