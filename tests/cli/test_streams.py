"""The command line as a process: its streams, its signals, its exit codes."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from objectness import stopping
from objectness.cli import app, finish

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def start(*arguments: str, env: dict[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "objectness", *arguments]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.run(command, cwd=tmp_path, env={**os.environ, **(env or {})}, check=False, **options)

    return start


@pytest.mark.parametrize("buffered", [{}, {"PYTHONUNBUFFERED": "1"}])
def test_a_full_standard_output_is_one_sentence(run: Run, buffered: dict[str, str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = run("--help", stdout=full, env=buffered)
    assert ended.returncode == 2
    assert ended.stderr == b"objectness: standard output cannot be written (No space left on device).\n"


def test_a_pipe_that_nobody_reads_ends_quietly(run: Run) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = run("check", "--help", stdout=writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_a_full_standard_error_ends_no_work(run: Run, tmp_path: Path, making: Any) -> None:
    making.image(tmp_path / "a.jpg")
    making.write(tmp_path / "p.json", [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 1}])
    with Path("/dev/full").open("wb") as full:
        ended = run("convert", "p.json", "p.csv", stderr=full)
    assert ended.returncode == 0
    assert b"Wrote p.csv" in ended.stdout
    assert (tmp_path / "p.csv").exists()


@pytest.mark.slow
def test_closed_streams_are_no_obstacle(run: Run, tmp_path: Path, making: Any) -> None:
    making.write(tmp_path / "p.json", [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 1}])
    close = {"stdout": None, "stderr": None, "preexec_fn": lambda: [os.close(number) for number in (0, 1, 2)]}
    assert run("convert", "p.json", "p.csv", **close).returncode == 0
    assert (tmp_path / "p.csv").read_text().startswith("image")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_letters_that_the_terminal_lacks_are_no_traceback(run: Run, encoding: str) -> None:
    name = "写真\N{MINUS SIGN}1.jpg"
    ended = run("propose", name, env={"PYTHONIOENCODING": encoding})
    assert ended.returncode == 2
    assert ended.stderr == b"objectness: There is no such file: ??-1.jpg; check the path.\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["propose", "missing.jpg"], "There is no such file: missing.jpg; check the path."),
        (["propose"], "Missing argument"),
        (["propose", "a.jpg", "--nms", "7"], "--nms"),
        (["nonsense"], "No such command"),
        (["check", "nowhere"], "nowhere"),
        (["evaluate", "p.json", "nowhere"], "nowhere"),
        (["compare", "nowhere"], "nowhere"),
        (["convert", "p.json", "q.csv"], "p.json"),
        (["validate", "p.json"], "p.json"),
        (["data", "convert", "nowhere", "out", "--to", "coco"], "nowhere"),
        (["anchors", "nowhere"], ""),
        (["benchmark", "nowhere"], "nowhere"),
        (["export", "nowhere"], "nowhere"),
        (["train", "--seed", "x"], "--seed"),
    ],
)
def test_with_json_an_error_is_a_document_too(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(app, [*arguments, "--json"])
    assert ended.exit_code == 2
    document = json.loads(ended.stdout)
    assert list(document) == ["error"]
    assert words in document["error"]
    assert document["error"] in ended.stderr


def test_names_send_no_escape_codes_to_the_terminal(
    tmp_path: Path, making: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\x1b]0;owned\x07\x1b[31m\N{RIGHT-TO-LEFT OVERRIDE}"
    making.write(
        tmp_path / "data.json",
        {
            "images": [{"id": 1, "file_name": f"{code}a.jpg", "width": 40, "height": 30}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 99, 9], "area": 9, "iscrowd": 0}],
            "categories": [{"id": 1, "name": f"{code}cell"}],
        },
    )
    making.write(tmp_path / "p.csv", f"image,x1,y1,x2,y2,score\n{code}a.jpg,9,9,1,1,2\n")
    making.image(tmp_path / "photos" / "a.jpg")
    (tmp_path / "photos" / "a.jpg").rename(tmp_path / "photos" / f"{code}b.jpg")
    making.write(tmp_path / f"{code}broken.json", "{")
    for arguments in (
        ["check", "data.json"],
        ["check", f"{code}broken.json"],
        ["validate", "p.csv", "--from", "csv"],
        ["convert", "p.csv", f"{code}q.json", "--from", "csv", "--repair"],
        ["propose", f"photos/{code}b.jpg", "--max-pixels", "9"],
        ["propose", "a.jpg", f"--{code}"],
        ["anchors", "data.json"],
        ["evaluate", f"{code}p.csv", "data.json"],
    ):
        ended = CliRunner().invoke(app, arguments)
        printed = ended.stdout + ended.stderr
        assert printed
        assert not {"\x1b", "\x07", "\N{RIGHT-TO-LEFT OVERRIDE}"} & set(printed), arguments


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_what_was_found_outlives_a_kill(tmp_path: Path, making: Any, number: int) -> None:
    for name in range(300):
        making.image(tmp_path / "photos" / f"{name}.jpg")
    partial, whole = (tmp_path / "out" / f"proposals{word}.images.json" for word in (".partial", ""))
    command = [sys.executable, "-m", "objectness", "propose", "photos", "--out", "out", "--threads", "1"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not (partial.exists() and partial.read_bytes().count(b"file_name") >= 5) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        printed = process.communicate()[0].decode()
    if number == signal.SIGKILL:
        assert process.returncode == -number
        whole = partial
    else:
        assert process.returncode == 128 + number
        assert "Stopped: what was done so far was kept. Wrote out/proposals.json" in printed
    kept = len(json.loads(whole.read_bytes()))
    assert 5 <= kept < 300
    drawn = [path for path in (tmp_path / "out").iterdir() if path.suffix == ".jpg" and path.name[0] != "."]
    assert kept - 1 <= len(drawn) <= kept
    for path in drawn:
        Image.open(path).load()  # none is half a picture


@pytest.mark.slow
def test_a_picture_for_which_there_is_no_room_is_named_and_not_half_written(
    run: Run, tmp_path: Path, making: Any
) -> None:
    making.image(tmp_path / "photos" / "large.jpg", 640, 480)
    making.image(tmp_path / "photos" / "small.jpg")
    limit = (100_000, 100_000)
    ended = run("propose", "photos", "--json", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    assert ended.returncode == 1, ended.stderr
    document = json.loads(ended.stdout)
    assert [image["picture"] for image in document["images"]] == [None, "proposals/small.proposals.jpg"]
    assert "large.proposals.jpg cannot be written (File too large)" in document["failed"][0]["error"]
    names = sorted(path.name for path in (tmp_path / "proposals").iterdir())
    assert names == ["proposals.images.json", "proposals.json", "small.proposals.jpg"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_a_library_is_imported_is_a_stop(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    def importing() -> None:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            raise ImportError("initialization failed") from None

    before = {one: signal.getsignal(one) for one in stopping.SIGNALS}
    stopping.turn_signals_into_interrupts()
    try:
        assert finish(importing, as_json=True) == 128 + number
    finally:
        stopping.begin()
        for one, handler in before.items():
            signal.signal(one, handler)
    assert json.loads(capsys.readouterr().out) == {"error": "stopped."}


def test_a_library_that_cannot_be_imported_keeps_its_traceback() -> None:
    def importing() -> None:
        raise ImportError("initialization failed")

    with pytest.raises(ImportError, match="initialization failed"):
        finish(importing, as_json=False)
