"""From a file to an engine: which runtime, and whether the graph is ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from objectness.engines.description import METADATA_KEY, ModelDescription
from objectness.engines.graph import (
    CANDIDATE_OUTPUTS,
    INPUT,
    NMS_INPUT,
    PROPOSAL_OUTPUTS,
    TOP_INPUT,
    GraphEngine,
    GraphRanker,
    Runtime,
)
from objectness.engines.settings import EngineSettings
from objectness.errors import InputError

GRAPH_SUFFIXES = (".onnx", ".xml")


@dataclass(frozen=True)
class GraphSignature:
    """What a graph shows from outside: inputs as "name type shape", names of outputs, its description or None."""

    inputs: dict[str, str]
    outputs: list[str]
    description: str | None


def open_graph(model: Path | bytes, where: str, settings: EngineSettings | None = None) -> GraphEngine | GraphRanker:
    """Open an exported file.

    Args:
        model: An .onnx or .xml file, or the bytes of an .onnx file.
        where: What to call it in messages.
        settings: How to run it.

    Raises:
        InputError: It is damaged, not a graph that objectness exported, or needs what is not installed.
    """
    settings = settings or EngineSettings()
    is_xml = isinstance(model, Path) and model.suffix.lower() == ".xml"
    if settings.engine == "torch" or (is_xml and settings.engine == "onnxruntime"):
        raise InputError(
            f"{where}: the engine {settings.engine} cannot run an {'.xml' if is_xml else '.onnx'} file; "
            "leave the engine to the file."
        )
    runtime: Runtime
    if is_xml or settings.engine == "openvino":
        from objectness.engines.openvino_runtime import OpenVinoRuntime

        opened = OpenVinoRuntime(model, where, settings)
        runtime, surface = opened, opened.surface
    else:
        settings.require_default_precision(where, "ONNX Runtime")
        from objectness.engines.onnx_runtime import OnnxRuntime

        session = OnnxRuntime(model, where, settings)
        runtime, surface = session, session.surface
    inputs, outputs = set(surface.inputs), set(surface.outputs)
    pixels_fit = surface.inputs.get(INPUT, "").startswith("uint8")
    if pixels_fit and surface.description is not None:
        description = ModelDescription.from_json(surface.description, where)
        if outputs == set(CANDIDATE_OUTPUTS) and inputs == {INPUT}:
            return GraphEngine(runtime, description)
        if outputs == set(PROPOSAL_OUTPUTS) and inputs == {INPUT, NMS_INPUT, TOP_INPUT}:
            return GraphRanker(runtime, description)
        if outputs == set(PROPOSAL_OUTPUTS) and inputs == {INPUT}:  # OpenVINO runs them as constants
            return GraphRanker(runtime, description, fixed=True)
    found = ", ".join(f"{name} {kind}" for name, kind in surface.inputs.items())
    raise InputError(
        f"{where}: is a model, but not one that `objectness export` wrote: its inputs are [{found}] and its outputs "
        f"[{', '.join(surface.outputs)}], expected {INPUT} uint8 and {', '.join(PROPOSAL_OUTPUTS)}, with a "
        f"description under the metadata key {METADATA_KEY!r}."
    )
