"""Evaluate and compare as calls of the library."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import objectness
from objectness.cli import app
from objectness.cli import compare as compare_command
from objectness.engines import ModelDescription, RankedBoxes
from objectness.errors import InputError
from objectness.evaluation.reporter import Reporter
from objectness.evaluation.run_comparison import USUAL
from objectness.inference.proposer import Proposer
from objectness.proposal_set import ProposalSet
from objectness.proposals import Proposals


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A COCO file of four photographs 64 x 48 with one object each, the whole image."""
    images = [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 48} for i in range(1, 5)]
    boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 64, 48]} for i in range(1, 5)]
    for i in range(1, 5):
        Image.new("RGB", (64, 48), (i, 0, 0)).save(tmp_path / f"{i}.png")
    document = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "thing"}]}
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    return tmp_path / "boxes.json"


def whole(pixels: np.ndarray) -> Proposals:
    """Propose the whole image."""
    height, width = pixels.shape[:2]
    return Proposals(np.array([[0, 0, width, height]]), np.array([0.5]), (height, width))


def poor(pixels: np.ndarray) -> Proposals:
    return Proposals(np.array([[0, 0, 64, 40]]), np.array([0.5]), (48, 64))  # IoU 40/48: found at 7 of 10 thresholds


class Whole:
    """A model that proposes the whole image."""

    description = ModelDescription(name="whole", short_side=48, long_side=64, nms_iou=1.0, top=5)
    device = "cpu"

    def propose(self, pixels: np.ndarray, **limits: object) -> RankedBoxes:
        height, width = pixels.shape[:2]
        return RankedBoxes(np.array([[0, 0, width, height]], np.float32), np.array([0.5], np.float32))


def proposed(boxes: list[list[float]], source: str | None = None) -> Proposals:
    return Proposals(np.array(boxes), np.linspace(0.9, 0.1, len(boxes)), (48, 64), source)


def test_what_the_shell_gives_is_one_call(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data.parent)
    words = ["evaluate", "uniform", "sliding-window", "boxes.json", "--k", "5,50", "--draws", "9", "--json"]
    shell = json.loads(CliRunner().invoke(app, words).stdout)
    call = objectness.evaluate("boxes.json", ["uniform", "sliding-window"], ks=(5, 50), draws=9)
    assert json.loads(json.dumps(call.to_dict())) == shell


def test_one_method_in_every_form_gives_the_same_figure(data: Path) -> None:
    found = {i: proposed([[0, 0, 64, 48]]) for i in range(1, 5)}
    named = {7: proposed([[0, 0, 64, 48]], "2.png")}  # numbered by somebody else: matched by file name
    for method, ar in ((whole, 1), (Proposer(Whole()), 1), (found, 1), (ProposalSet(found), 1), (named, 0.25)):
        got = objectness.evaluate(objectness.load_dataset(data), method, ks=(1,), draws=2)
        assert [report.ar[1] for report in got.recall.values()] == [ar]
    assert objectness.evaluate(data, {"mine": whole, "other": poor}, ks=(1,)).recall["other"].ar[1] == 0.7


def test_a_photograph_that_cannot_be_read_is_listed_and_missed(data: Path) -> None:
    data.with_name("2.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"2\.png"):
        got = objectness.evaluate(data, whole, ks=(1,), draws=2)
    assert [Path(file).name for file in got.failed] == ["2.png"]
    assert got.recall["whole"].ar[1] == 0.75
    for i in (1, 3, 4):
        data.with_name(f"{i}.png").unlink()
    quiet = Reporter(warn=lambda sentence: None)
    for call in (
        lambda: objectness.evaluate(data, whole, reporter=quiet),
        lambda: objectness.compare(data, whole, reporter=quiet),
    ):
        with pytest.raises(InputError, match="None of the 4 images could be used"):
            call()


def test_a_model_that_gives_less_than_the_largest_k_is_told(data: Path) -> None:
    with pytest.warns(UserWarning, match="at most 5 proposals an image, so that AR@100 is that of 5: load it with top"):
        objectness.evaluate(data, Proposer(Whole()), ks=(1, 100), draws=2)
    objectness.evaluate(data, Proposer(Whole()), ks=(1, 5), draws=2)  # and else nothing is
    with pytest.warns(UserWarning, match="at most 5"):
        objectness.compare(data, Proposer(Whole()), ks=(1, 9), draws=2)


def test_a_selection_is_applied_to_a_loaded_model_too(data: Path) -> None:
    assert objectness.evaluate(data, Proposer(Whole()), ks=(1,), score=0.6).recall["proposer"].ar[1] == 0


def test_boxes_in_fractions_are_refused(data: Path) -> None:
    document = json.loads(data.read_text())
    for box in document["annotations"]:
        box["bbox"] = [0.1, 0.1, 0.5, 0.5]
    data.write_text(json.dumps(document))
    with pytest.raises(InputError, match="fractions"):
        objectness.evaluate(data, whole)


def test_compare_times_and_goes_on(data: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    for _ in range(2):
        got = objectness.compare(
            data, ["uniform", "sliding-window"], ks=(20,), cache=tmp_path / "kept", reporter=Reporter(notes.append)
        )
    assert got.tables["recall-and-time"].rows[0][-1] == 4
    assert "4 photographs are known from an earlier run." in notes
    assert objectness.compare(data, whole, limit=2, ks=(1,), draws=2).recall["whole"].images == 2


def test_ctrl_c_is_raised_unless_a_partial_result_is_wished(data: Path) -> None:
    calls = []

    def stops(pixels: np.ndarray) -> Proposals:
        calls.append(1)
        if len(calls) % 3 == 0:
            raise KeyboardInterrupt
        return whole(pixels)

    with pytest.raises(KeyboardInterrupt):
        objectness.compare(data, stops)
    got = objectness.compare(data, stops, partial=True, ks=(1,), draws=2)
    assert got.recall["stops"].images == 2
    assert got.stopped == "Stopped after 2 photographs: the figures are of these, nothing is kept."


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ([], "There is no method to measure"),
        ("unifrom", "did you mean 'uniform'"),
        (7, "A method is a name, a function or proposals by image id, not a int"),
        ({9: proposed([[0, 0, 1, 1]])}, "image 9"),
    ],
)
def test_methods_that_are_none(data: Path, methods: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        objectness.evaluate(data, methods)  # type: ignore[arg-type]


def test_the_report_is_written(data: Path, tmp_path: Path) -> None:
    files = objectness.evaluate(data, poor, ks=(1, 2), draws=2).write_report(tmp_path / "new" / "out.html")
    assert [file.suffix for file in files[:3]] == [".html", ".csv", ".json"]
    assert all(file.exists() for file in files)


def test_the_command_and_the_library_compare_the_same_by_default() -> None:
    assert compare_command.USUAL == USUAL
