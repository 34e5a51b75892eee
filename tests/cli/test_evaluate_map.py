"""``objectness evaluate --map``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def data(tmp_path: Path, making) -> None:
    for name in ("a", "b"):
        making.image(tmp_path / "data" / "images" / f"{name}.jpg")
        making.write(tmp_path / "data" / "labels" / f"{name}.txt", "1 0.5 0.5 0.5 0.5\n")
    making.write(tmp_path / "data" / "data.yaml", "train: images\nval: images\nnames: [cat, dog]\n")
    good = "path,x1,y1,x2,y2,score,class_name\na.jpg,10,7.5,30,22.5,.9,dog\nb.jpg,10,7.5,30,22.5,.8,dog\n"
    making.write(tmp_path / "good.csv", good)
    making.write(tmp_path / "bad.csv", good.replace("b.jpg,10", "b.jpg,22"))
    making.write(tmp_path / "boxes.csv", "path,x1,y1,x2,y2,score\na.jpg,10,7,30,22,.9\n")


def test_tables(run) -> None:
    result = run("evaluate", "good.csv", "bad.csv", "data", "--map", "--draws", 20, "--proposals", "boxes.csv")
    assert result.exit_code == 0
    words = result.stdout
    assert "2 images, 2 objects of 1 classes" in words
    for title in (
        "Mean average precision",
        "Differences, paired",
        "What the proposals allow",
        "Where objects are lost",
    ):
        assert title in words
    assert "good − bad" in words
    assert "Average precision by class" not in words
    assert "Average precision by class" in run("evaluate", "good.csv", "data", "--map", "--show", "by-class").stdout


def test_json(run, tmp_path: Path) -> None:
    result = run("evaluate", "good.csv", "data", "--map", "--json", "--draws", 20, "--out", "figures.json")
    document = json.loads(result.stdout)
    assert (document["ap"], document["voc_2007"], document["ap_by_class"]) == (1, 1, {"dog": 1})
    assert document["tables"]["average-precision"]["rows"][0][1] == {"value": 1, "low": 1, "high": 1}
    assert json.loads((tmp_path / "figures.json").read_text()) == document


def test_report(run, tmp_path: Path) -> None:
    for _ in range(2):  # the second replaces the first
        assert run("evaluate", "bad.csv", "data", "--map", "--at-score", 0, "--report", "out.html").exit_code == 0
    assert "1 missed, 1 wrong" in (tmp_path / "out.html").read_text()
    assert (tmp_path / "out.classes-1.png").exists()
    none = run("evaluate", "bad.csv", "data", "--map", "--at-score", 0, "--report", "out.html", "--thumbnails", 0)
    assert none.exit_code == 0
    assert '<article class="card">' not in (tmp_path / "out.html").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("good.csv", "data", "--map", "--k", "10"),
            "--k is about recall, which --map does not measure: leave it out.",
        ),
        (("good.csv", "data", "--map", "--nms", "0.5"), "--nms is about recall"),
        (("good.csv", "data", "--at-score", "0.5"), "--at-score goes with --map alone: leave it out."),
        (("good.csv", "data", "--proposals", "boxes.csv"), "--proposals goes with --map alone"),
        (("boxes.csv", "data", "--map"), "has no class: it is a proposal"),
        (("good.csv", "data", "--map", "--show", "by-clas"), "did you mean 'by-class'?"),
        (("good.csv", "data", "--map", "--thorough"), "--thorough is about recall"),
        (("default", "data", "--map"), "The bundled model proposes boxes, and names nothing"),
        (("uniform", "data", "--map"), "uniform proposes boxes, and names nothing"),
    ],
)
def test_wrong_use(run, words: tuple[str, ...], sentence: str) -> None:
    result = run("evaluate", *words)
    assert result.exit_code == 2
    assert sentence in result.stderr
