"""Where every test is asked for, slow tests run, none is left out, and a skip needs one of a few reasons."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CONFTEST = Path(__file__).with_name("conftest.py")


def outcome(folder: Path, test: str, *options: str, every: bool) -> str:
    """The last line that pytest prints for a file of tests beside our conftest, with our options."""
    shutil.copy(CONFTEST, folder / "conftest.py")
    shutil.copy(CONFTEST.parents[1] / "pyproject.toml", folder)
    (folder / "test_one.py").write_text(f"import pytest\n{test}\n")
    environment = {key: value for key, value in os.environ.items() if key != "OBJECTNESS_EVERY_TEST"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_one.py"]
    done = subprocess.run(
        [*command, *options],
        cwd=folder,
        env=environment | ({"OBJECTNESS_EVERY_TEST": "1"} if every else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{done.returncode}: {(done.stdout.strip() or done.stderr.strip()).splitlines()[-1]}"


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


SLOW = "@pytest.mark.slow\ndef test_a(): pass\ndef test_b(): pass"


@pytest.mark.parametrize(
    ("options", "every", "said"),
    [
        ((), False, "0: 1 passed, 1 deselected"),
        (("-m", ""), False, "0: 2 passed"),
        (("-m", "slow"), False, "0: 1 passed, 1 deselected"),
        ((), True, "0: 2 passed"),
        (("-m", "not slow"), True, "0: 2 passed"),
        (("-k", "test_b"), True, "4: 1 deselected"),  # 4: a usage error
    ],
)
def test_slow_tests_run_where_they_are_asked_for(
    tmp_path: Path, options: tuple[str, ...], every: bool, said: str
) -> None:
    assert said in outcome(tmp_path, SLOW, *options, every=every)


def test_the_list_of_good_reasons_is_short(request: pytest.FixtureRequest) -> None:
    plugin = next(
        plugin
        for plugin in request.config.pluginmanager.get_plugins()
        if Path(getattr(plugin, "__file__", None) or "") == CONFTEST
    )
    assert len(plugin.MAY_BE_SKIPPED) <= 3
    assert all(len(why) > 10 for why in plugin.MAY_BE_SKIPPED.values())
