from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from objectness import stopping
from objectness.errors import InputError
from objectness.proposals import Proposals

Run = Callable[..., Result]
WITH = ("--with", "sliding-window,uniform")


@pytest.fixture
def run(run: Run) -> Run:
    """Run ``objectness compare`` in an empty folder."""
    return partial(run, "compare")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A COCO file of four photographs 64 x 48 with one object each, the whole image."""
    folder = tmp_path / "photos"
    folder.mkdir()
    document = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "thing"}]}
    for number in range(1, 5):
        Image.new("RGB", (64, 48), (number, 0, 0)).save(folder / f"{number}.png")
        document["images"].append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 48})
        box = [0, 0, 64, 48]
        document["annotations"].append(
            {"id": number, "image_id": number, "category_id": 1, "bbox": box, "area": 3072, "iscrowd": 0}
        )
    (folder / "boxes.json").write_text(json.dumps(document))
    return folder / "boxes.json"


def told(result: Result, code: int = 0) -> dict:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def stop_at(monkeypatch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Press Ctrl-C during the uniform boxes' ``number``-th photograph; the list grows with each."""
    calls: list[int] = []

    def uniform(image: np.ndarray, top: int, seed: int) -> Proposals:
        calls.append(1)
        if len(calls) == number:
            raise KeyboardInterrupt
        return Proposals(np.array([[0, 0, 10, 10]]), np.array([1.0]), image.shape[:2])

    monkeypatch.setattr("objectness.evaluation.baselines.uniform.uniform", uniform)
    return calls


def test_recall_and_time(run: Run, data: Path) -> None:
    got = told(run(data, *WITH, "--json", "--k", "1,20"))
    assert [method["name"] for method in got["methods"]] == ["sliding-window", "uniform"]
    table = got["tables"]["recall-and-time"]
    assert table["columns"] == ["method", "AR@20", "R@.5, 20", "median s", "mean s", "photos"]
    first = table["rows"][0]
    assert (first[0], first[1]["value"], first[-1]) == ("sliding-window", 1, 4)
    assert first[3] > 0
    names = sorted(path.name.rpartition("-")[0] for path in Path("runs/compare").iterdir())
    assert names == ["sliding-window", "uniform"]


@pytest.mark.slow
def test_table_and_report(run: Run, data: Path) -> None:
    result = run(data, *WITH, "--report", "deep/out.html", "--threads", "2")
    assert result.exit_code == 0, result.output
    assert "Recall and time" in result.stdout
    assert "sliding-window − uniform" in result.stdout
    page = Path("deep/out.html").read_text()
    assert "Times were taken with 2 threads" in page


