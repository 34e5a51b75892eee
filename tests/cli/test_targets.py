"""What commands write never lands on what they read; what they cannot finish does not appear."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from objectness.cli import app


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path, making: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A COCO data set ``ds`` of two images with its annotations in two parts, and proposals for it."""
    monkeypatch.chdir(tmp_path)
    images = [{"id": i, "file_name": f"{i}.png", "width": 40, "height": 30} for i in (1, 2)]
    box = {"category_id": 1, "area": 400, "iscrowd": 0}
    boxes = [
        [{"id": 99 * i + n, "image_id": i, "bbox": [1, 1, 5 + n, 28 - n], **box} for n in range(24)] for i in (1, 2)
    ]
    for number, part in enumerate(("train", "val")):
        document = {
            "images": images[number : number + 1],
            "annotations": boxes[number],
            "categories": [{"id": 1, "name": "cell"}],
        }
        making.write(tmp_path / "ds" / "annotations" / f"instances_{part}.json", document)
        making.image(tmp_path / "ds" / part / f"{number + 1}.png", seed=number)
    entries = [{"image_id": i, "category_id": 1, "bbox": [1, 1, 20, 20], "score": 0.5} for i in (1, 2)]
    making.write(tmp_path / "p.json", entries)
    making.write(tmp_path / "p.images.json", images)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize(
    "words",
    [
        ["convert", "p.json", "p.json"],
        ["convert", "p.json", "p.json", "--to", "coco"],
        ["convert", "p.json", "./ds/../p.json"],
        ["convert", "p.json", "p.images.json", "--to", "csv"],
        ["convert", "p.json", "ds/annotations/instances_val.json"],  # which was not said to be an input
        ["evaluate", "p.json", "ds/annotations/instances_val.json", "--out", "ds/annotations/instances_train.json"],
        ["convert", "p.json", "ds/annotations/instances_val.json", "--data", "ds", "--to", "coco-results"],
        ["anchors", "ds", "--picture", "ds/train/1.png"],
        ["anchors", "ds", "--picture", "ds/val/2.png"],  # of the other part
        ["anchors", "ds", "--apply", "ds/annotations/instances_val.json"],
        ["anchors", "ds/annotations/instances_train.json", "--apply", "ds/annotations/instances_train.json"],
        ["data", "convert", "ds", "ds", "--to", "coco"],
        ["data", "split", "ds", "ds/train"],
        ["evaluate", "p.json", "ds", "--out", "p.images.json"],
    ],
)
def test_an_input_is_never_overwritten(folder: Path, words: list[str]) -> None:
    before = contents(folder)
    result = run(*words)
    assert contents(folder) == before, result.output
    assert result.exit_code == 2
    assert result.stderr.startswith("objectness: ")


@pytest.mark.slow
def test_what_was_written_before_may_be_written_again(folder: Path) -> None:
    for _ in range(2):
        for words in (
            ["convert", "p.json", "q.json", "--to", "coco", "--data", "ds"],
            ["convert", "p.json", "yolo", "--to", "yolo", "--data", "ds"],
            ["convert", "p.json", "ds/boxes.pkl", "--to", "detectron2", "--data", "ds"],
            ["anchors", "ds", "--picture", "ds/shapes.png", "--apply", "ds/anchors.json"],
        ):
            result = run(*words)
            assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    "words",
    [
        ["convert", "p.json", "new", "--to", "yolo", "--data", "ds"],
        ["data", "convert", "ds", "new", "--to", "yolo"],
        ["data", "convert", "ds", "new", "--to", "voc"],
        ["data", "split", "ds", "new", "--train", ".5", "--val", ".5", "--to", "coco"],
    ],
)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_folder_that_is_not_finished_does_not_appear(
    folder: Path, words: list[str], error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(folder)
    calls: list[Path] = []
    usual = Path.replace

    def replace(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) == 2:
            raise error
        return usual(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    result = run(*words)
    assert result.exit_code == (130 if isinstance(error, KeyboardInterrupt) else 2), result.output
    assert len(calls) == 2
    assert contents(folder) == before
    assert not (folder / "new").exists()
    monkeypatch.setattr(Path, "replace", usual)
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert json.loads((folder / "p.json").read_text())


def test_quiet_says_nothing_of_files_and_all_of_figures(folder: Path) -> None:
    for words in (
        ["convert", "p.json", "q.csv"],
        ["data", "split", "ds", "parts", "--train", ".5", "--val", ".5"],
    ):
        result = run(*words, "--quiet")
        assert (result.exit_code, result.stdout) == (0, ""), result.output
    assert "cell" in run("check", "ds", "--quiet").stdout
    result = run("evaluate", "p.json", "ds", "--split", "all", "--quiet", "--draws", "5")
    assert "Average recall" in result.stdout, result.output
