"""How much arithmetic a graph does, and how much of it this machine could do at best."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.engines.graph import INPUT

_MATRIX_SIDE = 1536
_CONVOLUTIONS = ("Conv", "FusedConv", "ConvInteger", "QLinearConv")


@dataclass(frozen=True)
class Work:
    """What one run of a graph does.

    Attributes:
        flops: Multiplications and additions of convolutions and matrix products, two for each pair.
        convolution_ms: Time in them, of the run that was watched (watching slows it a little).
        other_ms: Time in everything else: activations, decoding, suppression, ranking.
    """

    flops: int
    convolution_ms: float
    other_ms: float


def watch(model: Path | bytes, pixels: NDArray[np.uint8], threads: int) -> Work:
    """Run an .onnx file on ``pixels (B, H, W, 3)`` under ONNX Runtime's profiler.

    The shapes that it notes for each operation say how much arithmetic that was, whatever the graph: nothing is
    declared, nothing assumed.
    """
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        given = model if isinstance(model, bytes) else str(model)
        session = ort.InferenceSession(given, options, providers=["CPUExecutionProvider"])
        for _ in range(2):  # the first one makes plans
            session.run(None, {INPUT: pixels})
        events = json.loads(Path(session.end_profiling()).read_text())
    return _work_of(events)


def _work_of(events: list[dict[str, Any]]) -> Work:
    runs = [event for event in events if event.get("name") == "model_run"]
    last = max(float(event["ts"]) for event in runs)
    flops, inside, all_of_it = 0, 0.0, 0.0
    for event in events:
        details = event.get("args", {})
        if event.get("cat") != "Node" or float(event["ts"]) < last or not event["name"].endswith("_kernel_time"):
            continue
        if details.get("op_name") == "Loop":  # its body's operations are told one by one
            continue
        all_of_it += event["dur"] / 1000
        if count := _flops_of(details):
            flops += count
            inside += event["dur"] / 1000
    return Work(flops, inside, all_of_it - inside)


def _flops_of(details: Mapping[str, Any]) -> int:
    operation = details.get("op_name")
    inputs = [next(iter(value.values())) for value in details.get("input_type_shape", ())]
    outputs = [next(iter(value.values())) for value in details.get("output_type_shape", ())]
    if not outputs:
        return 0
    summed = 0  # products in the sum of each cell of the output
    if operation in _CONVOLUTIONS:
        weights = inputs[3 if operation == "QLinearConv" else 1]
        summed = math.prod(weights[1:])  # (out, in / groups, kh, kw)
    elif operation in ("MatMul", "FusedMatMul", "Gemm"):
        summed = inputs[0][-1]
    return int(2 * math.prod(outputs[0]) * summed)


def machine_gflops(seconds: float = 0.6) -> float:
    """Billions of float32 operations a second that NumPy's matrix product reaches here: the best of several.

    It uses the threads that the process's BLAS library was started with.
    """
    side = np.random.default_rng(0).random((_MATRIX_SIDE, _MATRIX_SIDE), dtype=np.float32)
    out = np.empty_like(side)
    best, until = math.inf, perf_counter() + seconds
    while perf_counter() < until:
        start = perf_counter()
        np.matmul(side, side, out=out)
        best = min(best, perf_counter() - start)
    return float(2 * _MATRIX_SIDE**3 / best / 1e9)
