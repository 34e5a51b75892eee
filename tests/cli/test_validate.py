from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from objectness.formats.core.spec import Fault
from objectness.formats.registry import NAMES
from objectness.formats.validation import Validation, validate

Run = Callable[..., Result]


@pytest.fixture
def run(run: Run) -> Run:
    """Run ``objectness validate`` in a folder with ``data.json``: a.png (id 1) and b.png (id 2), 64 x 48."""
    rows = []
    for image_id, name in ((1, "a"), (2, "b")):
        Image.new("RGB", (64, 48)).save(f"{name}.png")
        rows.append({"id": image_id, "file_name": f"{name}.png", "width": 64, "height": 48})
    Path("data.json").write_text(json.dumps({"images": rows, "annotations": [], "categories": []}))
    return partial(run, "validate")


def pickled(boxes: list[Any], logits: list[Any], ids: list[Any]) -> Path:
    path = Path("box.pkl")
    document = {
        "boxes": [np.array(rows, dtype=float).reshape(-1, 4) for rows in boxes],
        "objectness_logits": [np.array(row, dtype=float) for row in logits],
        "ids": ids,
        "bbox_mode": 0,
    }
    path.write_bytes(pickle.dumps(document))
    return path


def results(*rows: tuple[int, list[float], float]) -> Path:
    path = Path("found.json")
    path.write_text(json.dumps([{"image_id": i, "category_id": 1, "bbox": b, "score": s} for i, b, s in rows]))
    return path


def checked(path: Path, name: str) -> Validation:
    return validate(path, name, data="data.json")


def test_nothing_wrong(run: Run) -> None:
    result = run(pickled([[[0, 0, 9, 9]], []], [[1], []], [1, 2]), "--data", "data.json")
    assert result.exit_code == 0, result.output
    assert result.stdout == "box.pkl: detectron2 pickle, 2 images, 1 proposals\nNothing is wrong.\n"


def test_a_missing_image_breaks_detectron2_and_not_pycocotools(run: Run) -> None:
    result = run(pickled([[[0, 0, 9, 9]]], [[1]], ["1"]), "--data", "data.json")
    assert result.exit_code == 1
    assert "BREAKS: image of the data set that is missing: 1. detectron2 raises KeyError" in result.stdout
    assert "  b.png has no entry in the file" in result.stdout
    result = run(results((1, [0, 0, 9, 9], 0.5)), "--data", "data.json")
    assert result.exit_code == 0
    assert "note: image of the data set that is missing: 1. pycocotools counts" in result.stdout


def test_an_unknown_id_breaks_pycocotools_and_not_detectron2(run: Run) -> None:
    result = run(results((1, [0, 0, 9, 9], 0.5), (2, [0, 0, 9, 9], 0.5), (5, [0, 0, 9, 9], 0.5)), "--data", "data.json")
    assert result.exit_code == 1
    assert "pycocotools stops: results do not correspond to the ground truth" in result.stdout
    assert run(pickled([[]] * 3, [[]] * 3, [1, 2, 5]), "--data", "data.json").exit_code == 0


def test_every_fault_by_hand(run: Run) -> None:
    boxes = [
        [0, 0, 9, 9],
        [np.nan, 0, 9, 9],
        [5, 5, 2, 9],
        [5, 5, 5, 9],
        [70, 0, 90, 9],
        [60, 0, 70, 9],
        [0, 0, 9, 9],
        [0, 0, 64.5, 9],
    ]
    path = pickled([boxes, []], [[1, 0.9, 0.8, 0.7, 0.6, np.inf, 0.4, 0.45], []], [1, 2])
    found = checked(path, "detectron2")
    assert found.breaks
    assert {kind: [finding.number for finding in of_kind] for kind, of_kind in found.by_kind.items()} == {
        Fault.NOT_FINITE: [2, 6],
        Fault.SWAPPED: [3],
        Fault.NO_AREA: [4],
        Fault.OUTSIDE: [5],
        Fault.STICKS_OUT: [6],
        Fault.UNSORTED: [None],
        Fault.DUPLICATE: [7],
    }
    assert found.by_kind[Fault.UNSORTED][0].detail == "has scores that rise at 1 places"
    assert not found.by_kind[Fault.STICKS_OUT][0].reaction.breaks


