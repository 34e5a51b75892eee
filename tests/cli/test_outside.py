"""Every command that reads a data set refuses names that lead out of it, unless ``--allow-outside`` is given."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from objectness.cli import app

COMMANDS = [
    "check SET",
    "data convert SET out --to coco",
    "data convert SET out --to voc",
    "data convert SET out --to yolo --images link",
    "data split SET out --train .5 --val .5",
    "evaluate uniform SET --draws 1 --k 10",
    "compare SET --with uniform --k 10 --keep kept",
    "propose SET/a.png --data SET --no-pictures --top 3",
    "convert found.json found.csv --data SET",
    "validate found.json --data SET",
    "anchors SET",
    pytest.param("train SET --recipe small --weights none", marks=pytest.mark.slow),
]


@pytest.fixture(autouse=True)
def _set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set of a photograph of its own and one that lies outside, and proposals for both."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("SET/a.png", "private/secret.png")):
        Path(name).parent.mkdir()
        Image.new("RGB", (64, 48), (number, 90, 90)).save(name)
    images = [
        {"id": i, "file_name": name, "width": 64, "height": 48}
        for i, name in enumerate(("a.png", "../private/secret.png"), start=1)
    ]
    boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": [4, 4, 30, 30], "area": 900} for i in (1, 2)]
    document = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cell"}]}
    Path("SET/instances.json").write_text(json.dumps(document))
    Path("found.json").write_text(json.dumps([{"image_id": 1, "bbox": [1, 1, 9, 9], "score": 1, "category_id": 1}]))


@pytest.mark.parametrize("command", COMMANDS)
def test_names_that_lead_outside_are_refused_unless_allowed(command: str) -> None:
    if command.split()[0] in ("train", "anchors") and find_spec("torch") is None:
        pytest.skip("needs PyTorch")
    refused = CliRunner().invoke(app, command.split())
    assert refused.exit_code == 2, refused.output
    assert "names '../private/secret.png', which lies outside of the data set's folder SET" in refused.stderr
    assert refused.stderr.count("\n") <= 2
    assert not list(Path().rglob("out/**/secret.png"))
    assert not list(Path().glob("runs/train/*"))
    if command.split()[0] != "train":  # what it reads is tested below
        allowed = CliRunner().invoke(app, [*command.split(), "--allow-outside"])
        assert allowed.exit_code == 0 or "too few to fit" in allowed.output, allowed.output


@pytest.mark.skipif(find_spec("torch") is None, reason="needs PyTorch")
def test_training_reads_what_is_allowed() -> None:
    from objectness.training.recipes import recipe
    from objectness.training.run_config import RunConfig
    from objectness.training.splits import read_splits

    splits = read_splits(RunConfig(Path("SET"), recipe("small"), allow_outside=True))
    found = (*splits.training.records, *splits.validation.records)
    assert sorted(record.path.name for record in found) == ["a.png", "secret.png"]
