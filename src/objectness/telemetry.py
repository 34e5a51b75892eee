"""Usage reports that libraries send of their own accord: switched off before the libraries are imported.

ONNX Runtime (1.32) makes an identifier and a database of events in the home folder as it is imported and looks up a
host seconds later; OpenVINO (2026.4) sends an event as it is imported. Both would happen on every photograph's way.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

# Read by the libraries while they are imported; what the user has set stays.
_SWITCHES = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
_too_late = False


def switch_off() -> None:
    """Set the environment variables that switch reports off; ``import objectness`` calls it."""
    global _too_late
    _too_late = "onnxruntime" in sys.modules and not os.environ.get("ORT_DISABLE_TELEMETRY")
    for name, value in _SWITCHES.items():
        if not os.environ.get(name):
            os.environ[name] = value


def import_onnxruntime() -> Any:
    """ONNX Runtime, which sends no reports; where it was imported before objectness, a warning says that it may."""
    import onnxruntime

    global _too_late
    if _too_late:
        _too_late = False  # said once
        warnings.warn(
            "onnxruntime was imported before objectness, which could not switch off its usage reports any more: "
            "import objectness first, or set ORT_DISABLE_TELEMETRY=1 in the environment.",
            stacklevel=2,
        )
    onnxruntime.disable_telemetry_events()  # of Windows, which knows no variable
    return onnxruntime


def import_openvino() -> Any:
    """OpenVINO without its package of reports, which it does without where it is not installed.

    Raises:
        ModuleNotFoundError: OpenVINO is not installed.
    """
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    reports = "openvino_telemetry"
    before = sys.modules.get(reports)
    sys.modules[reports] = None  # type: ignore[assignment]  # to Python: not installed
    try:
        import openvino
    finally:
        if before is None:
            del sys.modules[reports]
        else:
            sys.modules[reports] = before
    return openvino
