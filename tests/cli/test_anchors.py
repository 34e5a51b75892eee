from __future__ import annotations

import json
from pathlib import Path

from PIL import Image
from typer.testing import CliRunner

from objectness.cli import app


def invoke(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["anchors", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def test_report_picture_and_settings(shared_data: Path, tmp_path: Path) -> None:
    picture, settings = tmp_path / "new" / "shapes.png", tmp_path / "anchors.json"
    options = ("--split", "val", "--recipe", "paper-zf", "--picture", picture, "--apply", settings, "--json")
    code, out, err = invoke(shared_data / "bccd", *options)
    assert code == 0, err
    document = json.loads(out)
    assert document["suggested"]["mean IoU"] > document["present"]["mean IoU"]
    applied = json.loads(settings.read_text())["rpn"]["anchors"]
    assert applied == document["suggested"]["anchors"]
    with Image.open(picture) as opened:
        assert opened.size == (648, 700)
    assert f"--settings {settings}" in err


def test_tables(shared_data: Path) -> None:
    code, out, _ = invoke(shared_data / "bccd", "--split", "val", "--recipe", "paper-zf", "-q")
    assert code == 0
    assert "best possible recall at IoU 0.7" in out
    assert "suggested: sizes" in out


def test_no_data_set_and_an_unknown_recipe_are_one_sentence(tmp_path: Path) -> None:
    code, out, err = invoke(tmp_path / "nothing")
    assert (code, out, err.count("\n")) == (2, "", 1)
    code, _, err = invoke(tmp_path, "--recipe", "smal")
    assert code == 2
    assert "small" in err
