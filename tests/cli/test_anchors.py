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
    assert json.loads(settings.read_text())["recipe"] == document["recipe"] == "paper-zf"
    assert document["judgement"].startswith("The suggested anchors are better: mean IoU rises from ")
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


def yolo(folder: Path, boxes: int) -> Path:
    """One photograph of 200 x 200 with boxes of 60 px."""
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    Image.new("RGB", (200, 200)).save(folder / "images" / "1.png")
    lines = [f"0 {0.2 + 0.05 * (i % 12)} {0.2 + 0.05 * (i // 12)} 0.3 0.3" for i in range(boxes)]
    (folder / "labels" / "1.txt").write_text("\n".join(lines))
    (folder / "data.yaml").write_text("train: images\nnames: [thing]\n")
    return folder


def test_too_few_boxes_to_fit_are_examined_all_the_same(tmp_path: Path) -> None:
    applied = tmp_path / "anchors.json"
    code, out, err = invoke(yolo(tmp_path / "data", 3), "--apply", applied, "--json")
    document = json.loads(out)
    assert code == 0
    assert document["suggested"] is None
    assert document["judgement"] == (
        "No anchors are suggested: 3 boxes are too few to fit 8 sizes and 3 ratios to them."
    )
    assert document["present"]["best possible recall"]["0.5"] == 1
    assert f"{applied} is not written" in err
    assert not applied.exists()


def test_what_is_applied_holds_the_settings_that_it_was_fitted_to(tmp_path: Path) -> None:
    data, applied = yolo(tmp_path / "data", 40), tmp_path / "anchors.json"
    code, _, err = invoke(data, "--apply", applied, "--set", "rpn.images.short_side=512")
    assert code == 0, err
    written = json.loads(applied.read_text())
    assert written["recipe"] == "small"
    assert written["rpn"]["images"] == {"short_side": 512}
    assert len(written["rpn"]["anchors"]["sizes"]) == 8
    assert f"for the recipe small: objectness train {data} --settings {applied}" in err


def test_anchors_that_go_with_a_trained_head_cannot_be_applied(tmp_path: Path) -> None:
    data, applied = yolo(tmp_path / "data", 40), tmp_path / "anchors.json"
    code, _, err = invoke(data, "--recipe", "fine-tune", "--apply", applied)
    assert code == 2
    assert "The recipe fine-tune takes its anchors over from the network that it starts from" in err
    assert not applied.exists()
    assert invoke(data, "--recipe", "fine-tune")[0] == 0
