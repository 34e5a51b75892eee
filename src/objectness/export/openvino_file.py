"""From our ONNX graph to OpenVINO's pair of files: model.xml and, beside it, model.bin."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx

from objectness.engines import METADATA_KEY, NMS_INPUT, TOP_INPUT
from objectness.engines.openvino_runtime import openvino_core
from objectness.errors import InputError
from objectness.installation import how_to_install
from objectness.telemetry import import_openvino


def require_openvino() -> None:
    """Say at the start what would be missing at the end.

    Raises:
        InputError: OpenVINO is not installed.
    """
    try:
        import_openvino()
    except ModuleNotFoundError:
        raise InputError(f"The format openvino needs OpenVINO: {how_to_install('openvino')}.") from None


def write_openvino(model: onnx.ModelProto, description: str, target: Path, *, half: bool) -> None:
    """Write ``target`` (.xml) and its .bin.

    Args:
        model: As ``combine`` made it.
        description: JSON, kept in the .xml under "objectness".
        target: Ends in .xml.
        half: Store weights in half precision.
    """
    ov = import_openvino()
    free = onnx.ModelProto()
    free.CopyFrom(model)
    # Constants in ONNX; here they are inputs, which must be given.
    defaults = [constant for constant in free.graph.initializer if constant.name in (NMS_INPUT, TOP_INPUT)]
    for constant in defaults:
        free.graph.input.append(onnx.helper.make_tensor_value_info(constant.name, constant.data_type, constant.dims))
        free.graph.initializer.remove(constant)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "model.onnx")
        onnx.save(free, source)
        converted = openvino_core().read_model(source)
        converted.set_rt_info(description, [METADATA_KEY])
        ov.save_model(converted, target, compress_to_fp16=half)
