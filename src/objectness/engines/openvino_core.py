"""The one OpenVINO core of the process."""

from __future__ import annotations

from functools import cache
from typing import Any

from objectness.telemetry import import_openvino


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
