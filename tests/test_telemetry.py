"""Nothing that we load reports its use, or writes into the home folder."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnxruntime")

# A process that opens an internet socket is killed by the kernel: C code is seen as well as Python's, on machines
# without a tracer. The instructions: wrong architecture or another call, allow; socket() of AF_INET or AF_INET6, kill.
_NO_SOCKETS = """
import ctypes, platform, struct
architecture, socket = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}[platform.machine()]
program = [(0x20, 0, 0, 4), (0x15, 0, 5, architecture), (0x20, 0, 0, 0), (0x15, 0, 3, socket), (0x20, 0, 0, 16),
           (0x15, 2, 0, 2), (0x15, 1, 0, 10), (6, 0, 0, 0x7FFF0000), (6, 0, 0, 0x80000000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0, "no_new_privs"
assert libc.prctl(22, 2, ctypes.byref(Program(len(program), ctypes.addressof(code))), 0, 0) == 0, "seccomp"
"""
_PROPOSE = "import objectness; print(len(objectness.load(threads=1)('photo.png').scores))"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a photograph and an empty home."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    tmp_path.joinpath("home").mkdir()
    return tmp_path


def run(code: str, place: Path, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run code as a user would, whose environment switches nothing off."""
    drop = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "CI", "TF_BUILD", "JENKINS_URL")
    environment = {key: value for key, value in os.environ.items() if key not in drop and not key.startswith("XDG_")}
    environment["HOME"] = str(home or place / "home")
    return subprocess.run(
        [sys.executable, "-B", "-c", code], cwd=place, env=environment, capture_output=True, text=True, check=False
    )


def left_in_home(place: Path) -> list[str]:
    """Files and folders that were made there."""
    return [str(path.relative_to(place / "home")) for path in (place / "home").rglob("*")]


@pytest.mark.slow
def test_proposing_leaves_nothing_in_an_empty_home(place: Path) -> None:
    done = run(_PROPOSE, place)
    assert (done.returncode, done.stdout, done.stderr) == (0, "300\n", "")
    assert left_in_home(place) == []


def test_a_home_that_cannot_be_written_brings_no_warning(place: Path) -> None:
    done = run(_PROPOSE, place, home=Path(os.devnull, "home"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "300\n", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "from objectness.engines.onnx_runtime import open_onnx",
        "import objectness.speed.work as work; work.import_onnxruntime()",
        "import objectness.cli; import onnxruntime",
        "import objectness; import onnxruntime.quantization",
    ],
)
def test_every_way_to_onnx_runtime_leaves_nothing_in_an_empty_home(code: str, place: Path) -> None:
    if "quantization" in code:
        pytest.importorskip("onnx", reason="the extra train is not installed")
    done = run(code, place)
    assert (done.returncode, done.stderr) == (0, "")
    assert left_in_home(place) == []


@pytest.mark.slow
def test_openvino_is_imported_without_its_reports_and_leaves_nothing(place: Path) -> None:
    pytest.importorskip("openvino")
    code = (
        "import objectness, sys; objectness.load(engine='openvino', threads=1)('photo.png');"
        "print('openvino_telemetry' in sys.modules);"
        "from objectness.telemetry import import_openvino; print(import_openvino() is sys.modules['openvino'])"
    )
    done = run(code, place)
    assert (done.returncode, done.stdout) == (0, "False\nTrue\n"), done.stderr
    assert left_in_home(place) == []


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"), reason="needs Linux's seccomp"
)
def test_the_guard_kills_who_opens_an_internet_socket(place: Path) -> None:
    assert run(_NO_SOCKETS + "import socket; socket.socket(socket.AF_UNIX)", place).returncode == 0
    for family in ("AF_INET", "AF_INET6"):
        done = run(_NO_SOCKETS + f"import socket; socket.socket(socket.{family})", place)
        assert done.returncode == -signal.SIGSYS


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"), reason="needs Linux's seccomp"
)
def test_proposing_opens_no_internet_socket_while_the_process_lives(place: Path) -> None:
    """ONNX Runtime's first look-up comes ten seconds after its import; proposing goes on beyond that."""
    code = f"{_NO_SOCKETS}\n{_PROPOSE}\nimport time; time.sleep(11.5); {_PROPOSE}"
    done = run(code, place)
    assert (done.returncode, done.stdout) == (0, "300\n300\n"), done.stderr


def test_who_imports_onnx_runtime_first_is_told_that_it_reports(place: Path) -> None:
    done = run("import onnxruntime; " + _PROPOSE, place)
    assert done.returncode == 0
    assert done.stderr.count("import objectness first, or set ORT_DISABLE_TELEMETRY=1") == 1


def test_a_user_who_switched_reports_off_is_told_nothing(place: Path) -> None:
    done = run("import os; os.environ['ORT_DISABLE_TELEMETRY'] = '1'; import onnxruntime; " + _PROPOSE, place)
    assert (done.returncode, done.stderr) == (0, "")
    assert left_in_home(place) == []


def test_what_a_user_has_set_stays(place: Path) -> None:
    done = run("import os; os.environ['HF_HUB_DISABLE_TELEMETRY'] = 'yes'; import objectness; "
               "print(os.environ['HF_HUB_DISABLE_TELEMETRY'], os.environ['ORT_DISABLE_TELEMETRY'])", place)  # fmt: skip
    assert done.stdout == "yes 1\n"
