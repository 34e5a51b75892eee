"""ONNX Runtime: runs .onnx files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from objectness.engines.description import METADATA_KEY
from objectness.engines.graph import INPUT, GraphEngine, GraphSignature
from objectness.engines.onnx_file import read_model, with_limits_as_inputs
from objectness.engines.settings import EngineSettings
from objectness.errors import InputError
from objectness.telemetry import import_onnxruntime

_TOO_NEW = re.compile(
    r"Unsupported model IR version|Opset \d+ is under development|opset.*not supported", re.IGNORECASE
)


def open_onnx(model: Path | bytes, where: str, settings: EngineSettings) -> GraphEngine:
    """Open an exported .onnx file.

    Args:
        model: The file, or its bytes.
        where: Name of the file, for messages.
        settings: Device and threads.

    Raises:
        InputError: Not an ONNX file of ours, damaged, too new for this ONNX Runtime, or a device that is not there.
    """
    settings.require_default_precision(where, "ONNX Runtime")
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    # Set, as ONNX Runtime would otherwise pin one thread to each core of the machine, allowed or not.
    options.intra_op_num_threads = settings.cores
    # Threads that wait by spinning would take the core on which the next photograph is being decoded.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only: warnings are for the author of a graph
    providers = _providers(settings.device)
    content = with_limits_as_inputs(read_model(model, where))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a device that cannot be used: refused below
            # Its fallback to the processor prints on standard output.
            session = ort.InferenceSession(content, options, providers=providers, enable_fallback=0)
        device, signature = _device_used(session, settings.device), _signature(session)
    except InputError:
        raise
    except _failures() as error:
        if settings.device != "cpu":
            raise InputError(
                f"{where}: cannot be opened on the device {settings.device} ({_reason(error)}); take cpu, or "
                "export it again."
            ) from None
        raise InputError(f"{where}: {_why_not(error, ort.__version__)}") from None

    def run(inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        try:
            found: list[NDArray[Any]] = session.run(list(outputs), dict(inputs))
        except _failures() as error:  # memory, mostly: the next photograph may be smaller
            height, width = inputs[INPUT].shape[1:3]
            raise InputError(f"the model failed on {width} x {height} pixels ({_reason(error)}).") from None
        return found

    return GraphEngine(run, signature, device, where)


def _signature(session: Any) -> GraphSignature:
    values = [*session.get_inputs(), *session.get_overridable_initializers()]
    return GraphSignature(
        inputs={value.name: f"{_type(value.type)} ({', '.join(map(str, value.shape))})" for value in values},
        outputs=[value.name for value in session.get_outputs()],
        description=session.get_modelmeta().custom_metadata_map.get(METADATA_KEY),
    )


def _device_used(session: Any, asked: str) -> str:
    """The device of the session's provider: ONNX Runtime falls back to the processor without an error.

    Raises:
        InputError: It is another than ``asked``.
    """
    used = session.get_providers()
    if asked == "cpu":
        return "cpu"
    if "CUDAExecutionProvider" not in used:
        raise InputError(
            f"The device {asked} cannot be used: ONNX Runtime could not start it (is there a GPU, with the CUDA and "
            "cuDNN that this onnxruntime-gpu is built for?); mend that, or take cpu."
        )
    index = session.get_provider_options()["CUDAExecutionProvider"].get("device_id", "0")
    return f"cuda:{index}"


def _failures() -> tuple[type[Exception], ...]:
    """Exceptions of ONNX Runtime: siblings without a common parent; ValueError where a name is not UTF-8."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NotImplemented")
    own = (*(getattr(state, name) for name in names), state.RuntimeException)
    return (*own, ValueError, RuntimeError, MemoryError)


def _why_not(error: Exception, version: str) -> str:
    if _TOO_NEW.search(str(error)):
        return (
            f"was made for a newer ONNX Runtime than the {version} installed here ({_reason(error)}); "
            "pip install -U onnxruntime, or export it again."
        )
    return f"is damaged, or no ONNX model that runs here ({_reason(error)}); export it again."


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200].removesuffix(".")


def _type(text: str) -> str:
    return text.removeprefix("tensor(").removesuffix(")")


def _providers(device: str) -> list[Any]:
    ort = import_onnxruntime()
    if device == "cpu":
        return ["CPUExecutionProvider"]
    kind, _, index = device.partition(":")
    if kind != "cuda" or (index and not index.isdecimal()):
        raise InputError(f"The device {device!r} is unknown; known are cpu and cuda (or cuda:1).")
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        raise InputError(
            f"The device {device} needs ONNX Runtime for GPUs, which takes the place of the one for processors: "
            "pip uninstall onnxruntime, then pip install onnxruntime-gpu. Or take cpu."
        )
    return [("CUDAExecutionProvider", {"device_id": int(index or 0)}), "CPUExecutionProvider"]
