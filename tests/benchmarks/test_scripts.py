"""Every script can be imported: it names nothing of the library that is gone."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

SCRIPTS = sorted(path.stem for path in (Path(__file__).parents[2] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_can_be_imported(name: str, benchmarks: None) -> None:
    pytest.importorskip("torch")
    assert import_module(name).__doc__
