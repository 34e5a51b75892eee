"""OpenVINO: runs .xml files with their .bin, and .onnx files with the thresholds that are in them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

from numpy.typing import NDArray

from objectness.engines.dense_geometry import maps_of
from objectness.engines.dense_graph import DenseGraph
from objectness.engines.description import METADATA_KEY, ModelDescription
from objectness.engines.graph import INPUT, GraphEngine, GraphSignature, Run
from objectness.engines.onnx_runtime import read_model
from objectness.engines.openvino_dense import dense_openvino
from objectness.engines.openvino_precision import with_last_layers_in_float32
from objectness.engines.settings import EngineSettings
from objectness.errors import InputError
from objectness.files.untrusted import regular_file
from objectness.installation import how_to_install
from objectness.telemetry import import_openvino

_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


@cache
def openvino_core() -> Any:
    """``openvino.Core``, made at the first call and kept until the process ends.

    The CPU plug-in gives the calling thread an alternate signal stack and frees it with the core (OpenVINO 2026.4).
    Where a second core had been made meanwhile, or another thread frees the first, the thread is left with a stack that
    is gone, and the next signal (Ctrl-C) is a segmentation fault. A core that is never freed cannot do that.

    Raises:
        ModuleNotFoundError: OpenVINO is not installed.
    """
    return import_openvino().Core()


def open_openvino(model: Path | bytes, where: str, settings: EngineSettings) -> GraphEngine:
    """Open an exported .xml file with its .bin, or an .onnx file with the thresholds that are in it.

    Args:
        model: The .xml or .onnx file, or the bytes of an .onnx file.
        where: Name of the file, for messages.
        settings: Device, threads and precision.

    Raises:
        InputError: OpenVINO is not installed, or it cannot read or compile the file, or the graph is not ours.
    """
    try:
        core = openvino_core()
    except ModuleNotFoundError:
        raise InputError(f"{where}: needs OpenVINO here: {how_to_install('openvino')}.") from None
    if isinstance(model, Path):
        regular_file(model)
    if _is_pair(model) and not model.with_suffix(".bin").is_file():
        raise InputError(f"{where}: its weights {model.with_suffix('.bin').name} are not beside it; copy both.")
    device = settings.device.upper()
    known = [*core.available_devices, "AUTO"]
    if device.split(":")[0].split(".")[0] not in {name.split(".")[0] for name in known}:
        names = ", ".join(name.lower() for name in known)
        raise InputError(f"The device {settings.device!r} is not known to OpenVINO here; it has {names}.")
    options: dict[str, Any] = {"INFERENCE_NUM_THREADS": settings.cores} if device == "CPU" else {}
    if settings.precision != "auto":
        options["INFERENCE_PRECISION_HINT"] = _HINTS[settings.precision]
    read = _read(core, model, where)
    run, used = _compiled(core, read, where, settings, options)
    places = ([METADATA_KEY], ["framework", METADATA_KEY])  # of an .xml, of an .onnx
    place = next((place for place in places if read.has_rt_info(place)), None)
    signature = GraphSignature(
        inputs={port.any_name: f"{_type(port)} {port.partial_shape}" for port in read.inputs},
        outputs=[port.any_name for port in read.outputs],
        description=None if place is None else read.get_rt_info(place).astype(str),
    )
    del read

    def dense(description: ModelDescription, threads: int | None) -> DenseGraph:
        found = dense_openvino(_read(core, model, where), maps_of(description, where), where)
        streams = {"NUM_STREAMS": max(1, settings.cores // threads)} if threads and device == "CPU" else {}
        run, _ = _compiled(core, found.model, where, settings, options | streams)
        return DenseGraph(run, description, found.maps_prefix, found.weights, where)

    return GraphEngine(run, signature, used, where, dense)


def _is_pair(model: Path | bytes) -> TypeGuard[Path]:
    """Whether it is an .xml file, whose weights lie in a .bin beside it."""
    return isinstance(model, Path) and model.suffix.lower() == ".xml"


def _read(core: Any, model: Path | bytes, where: str) -> Any:
    content = model if _is_pair(model) else read_model(model, where)
    try:
        return core.read_model(content)
    except RuntimeError as error:
        raise InputError(f"{where}: OpenVINO cannot read it ({_reason(error)}); export it again.") from None


def _compiled(
    core: Any, read: Any, where: str, settings: EngineSettings, options: Mapping[str, Any]
) -> tuple[Run, str]:
    """How a model is run, by several threads at once, and the device in OpenVINO's own words."""
    try:
        compiled_from = read if settings.precision == "fp32" else with_last_layers_in_float32(core, read)
    except RuntimeError as error:
        raise InputError(f"{where}: OpenVINO cannot read it ({_reason(error)}); export it again.") from None
    own = threading.local()  # a request is of one thread
    try:
        compiled = core.compile_model(compiled_from, settings.device.upper(), dict(options))
        own.request = compiled.create_infer_request()
        used = "+".join(compiled.get_property("EXECUTION_DEVICES")).lower()
    except RuntimeError as error:
        raise InputError(
            f"{where}: OpenVINO cannot run it on the device {settings.device!r} ({_reason(error)}); "
            "take another device, or export it again."
        ) from None

    def run(inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> list[NDArray[Any]]:
        try:
            if not hasattr(own, "request"):
                own.request = compiled.create_infer_request()
            own.request.infer(dict(inputs))
        except RuntimeError as error:
            height, width = inputs[INPUT].shape[1:3]
            raise InputError(f"the model failed on {width} x {height} pixels ({_reason(error)}).") from None
        return [own.request.get_tensor(name).data.copy() for name in outputs]

    return run, used


def _type(port: Any) -> str:
    return str(port.element_type.get_type_name()).replace("u8", "uint8")


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200].removesuffix(".")