def test_what_is_known_is_not_measured_again(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = stop_at(monkeypatch, 0)
    first = told(run(data, *WITH, "--json"))
    assert len(calls) == 4
    again = run(data, *WITH, "--json")
    assert told(again) == first
    assert len(calls) == 4
    assert "4 photographs are known from an earlier run" in again.stderr
    run(data, *WITH, "--seed", "1")  # other settings are other proposals
    assert len(calls) == 8


def test_limit(run: Run, data: Path, tmp_path: Path) -> None:
    assert told(run(data, *WITH, "--limit", "2", "--json"))["methods"][0]["images"] == 2
    assert told(run(data, *WITH, "--limit", "9", "--json"))["methods"][0]["images"] == 4
    # A file of proposals may know more photographs than are looked at.
    row = {"category_id": 1, "bbox": [0, 0, 64, 48], "score": 1}
    (tmp_path / "f.json").write_text(json.dumps([{"image_id": number, **row} for number in range(1, 5)]))
    got = told(run(data, "--with", "f.json,uniform", "--limit", "2", "--json"))
    assert got["methods"][0]["ar"]["1"] == 1
    assert got["tables"]["recall-and-time"]["rows"][0][-3:] == [None, None, None]


def test_ctrl_c_keeps_what_was_done(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = stop_at(monkeypatch, 3)
    result = run(data, *WITH, "--json")
    got = told(result, 130)
    assert got["methods"][0]["images"] == 2
    sentence = result.stderr.splitlines()[-1]
    assert sentence.startswith("Stopped after 2 photographs")
    assert "the same command goes on from there" in sentence
    assert "Traceback" not in result.output
    whole = told(run(data, *WITH, "--json"))
    assert whole["methods"][0]["images"] == 4
    assert len(calls) == 5  # two, the one that was stopped, and the two that were left


def test_ctrl_c_before_anything_was_done(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_at(monkeypatch, 1)
    result = run(data, *WITH)
    assert result.exit_code == 130
    assert result.stdout == ""
    assert "stopped before any photograph was seen by all methods" in result.stderr


def test_bad_photographs_are_told_and_missed(run: Run, data: Path) -> None:
    (data.parent / "2.png").write_bytes(b"no picture")
    result = run(data, *WITH, "--json", "--k", "20")
    got = told(result, 1)
    assert got["methods"][0]["ar"]["20"] == 0.75
    assert "1 of 4 images could not be used" in result.stderr
    for number in (1, 3, 4):
        (data.parent / f"{number}.png").unlink()
    result = run(data, *WITH, "--keep", "elsewhere")
    assert result.exit_code == 2
    assert "None of the 4 images could be used" in result.stderr


def test_damaged_memory_is_measured_anew(run: Run, data: Path) -> None:
    first = told(run(data, *WITH, "--json"))
    (damaged,) = Path("runs/compare").glob("uniform-*.npz")
    damaged.write_bytes(b"PK\x03\x04")
    again = told(run(data, *WITH, "--json"))
    assert again["methods"][1] == first["methods"][1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--with", ","), "--with names no method"),
        (("--with", "unifrom"), "did you mean 'uniform'?"),
        (("--with", "edge-boxes:none.yml"), "none.yml"),
        (("--at", "3"), "at is 3"),
        (("--keep", "photos/boxes.json/x", *WITH), "cannot be written"),
        (("--with", "missing.json"), "missing.json cannot be read"),
    ],
)
def test_wrong_use(run: Run, data: Path, words: tuple[str, ...], message: str) -> None:
    result = run(data, *words)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output


@pytest.fixture
def no_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)


@pytest.mark.usefixtures("no_opencv")
def test_a_method_that_is_not_installed_is_named_and_the_others_run(run: Run, data: Path) -> None:
    result = run(data, "--with", "uniform,selective-search,sliding-window", "--json")
    got = told(result, 1)
    assert [method["name"] for method in got["methods"]] == ["uniform", "sliding-window"]
    assert [missing["method"] for missing in got["missing"]] == ["selective-search"]
    assert "selective-search is left out: Selective Search needs OpenCV" in result.stderr
    alone = run(data, "--with", "selective-search")
    assert alone.exit_code == 2
    assert "needs OpenCV" in alone.stderr


@pytest.mark.usefixtures("no_opencv")
def test_the_usual_methods_do_not_fail_for_one_that_nobody_named(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("objectness.cli.compare.USUAL", ("uniform", "selective-search", "sliding-window"))
    result = run(data)
    assert result.exit_code == 0, result.output
    assert "selective-search is left out" in result.stderr


def test_what_is_kept_is_said_and_can_be_switched_off(run: Run, data: Path, tmp_path: Path) -> None:
    result = run(data, *WITH, "--no-keep")
    assert result.exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
    assert "runs" not in result.stderr
    assert "What the methods propose is kept in runs/compare" in run(data, *WITH).stderr


def test_another_data_set_leaves_what_was_kept(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = stop_at(monkeypatch, 0)
    run(data, *WITH)
    other = data.with_name("other.json")
    other.write_text(data.read_text())
    run(other, *WITH)
    run(data, *WITH)
    assert len(calls) == 8


def test_a_default_place_that_is_closed_costs_only_the_keeping(run: Run, data: Path) -> None:
    Path("runs").write_text("a file where the folder would be")
    result = run(data, *WITH)
    assert result.exit_code == 0, result.output
    assert "Nothing is kept" in result.stderr


def test_a_disk_that_gets_full_costs_only_the_keeping(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise InputError("x.npz cannot be written (No space left on device).")

    monkeypatch.setattr("objectness.evaluation.progress_cache.save", full)
    result = run(data, *WITH)
    assert result.exit_code == 0, result.output
    assert "The comparison goes on, but cannot be resumed." in result.stderr


def test_the_report_is_never_written_over_an_input(run: Run, data: Path) -> None:
    before = data.read_bytes()
    result = run(data, *WITH, "--report", data.with_suffix(".html"))
    assert result.exit_code == 2
    assert data.read_bytes() == before
    assert not Path("runs").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_kill_keeps_what_was_done_as_ctrl_c_does(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    calls: list[int] = []

    def uniform(image: np.ndarray, top: int, seed: int) -> Proposals:
        calls.append(1)
        if len(calls) == 3:
            signal.raise_signal(number)
        return Proposals(np.array([[0, 0, 10, 10]]), np.array([1.0]), image.shape[:2])

    monkeypatch.setattr("objectness.evaluation.baselines.uniform.uniform", uniform)
    before = signal.getsignal(number)
    stopping.turn_signals_into_interrupts()
    try:
        result = run(data, *WITH, "--json")
    finally:
        signal.signal(number, before)
    assert told(result, code)["methods"][0]["images"] == 2
    assert told(run(data, *WITH, "--json"))["methods"][0]["images"] == 4
    assert len(calls) == 5


def test_size_and_several_sizes_reach_the_model(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, object]] = []

    def load(word: str, **options: object) -> Callable[[np.ndarray], Proposals]:
        asked.append((options["size"], options["thorough"]))
        return lambda image: Proposals(np.array([[0, 0, 10, 10]]), np.array([1.0]), image.shape[:2])

    monkeypatch.setattr("objectness.evaluation.methods.load", load)
    for more in ((), ("--size", "640"), ("--thorough",)):
        assert run(data, "--with", "default", "--no-keep", *more, "--json").exit_code == 0
    assert asked == [(None, False), (640, False), (None, True)]
