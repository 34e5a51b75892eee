"""A run computes in bfloat16 only where the hardware does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from objectness.training import loop, run
from objectness.training.devices import computes_bf16
from objectness.training.run_config import RunConfig
from objectness.training.settings import RunSettings


@pytest.mark.parametrize(("able", "dtype"), [(False, torch.float32), (True, torch.bfloat16)])
def test_bf16_is_taken_where_the_hardware_has_it(
    photographs: Path,
    tiny: Callable[..., RunSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    able: bool,
    dtype: torch.dtype,
) -> None:
    for module in (loop, run):
        monkeypatch.setattr(module, "computes_bf16", lambda device: able)
    prepared = run.prepare(RunConfig(photographs, tiny("loop.amp=true", "loop.steps=1", "loop.validate_every=0")))
    seen: list[torch.dtype] = []
    convolution = next(m for m in prepared.network.modules() if isinstance(m, torch.nn.Conv2d))
    convolution.register_forward_hook(lambda module, given, output: seen.append(output.dtype))
    said: list[str] = []
    run.start(prepared, tmp_path / "run", notify=said.append)
    assert seen[0] == dtype
    assert any("computes in float32" in sentence for sentence in said) == (not able)


def test_the_processor_is_asked() -> None:
    assert computes_bf16(torch.device("cpu")) == torch.ops.mkldnn._is_mkldnn_bf16_supported()