def test_scores(run: Run) -> None:
    found = checked(
        results((1, [0, 0, 9, 9], 0.5), (1, [0, 0, 8, 8], 7), (2, [0, 0, 1, 1], float("nan"))), "coco-results"
    )
    assert {kind: [finding.number for finding in of_kind] for kind, of_kind in found.by_kind.items()} == {
        Fault.NOT_FINITE: [3],
        Fault.SCORE_RANGE: [2],
        Fault.UNSORTED: [None],
    }


def test_order_sizes_and_double_images(run: Run) -> None:
    rows = "image_id,path,width,height,x1,y1,x2,y2,score\n2,b.png,64,48,0,0,1,1,.5\n1,a.png,32,24,0,0,1,1,.5\n"
    Path("a.csv").write_text(rows)
    found = checked(Path("a.csv"), "csv")
    assert list(found.by_kind) == [Fault.OTHER_ORDER, Fault.OTHER_SIZE]
    assert found.by_kind[Fault.OTHER_SIZE][0].detail == "is 32 x 24 in the file and 64 x 48 in the data"
    assert found.breaks
    found = checked(pickled([[], []], [[], []], [1, 1]), "detectron2")
    assert Fault.DOUBLE_IMAGE in found.by_kind
    assert found.breaks
    Path("b.csv").write_text(rows + "3,x/b.png,64,48,0,0,1,1,.5\n")
    assert "are both for b.png: keep one of them" in checked(Path("b.csv"), "csv").by_kind[Fault.DOUBLE_IMAGE][0].detail


def test_unknown_sizes_and_missing_scores(run: Run) -> None:
    Path("a.csv").write_text("image_id,x1,y1,x2,y2\n1,0,0,1,1\n")
    result = run("a.csv")
    assert result.exit_code == 0
    assert "note: image of unknown size: 1. objectness cannot tell" in result.stdout
    assert "note: proposal without a score: 1. every consumer has to go by the order of the file." in result.stdout
    assert "--data gives the data set to check against" in result.stdout


def test_a_box_beyond_the_border_breaks_yolo_training(run: Run) -> None:
    Path("labels").mkdir()
    Path("labels/a.txt").write_text("0 0.99 0.5 0.2 0.2 0.5\n")
    result = run(".", "--from", "yolo", "--images", ".")
    assert result.exit_code == 1
    assert "YOLO training throws the whole image away" in result.stdout
    assert "a.png, line 1 sticks out of 64 x 48 by more than a pixel" in result.stdout


def test_a_file_that_cannot_be_read_is_a_finding(run: Run) -> None:
    Path("bad.json").write_text('[{"image_id": 1, "bbox": [1], "score": 2, "category_id": 1}]')
    result = run("bad.json", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["breaks"] is True
    assert document["findings"][0]["kind"] == "file that cannot be read"
    assert "entry 1 has the bbox [1], which is not four finite numbers" in document["findings"][0]["detail"]


def test_what_must_be_told_is_asked_for(run: Run) -> None:
    Path("list.pkl").write_bytes(pickle.dumps([np.zeros((0, 5))]))
    result = run("list.pkl")
    assert result.exit_code == 2
    assert "give the data set that the proposals were made for (--data)" in result.stderr


def test_long_lists_are_cut(run: Run) -> None:
    path = results(*[(1, [0, 0, 0, 1], 0.5)] * 15)
    assert "  and 5 more: use --json" in run(path).stdout
    assert len(json.loads(run(path, "--json").stdout)["findings"]) == 29 + 1


def test_what_the_reader_took_otherwise_is_said(run: Run) -> None:
    Path("a.csv").write_text("path;x1;y1;x2;y2;score\na.png;0,5;0;9;9;1\n")
    said = "a.csv is read with semicolons between its values and decimal commas"
    assert f"note: {said}." in run("a.csv").stdout
    assert json.loads(run("a.csv", "--json").stdout)["notes"] == [said]


def test_the_help_names_every_format(run: Run) -> None:
    assert f"Formats: {', '.join(NAMES)}." in " ".join(run("--help").stdout.split())
