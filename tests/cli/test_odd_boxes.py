"""Boxes in other units or of no extent: the right figure, one sentence with it, or a refusal; never a silent 0."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Run = Callable[..., Result]
BOX = (20, 20, 12, 10)  # x, y, width, height in images of 100 x 80
FRACTIONS = (0.2, 0.25, 0.12, 0.125)


def truth(making: Any, *boxes: Sequence[float] | None, **more: Any) -> Path:
    """COCO with one annotation for each image."""
    images, annotations = [], []
    for number, box in enumerate(boxes, start=1):
        making.image(Path(f"data/{number}.jpg"), 100, 80, seed=number)
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 100, "height": 80})
        annotations.append({"id": number, "image_id": number, "category_id": 1, **more})
        if box is not None:
            annotations[-1]["bbox"] = list(box)
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    making.write(Path("data/instances_val.json"), document)
    return Path("data")


def results(*boxes: Sequence[float]) -> Path:
    entries = [{"image_id": i, "category_id": 1, "bbox": list(box), "score": 0.5} for i, box in enumerate(boxes, 1)]
    Path("p.json").write_text(json.dumps(entries))
    return Path("p.json")


def figure(result: Result) -> float:
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)["ar"]["10"]
    assert isinstance(value, float)
    return value


def test_proposals_that_are_fractions_of_their_images_are_not_measured(run: Run, making: Any) -> None:
    data = truth(making, BOX, BOX)
    result = run("evaluate", results(FRACTIONS, FRACTIONS), data, "--k", "10")
    assert result.exit_code == 2
    assert "every box lies between 0 and 1, as a fraction of its image: pixels are due" in result.stderr
    assert figure(run("evaluate", results(FRACTIONS, BOX), data, "--k", "10", "--json")) == 0.5
    Path("p.csv").write_text("filename,xmin,ymin,xmax,ymax,score\n1.jpg,.2,.25,.32,.375,.5\n")
    assert "as a fraction of its image" in run("evaluate", "p.csv", data).stderr


def test_validate_and_convert_say_that_boxes_are_fractions(run: Run, making: Any) -> None:
    found, data = results(FRACTIONS, FRACTIONS), truth(making, BOX, BOX)
    judged = run("validate", found, "--data", data)
    assert judged.exit_code == 1
    assert "fractions of the image where pixels are due" in judged.stdout
    converted = run("convert", found, "q.csv")
    assert converted.exit_code == 0
    assert "very box lies between 0 and 1, as a fraction of its image" in converted.stderr


@pytest.mark.parametrize("words", [("evaluate", "p.json", "data"), ("data", "convert", "data", "out", "--to", "yolo")])
def test_ground_truth_in_fractions_is_refused(run: Run, making: Any, words: tuple[str, ...]) -> None:
    truth(making, FRACTIONS, FRACTIONS)
    results(BOX, BOX)
    result = run(*words)
    assert result.exit_code == 2
    assert "data: every box lies between 0 and 1, as a fraction of its image: pixels are due" in result.stderr
    assert not Path("out").exists()


def test_ground_truth_of_voc_in_fractions_is_refused(run: Run, making: Any) -> None:
    making.image(Path("voc/JPEGImages/a.jpg"), 100, 80)
    making.write(Path("voc/Annotations/a.xml"), making.voc_xml("a.jpg", (0.2, 0.25, 0.32, 0.375), size=(100, 80)))
    assert "voc: every box lies between 0 and 1" in run("evaluate", results(BOX), "voc").stderr


def test_objects_that_no_proposal_can_find_are_said(run: Run, making: Any) -> None:
    data = truth(making, BOX, (30, 30, -10, 10), (5, 5, 0, 10), (500, 5, 10, 10))
    result = run("evaluate", results(BOX, BOX, BOX, BOX), data, "--k", "10", "--json", "-q")
    assert figure(result) == 0.25  # as pycocotools has it
    assert "2 have no width or height, or swapped corners and 1 lie outside of their image" in result.stderr
    assert "no proposal can find them, and they count as missed" in result.stderr


def test_outlines_without_a_box_are_objects(run: Run, making: Any) -> None:
    data = truth(making, None, None, segmentation=[[20, 20, 32, 20, 32, 25], [20, 25, 25, 30, 22, 21]])
    result = run("evaluate", results(BOX, BOX), data, "--k", "10", "--json")
    assert figure(result) == 1
    assert "2 annotations have no 'bbox': the boxes around their outlines were taken" in result.stderr


@pytest.mark.parametrize("segmentation", [{"counts": "x", "size": [80, 100]}, [], [[1, 2]], [[1, 2, "x", 4, 5, 6]], 5])
def test_what_has_neither_box_nor_outline_is_counted(run: Run, making: Any, segmentation: object) -> None:
    data = truth(making, BOX, None, segmentation=segmentation)
    result = run("evaluate", results(BOX), data, "--k", "10", "--json")
    assert figure(result) == 1
    assert "1 parts of data could not be read" in result.stderr


def yolo(making: Any, *tails: str) -> Path:
    """Two images, each with the box and what may follow it."""
    for number, tail in enumerate(tails, start=1):
        making.image(Path(f"yolo/images/val/{number}.jpg"), 100, 80, seed=number)
        making.write(Path(f"yolo/labels/val/{number}.txt"), f"0 0.26 0.3125 0.12 0.125{tail}\n")
    making.write(Path("yolo/data.yaml"), "train: images/val\nval: images/val\nnames: [thing]\n")
    return Path("yolo")


@pytest.mark.parametrize("tracks", [(" 0.5 1", " 0.4 1"), (" 0.5 1", " 0.4 12")])
def test_the_number_of_a_track_makes_no_outline(run: Run, making: Any, tracks: tuple[str, str]) -> None:
    data = truth(making, BOX, BOX)
    labels = yolo(making, *tracks)
    proposed = run("evaluate", labels / "labels" / "val", data, "--k", "10", "--json", "--from", "yolo")
    assert figure(proposed) == 1
    assert "left out the numbers of tracks" in proposed.stderr
    assert json.loads(proposed.stdout)["objects"] == 2
    annotated = run("evaluate", results(BOX, BOX), labels, "--k", "10", "--json")
    assert figure(annotated) == 1
    assert "in label lines of 7 columns a score and the number of a track follow the box" in annotated.stderr


def test_objects_of_a_yolo_image_that_is_broken_do_not_vanish_without_a_word(run: Run, making: Any) -> None:
    data = yolo(making, "", "")
    (data / "images" / "val" / "2.jpg").write_bytes(b"no image")
    result = run("evaluate", results(BOX), data, "--k", "10", "--json", "-q")
    assert figure(result) == 1
    assert "1 parts of yolo could not be read" in result.stderr
    checked = run("check", data, "--split", "val")
    assert checked.exit_code == 1
    assert "has boxes as fractions of 2.jpg, which is missing or cannot be read" in checked.stdout.replace("\n", " ")


@pytest.mark.parametrize(
    "words", [("evaluate", "uniform", "data"), ("compare", "data", "--with", "uniform", "--no-keep")]
)
def test_annotations_of_turned_photographs_are_said_where_photographs_are_looked_at(
    run: Run, making: Any, words: tuple[str, ...]
) -> None:
    truth(making, BOX, BOX)
    said = "1 photographs, data/2.jpg among them, have another size than the annotations of data say"
    assert said not in run(*words, "-q").stderr
    making.image(Path("data/2.jpg"), 100, 80, orientation=6)
    result = run(*words, "-q")
    assert result.exit_code == 0
    assert said in result.stderr


def test_a_table_that_names_no_image_is_told_so(run: Run, making: Any) -> None:
    data = truth(making, BOX, BOX)
    Path("p.csv").write_text("x_min,y_min,x_max,y_max,class_id,confidence\n20,20,32,30,0,.5\n")
    result = run("evaluate", "p.csv", data)
    assert result.exit_code == 2
    assert "nothing in the file says which image its boxes are of" in result.stderr


def test_a_data_set_without_objects_has_no_recall_and_it_is_said(run: Run, making: Any) -> None:
    data = truth(making, BOX, iscrowd=1)
    result = run("evaluate", results(BOX), data, "--k", "10", "--json", "-q")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["ar"]["10"] is None
    assert "data, split val has no objects that count: there is no recall to measure" in result.stderr
