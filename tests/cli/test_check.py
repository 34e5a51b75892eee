from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from objectness.cli import app

runner = CliRunner()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One 40 x 30 image with a sound box and one that sticks out by half a pixel."""
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    write(tmp_path, [[0, 0, 10, 10], [-0.5, 0, 9, 9]])
    return tmp_path


def write(folder: Path, boxes: list[list[float]]) -> None:
    document: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": box} for box in boxes],
        "categories": [{"id": 1, "name": "[red]cat"}],
    }
    (folder / "boxes.json").write_text(json.dumps(document))


def test_a_sound_data_set(data: Path) -> None:
    result = runner.invoke(app, ["check", str(data)])
    assert result.exit_code == 0
    assert "No problems found." in result.stdout
    assert "[red]cat" in result.stdout, "names are no markup"


def test_strict_names_what_is_tolerated(data: Path) -> None:
    result = runner.invoke(app, ["check", str(data), "--strict"])
    assert result.exit_code == 1
    assert "a.png, box 2: [-0.5, 0, 8.5, 9] sticks out of the image of 40 x 30" in result.stdout


def test_json_is_one_document_with_all(data: Path) -> None:
    write(data, [[5, 5, 0, 0]] * 25)
    result = runner.invoke(app, ["check", str(data), "--json"])
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (document["images"], document["boxes"], document["layout"]) == (1, 25, "coco")
    assert len(document["problems"]["degenerate box"]) == 25
    assert document["sqrt_area"]["p50"] is None


def test_long_lists_are_cut(data: Path) -> None:
    write(data, [[5, 5, 0, 0]] * 25)
    result = runner.invoke(app, ["check", str(data), "--quiet"])
    assert "and 5 more: use --json" in result.stdout
    assert "box 20:" in result.stdout
    assert "box 21: [5, 5, 5, 5] is" not in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "does not exist"),
        (["{data}", "--split", "val"], "has no splits"),
        (["{data}/a.png"], "no data set"),
    ],
)
def test_wrong_use(data: Path, arguments: list[str], says: str) -> None:
    result = runner.invoke(app, ["check", *(argument.format(data=data) for argument in arguments)])
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""
