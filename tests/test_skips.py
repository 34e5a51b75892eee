"""Where every test is asked for, a skipped test is a failure unless its reason is one of a few."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")


def outcome(folder: Path, test: str, *, every: bool) -> str:
    """The last line that pytest prints for a file of tests beside our conftest."""
    shutil.copy(CONFTEST, folder / "conftest.py")
    (folder / "test_one.py").write_text(f"import pytest\n{test}\n")
    environment = {key: value for key, value in os.environ.items() if key != "OBJECTNESS_EVERY_TEST"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--import-mode=importlib", "test_one.py"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment | ({"OBJECTNESS_EVERY_TEST": "1"} if every else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("test", "every", "said"),
    [
        ("@pytest.mark.skip(reason='needs chromium')\ndef test_a(): pass", True, "1 error"),
        ("def test_a(): pytest.skip('needs chromium')", True, "1 failed"),
        ("pytest.importorskip('no_such_module')", True, "1 error"),
        ("@pytest.mark.skip(reason='needs a GPU')\ndef test_a(): pass", True, "1 skipped"),
        ("@pytest.mark.skip(reason='needs chromium')\ndef test_a(): pass", False, "1 skipped"),
    ],
)
def test_a_skip_without_a_good_reason_fails(tmp_path: Path, test: str, every: bool, said: str) -> None:
    assert said in outcome(tmp_path, test, every=every)


def test_the_list_of_good_reasons_is_short(request: pytest.FixtureRequest) -> None:
    plugin = next(
        plugin
        for plugin in request.config.pluginmanager.get_plugins()
        if Path(getattr(plugin, "__file__", None) or "") == CONFTEST
    )
    assert len(plugin.MAY_BE_SKIPPED) <= 3
    assert all(len(why) > 10 for why in plugin.MAY_BE_SKIPPED.values())
