"""Model files: the bundled model, suffixes, and the table of engines that run them.

An engine is one file and one row in ``ENGINES`` (and its name in ``EngineName``). Nothing heavy is imported before a
model is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from objectness.errors import InputError

if TYPE_CHECKING:
    from objectness.engines import EngineSettings, ProposalEngine

DEFAULT = "default"
"""The name of the bundled model."""

ONNX, OPENVINO, CHECKPOINT = ".onnx", ".xml", ".safetensors"


def _onnxruntime(model: Path | bytes, where: str, settings: EngineSettings) -> ProposalEngine:
    from objectness.engines.onnx_runtime import open_onnx

    return open_onnx(model, where, settings)


def _openvino(model: Path | bytes, where: str, settings: EngineSettings) -> ProposalEngine:
    from objectness.engines.openvino_runtime import open_openvino

    return open_openvino(model, where, settings)


def _torch(model: Path | bytes, where: str, settings: EngineSettings) -> ProposalEngine:
    settings.require_default_precision(where, "PyTorch")
    from objectness.inference.torch_engine import open_checkpoint

    assert isinstance(model, Path)
    return open_checkpoint(model, settings)


@dataclass(frozen=True)
class Engine:
    """A row of ``ENGINES``.

    Attributes:
        name: As of ``EngineSettings.engine``.
        suffixes: Files that it runs; the first engine with a suffix is the one for "auto".
        open: Opens a file (or the bytes of an .onnx file) under a name for messages.
    """

    name: str
    suffixes: tuple[str, ...]
    open: Callable[[Path | bytes, str, EngineSettings], ProposalEngine]


ENGINES = (
    Engine("onnxruntime", (ONNX,), _onnxruntime),
    Engine("openvino", (OPENVINO, ONNX), _openvino),
    Engine("torch", (CHECKPOINT,), _torch),
)
SUFFIXES = tuple(dict.fromkeys(suffix for engine in ENGINES for suffix in engine.suffixes))


def open_engine(model: Path | bytes, where: str, settings: EngineSettings) -> ProposalEngine:
    """Open a model file with the engine of the settings, or with the one that the file is made for.

    Args:
        model: A file (see :func:`model_file`), or the bytes of an .onnx file.
        where: Name of the file, for messages.
        settings: Engine, device, threads and precision.

    Raises:
        InputError: The engine cannot run such a file, or the file cannot be opened.
    """
    suffix = model.suffix.lower() if isinstance(model, Path) else ONNX
    for engine in ENGINES:
        if suffix in engine.suffixes and settings.engine in ("auto", engine.name):
            return engine.open(model, where, settings)
    if suffix == CHECKPOINT:
        reason, advice = "a checkpoint runs in PyTorch only", "leave the engine to the file, or export it first"
    else:
        reason, advice = f"the engine {settings.engine} cannot run an {suffix} file", "leave the engine to the file"
    raise InputError(f"{where}: {reason}; {advice}.")


def bundled_model() -> bytes:
    """The bytes of the .onnx file that comes with the package.

    Raises:
        InputError: objectness was installed without it.
    """
    embedded = resources.files("objectness.models") / "default.onnx"
    if not embedded.is_file():
        raise InputError(
            "objectness was installed without a model; name a model file or a run folder.", arguments=("model",)
        )
    return embedded.read_bytes()


def model_file(path: Path) -> Path:
    """The model file of a path: itself, or the best, else the last, checkpoint of a run folder.

    Raises:
        InputError: It is missing, empty or of an unknown kind.
    """
    if path.is_dir():
        checkpoints = [path / f"{name}{CHECKPOINT}" for name in ("best", "last")]
        found = next((file for file in checkpoints if file.is_file()), None)
        if found is None:
            raise InputError(
                f"{path}: is a folder without best.safetensors or last.safetensors; name a run folder or a model file."
            )
        return found
    if not path.is_file():
        raise InputError(f"{path}: there is no such model file or run folder; check the path.")
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: a model is an .onnx or .xml file, a .safetensors checkpoint or a run folder; name one."
        )
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the model file is empty; export or download it again.")
    return path


def is_run_folder(path: Path) -> bool:
    """Whether a folder holds checkpoints."""
    return path.is_dir() and any(path.glob(f"*{CHECKPOINT}"))
