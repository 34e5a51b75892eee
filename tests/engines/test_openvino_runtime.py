from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("openvino")

_SCRIPT = """
import gc, signal
import objectness
models = [objectness.load("default", engine="openvino") for _ in range(2)]
while models:
    models.pop(0)
    gc.collect()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
def test_ctrl_c_after_two_models_were_released_is_an_interrupt_and_no_segmentation_fault() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
