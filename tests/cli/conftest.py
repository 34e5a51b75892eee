"""The command line, run in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from objectness.cli import app


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs ``objectness`` with these words in the folder ``tmp_path``; fails where an exception leaves the program."""
    monkeypatch.chdir(tmp_path)

    def invoke(*words: object) -> Result:
        result = CliRunner().invoke(app, [*map(str, words)])
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        return result

    return invoke
