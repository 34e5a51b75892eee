"""ONNX Runtime: runs .onnx files. Their bytes are checked and changed without a protobuf library."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from objectness.engines.dense_geometry import maps_of
from objectness.engines.dense_graph import DenseGraph
from objectness.engines.dense_onnx import dense_onnx
from objectness.engines.description import METADATA_KEY, ModelDescription
from objectness.engines.graph import INPUT, NMS_INPUT, TOP_INPUT, GraphEngine, GraphSignature, Run
from objectness.engines.settings import EngineSettings
from objectness.errors import InputError
from objectness.files.untrusted import read_bytes
from objectness.telemetry import import_onnxruntime

_TOO_NEW = re.compile(
    r"Unsupported model IR version|Opset \d+ is under development|opset.*not supported", re.IGNORECASE
)
_MOST_BYTES = 2 << 30  # of a protobuf message
# A string field 1 (tag 0x0a) "location"; protobuf also takes numbers written longer than they need be.
_EXTERNAL = re.compile(rb"(?:\x0a|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)location")
_ELEMENT_TYPES = {NMS_INPUT: 1, TOP_INPUT: 7}  # float32 and int64, as ONNX numbers them


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
    content = with_limits_as_inputs(read_model(model, where))
    session, signature, device = _opened(content, where, settings, _options(settings.cores))

    def dense(description: ModelDescription, threads: int | None) -> DenseGraph:
        options = _options(settings.cores if threads is None else threads)
        # A pattern holds all values of a window as one block for each caller: 1.3 times the memory, and no quicker.
        options.enable_mem_pattern = False
        cut = dense_onnx(read_model(model, where), maps_of(description, where), where)
        alone, _, _ = _opened(cut.model, where, settings, options)
        return DenseGraph(_run_of(alone), description, cut.maps_prefix, cut.weights, where, _shrinking(alone))

    return GraphEngine(_run_of(session), signature, device, where, dense)


def open_session(model: Path | bytes, where: str, settings: EngineSettings) -> tuple[Run, Mapping[str, str], str]:
    """A graph as a function of its inputs, its texts by key, and its device; raises as :func:`open_onnx`."""
    settings.require_default_precision(where, "ONNX Runtime")
    session, _, device = _opened(read_model(model, where), where, settings, _options(settings.cores))
    return _run_of(session), dict(session.get_modelmeta().custom_metadata_map), device


def _options(threads: int) -> Any:
    options = import_onnxruntime().SessionOptions()
    # Set, as ONNX Runtime would otherwise pin one thread to each core of the machine, allowed or not.
    options.intra_op_num_threads = threads
    # Threads that wait by spinning would take the core on which the next photograph is being decoded.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only: warnings are for the author of a graph
    return options


def _opened(content: bytes, where: str, settings: EngineSettings, options: Any) -> tuple[Any, GraphSignature, str]:
    """A session on the device of the settings, its graph, and the device in the runtime's own words."""
    ort = import_onnxruntime()
    providers = _providers(settings.device)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a device that cannot be used: refused below
            # Its fallback to the processor prints on standard output.
            session = ort.InferenceSession(content, options, providers=providers, enable_fallback=0)
        return session, _signature(session), _device_used(session, settings.device)
    except InputError:
        raise
    except _failures() as error:
        if settings.device != "cpu":
            raise InputError(
                f"{where}: cannot be opened on the device {settings.device} ({_reason(error)}); take cpu, or "
                "export it again."
            ) from None
        raise InputError(f"{where}: {_why_not(error, ort.__version__)}") from None


def _run_of(session: Any, options: Any = None) -> Run:
    def run(inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        try:
            found: list[NDArray[Any]] = session.run(list(outputs), dict(inputs), options)
        except _failures() as error:  # memory, mostly: the next photograph may be smaller
            height, width = inputs[INPUT].shape[1:3]
            raise InputError(f"the model failed on {width} x {height} pixels ({_reason(error)}).") from None
        return found

    return run


def _shrinking(session: Any) -> Run:
    """The same run, at whose end the runtime gives back the memory that it keeps for the next one."""
    options = import_onnxruntime().RunOptions()
    if session.get_providers() == ["CPUExecutionProvider"]:
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return _run_of(session, options)


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


def read_model(model: Path | bytes, where: str) -> bytes:
    """The bytes of a model that holds all of its weights.

    ``objectness export`` writes one file. One that keeps weights in others could name any file of this machine: the
    key "location" of such weights is looked for as protobuf spells it.

    Raises:
        InputError: It cannot be read, is no regular file, or keeps its weights in other files.
    """
    content = model if isinstance(model, bytes) else read_bytes(model, _MOST_BYTES)
    if _EXTERNAL.search(content) is not None:
        raise InputError(f"{where}: keeps its weights in other files, which are not opened; export it as one file.")
    return content


def with_limits_as_inputs(content: bytes) -> bytes:
    """The same model, whose constants ``nms_iou`` and ``top`` may also be given as inputs.

    In the file they are plain constants, as any program that opens it warns of inputs that have a value. Protobuf
    joins messages that follow each other, so that two inputs of the graph can be appended.
    """
    if any(_is_input(content, name) or not _is_constant(content, name) for name in _ELEMENT_TYPES):
        return content  # of candidates, of an older version, or of somebody else
    return content + _field(7, b"".join(_field(11, _input(name, kind)) for name, kind in _ELEMENT_TYPES.items()))


def _is_constant(content: bytes, name: str) -> bool:
    """Whether a tensor (its name is field 8) is called so."""
    return _field(8, name.encode()) in content


def _is_input(content: bytes, name: str) -> bool:
    """Whether it is declared as an input, as versions up to 0.1.0 did."""
    return _input(name, _ELEMENT_TYPES[name]) in content


def _input(name: str, element_type: int) -> bytes:
    """A ``ValueInfoProto``: a tensor of one number."""
    shape = _field(1, b"\x08\x01")  # one axis, of length 1
    tensor = bytes([0x08, element_type]) + _field(2, shape)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _field(number: int, content: bytes) -> bytes:
    """A field of up to 127 bytes: tag, length, content."""
    return bytes([number << 3 | 2, len(content)]) + content
