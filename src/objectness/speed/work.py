"""Arithmetic of a graph, and the peak rate of this machine."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.engines.graph import INPUT
from objectness.telemetry import import_onnxruntime

_CONVOLUTIONS = ("Conv", "FusedConv", "NhwcFusedConv", "ConvInteger", "QLinearConv")
_PRODUCTS = ("MatMul", "FusedMatMul", "MatMulInteger", "QLinearMatMul", "Gemm", "FusedGemm", "QGemm")
_WITH_BODIES = ("Loop", "If", "Scan")  # the operations inside are told one by one
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_MATRIX_PRODUCT = """
import math, sys
from time import perf_counter
import numpy as np
SIDE = 1536
matrix = np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32)
out = np.empty_like(matrix)
best, until = math.inf, perf_counter() + float(sys.argv[1])
while math.isinf(best) or perf_counter() < until:
    start = perf_counter()
    np.matmul(matrix, matrix, out=out)
    best = min(best, perf_counter() - start)
print(2 * SIDE**3 / best / 1e9)
"""


@dataclass(frozen=True)
class Work:
    """Work of one run of a graph.

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

    Arithmetic is counted from the shapes of the graph as it was written; time is taken of the graph as ONNX Runtime
    optimises it, where fused operations have other names, and channels are padded to what the processor likes.
    """
    ort = import_onnxruntime()
    as_written = _profile(model, pixels, threads, ort.GraphOptimizationLevel.ORT_DISABLE_ALL, runs=1)
    as_run = _profile(
        model, pixels, threads, ort.GraphOptimizationLevel.ORT_ENABLE_ALL, runs=2
    )  # first one makes plans
    every = sum(float(event["dur"]) for event in as_run) / 1000
    inside = sum(float(event["dur"]) for event in as_run if event["args"]["op_name"] in (*_CONVOLUTIONS, *_PRODUCTS))
    return Work(sum(_flops_of(event["args"]) for event in as_written), inside / 1000, every - inside / 1000)


def _profile(
    model: Path | bytes, pixels: NDArray[np.uint8], threads: int, level: Any, *, runs: int
) -> list[dict[str, Any]]:
    """The profiler's record of each operation of the last run."""
    ort = import_onnxruntime()
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.graph_optimization_level = level
        options.log_severity_level = 3
        if level == ort.GraphOptimizationLevel.ORT_DISABLE_ALL:  # the profiler tells no shape of prepacked weights
            options.add_session_config_entry("session.disable_prepacking", "1")
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        given = model if isinstance(model, bytes) else str(model)
        session = ort.InferenceSession(given, options, providers=["CPUExecutionProvider"])
        for _ in range(runs):
            session.run(None, {INPUT: pixels})
        events = json.loads(Path(session.end_profiling()).read_text())
    last = max(float(event["ts"]) for event in events if event.get("name") == "model_run")
    return [
        event
        for event in events
        if event.get("cat") == "Node"
        and event["name"].endswith("_kernel_time")
        and float(event["ts"]) >= last
        and event["args"].get("op_name") not in _WITH_BODIES
    ]


def _flops_of(details: Mapping[str, Any]) -> int:
    operation = details["op_name"]
    if operation not in (*_CONVOLUTIONS, *_PRODUCTS):
        return 0
    inputs = [next(iter(value.values())) for value in details["input_type_shape"]]
    output = next(iter(details["output_type_shape"][0].values()))
    if operation in _CONVOLUTIONS:
        weights = inputs[3 if operation == "QLinearConv" else 1]
        summed = math.prod(weights[1:])  # products in the sum of a cell: (out, in / groups, kh, kw)
    elif operation == "Gemm":  # either matrix may be transposed: (m, k) and (k, n) give (m, n)
        summed = math.isqrt(math.prod(inputs[0]) * math.prod(inputs[1]) // math.prod(output))
    else:
        summed = inputs[0][-1]
    return int(2 * math.prod(output) * summed)


def machine_gflops(threads: int, seconds: float = 0.6) -> float:
    """Billions of float32 operations a second that NumPy's matrix product reaches here: the best of several.

    It runs in a process of its own, as a BLAS library takes its number of threads once, when it is loaded.
    """
    limits = dict.fromkeys(_THREAD_LIMITS, str(threads))
    command = [sys.executable, "-c", _MATRIX_PRODUCT, str(seconds)]
    done = subprocess.run(command, env={**os.environ, **limits}, capture_output=True, text=True, check=True)
    return float(done.stdout)
