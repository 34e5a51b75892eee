"""Settings of an engine: runtime, device, threads, precision."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, get_args

from objectness.arguments import is_whole
from objectness.errors import InputError, did_you_mean

EngineName = Literal["auto", "onnxruntime", "openvino", "torch"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]

ENGINES: tuple[str, ...] = get_args(EngineName)
PRECISIONS: tuple[str, ...] = get_args(Precision)
_MOST_THREADS = 1024  # a runtime starts them all at once, and many more can stop a machine


@dataclass(frozen=True)
class EngineSettings:
    """Settings of an engine.

    Attributes:
        engine: "auto" takes what the file is made for: ONNX Runtime for .onnx, OpenVINO for .xml, PyTorch for
            a checkpoint. "openvino" also runs an .onnx file.
        device: "cpu"; "cuda" or "cuda:1" for ONNX Runtime (with onnxruntime-gpu) and PyTorch; "gpu", "npu" or
            "auto" for OpenVINO.
        threads: Processor threads; None for every core that this process may use.
        precision: Number format of OpenVINO: "fp32" everywhere by default; "auto" leaves it to
            OpenVINO, which takes bf16 or fp16 where the processor is quick at it. The last convolutions stay in fp32.
            The other engines refuse "bf16" and "fp16".

    Raises:
        InputError: An unknown name, or threads outside 1 to 1024.
    """

    engine: EngineName = "auto"
    device: str = "cpu"
    threads: int | None = None
    precision: Precision = "fp32"

    def __post_init__(self) -> None:
        for key, known in (("engine", ENGINES), ("precision", PRECISIONS)):
            value = getattr(self, key)
            if value not in known:
                raise InputError(f"The {key} {value!r} is unknown: {did_you_mean(str(value), known)}")
        if self.threads is not None and not is_whole(self.threads, 1, _MOST_THREADS):
            raise InputError(f"threads is {self.threads!r}, but must be a whole number from 1 to {_MOST_THREADS}.")

    def require_default_precision(self, where: str, runtime: str) -> None:
        """Refuse a precision that would be ignored.

        Raises:
            InputError: Another than "fp32" or "auto" was asked for.
        """
        if self.precision not in ("fp32", "auto"):
            raise InputError(
                f"{where}: {runtime} computes in what the file holds, and cannot be asked for {self.precision}; "
                "only the engine openvino can."
            )

    @property
    def cores(self) -> int:
        """``threads``, or every core that this process may use."""
        if self.threads is not None:
            return self.threads
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
