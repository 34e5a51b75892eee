"""Detectors evaluated in one call, from files, values and functions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from objectness.datasets import load_dataset
from objectness.detection_set import DetectionSet
from objectness.detections import Detections
from objectness.errors import InputError
from objectness.evaluation.detection.run import evaluate_detections
from objectness.evaluation.reporter import Reporter
from objectness.formats import write_detections, write_proposals
from objectness.proposals import Proposals

NAMES, IDS = ("cat", "dog", "cow"), (5, 3, 9)
BOXES = {4: ([[0, 0, 20, 20], [20, 0, 38, 28]], (0, 1)), 7: ([[5, 5, 30, 25]], (1,))}


@pytest.fixture
def data(tmp_path: Path, making) -> Path:
    annotations = [
        {
            "id": 10 * image_id + number,
            "image_id": image_id,
            "category_id": IDS[label],
            "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
            "area": 400,
        }
        for image_id, (boxes, labels) in BOXES.items()
        for number, (box, label) in enumerate(zip(boxes, labels, strict=True))
    ]
    images = [{"id": key, "file_name": f"{key}.jpg", "width": 40, "height": 30} for key in BOXES]
    for key in BOXES:
        making.image(tmp_path / "data" / f"{key}.jpg", seed=key)
    categories = [{"id": key, "name": name} for key, name in zip(IDS, NAMES, strict=True)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    making.write(tmp_path / "data" / "instances_val.json", document)
    return tmp_path / "data"


def found(shift: float = 0, names: tuple[str, ...] = NAMES) -> dict[int, Detections]:
    return {
        key: Detections(
            np.array(boxes) + shift, np.linspace(0.9, 0.8, len(boxes)), labels, names, (30, 40), f"{key}.jpg"
        )
        for key, (boxes, labels) in BOXES.items()
    }


def test_a_file_and_a_set_and_a_function(tmp_path: Path, data: Path) -> None:
    write_detections(tmp_path / "mine.json", DetectionSet(found(), NAMES, IDS), "coco-results")
    shades = {key: float(np.asarray(load_pixels(data / f"{key}.jpg")).mean()) for key in BOXES}

    def detector(pixels: np.ndarray) -> Detections:
        return found(2)[min(shades, key=lambda key: abs(shades[key] - float(pixels.mean())))]

    methods = {"file": tmp_path / "mine.json", "set": found(1), "function": detector}
    comparison = evaluate_detections(data, methods, draws=20)
    assert {name: report.ap for name, report in comparison.precision.items()} == {
        "file": 1,
        "set": pytest.approx(comparison.precision["set"].ap),
        "function": pytest.approx(comparison.precision["function"].ap),
    }
    assert 1 > comparison.precision["set"].ap > comparison.precision["function"].ap > 0
    assert [row[0] for row in comparison.tables["differences"].rows] == [
        "file − set",
        "file − function",
        "set − function",
    ]
    assert comparison.words == {"file": str(tmp_path / "mine.json"), "set": "detections", "function": "detector"}
    json.dumps(comparison.to_dict(), allow_nan=False)


def load_pixels(path: Path) -> np.ndarray:
    from objectness.images import open_upright

    return open_upright(path)


def test_one_method_stands_at_the_top(data: Path) -> None:
    document = evaluate_detections(data, found(), draws=5).to_dict()
    assert (document["ap"], document["images"], document["objects"], document["split"]) == (1, 2, 3, "val")
    assert document["ap_by_class"] == {"cat": 1, "dog": 1}
    assert document["confusion"] == [[1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert document["classes"] == list(NAMES)


def test_a_data_set_that_was_read(data: Path) -> None:
    assert evaluate_detections(load_dataset(data), {"mine": found()}, draws=5).precision["mine"].ap == 1


def test_proposals_tell_what_is_lost(data: Path) -> None:
    proposals = {4: Proposals(np.array([[0, 0, 20, 20]]), np.array([0.5]), (30, 40), "4.jpg")}
    comparison = evaluate_detections(data, {"mine": {}}, proposals=proposals, draws=5)
    lost = comparison.tables["lost"]
    assert lost.columns[3:] == ("found", "wrong class", "below the score", "no proposal", "suppressed")
    assert lost.rows[0] == ("mine", "all", 3, 0, 0, 0, 2, 1)
    assert lost.rows[1:] == (("mine", "dog", 2, 0, 0, 0, 2, 0), ("mine", "cat", 1, 0, 0, 0, 0, 1))
    assert comparison.tables["upper-bound"].rows[0] == ("mine", "AP", 0, 0.5, 0.5)
    without = evaluate_detections(data, {"mine": {}}, draws=5).tables
    assert without["lost"].columns[6] == "no box"
    assert "upper-bound" not in without


def test_classes_that_the_data_set_does_not_have_are_said(tmp_path: Path, data: Path) -> None:
    write_detections(tmp_path / "mine.csv", found(names=("cat", "tiger", "cow")))
    said: list[str] = []
    comparison = evaluate_detections(data, tmp_path / "mine.csv", draws=5, reporter=Reporter(warn=said.append))
    assert said == [f"{tmp_path / 'mine.csv'}: left out boxes of the class that {data} does not have (tiger)."]
    assert comparison.precision["mine"].ap_by_class == {"cat": 1, "dog": 0}


def test_proposals_in_the_place_of_detections(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "proposals.json"
    write_proposals(path, {4: found()[4].to_proposals()}, "coco-results")
    path.write_text(path.read_text().replace('"category_id": 1', '"category_id": 5'))
    said: list[str] = []
    evaluate_detections(data, path, draws=5, reporter=Reporter(warn=said.append))
    assert said == [f"{path}: every box is of the class cat. If these are proposals, measure their recall."]


def test_classes_of_a_set_and_of_a_function(data: Path) -> None:
    said: list[str] = []
    reporter = Reporter(warn=said.append)
    evaluate_detections(data, {"mine": found(names=("cat", "tiger", "cow"))}, draws=5, reporter=reporter)
    assert said == [f"mine: left out boxes of the class that {data} does not have (tiger)."]
    strange = found(names=("lion", "tiger", "puma"))[4]
    with pytest.raises(InputError, match=r"mine: .* has none of the classes of its boxes \(lion, tiger\): it has cat"):
        evaluate_detections(data, {"mine": lambda pixels: strange}, draws=5)


def test_a_score(data: Path) -> None:
    rows = evaluate_detections(data, {"mine": found()}, score=0.85, draws=5).tables["score"].rows
    assert rows == (("mine", 0.85, 1, pytest.approx(2 / 3), pytest.approx(0.8)),)
    with pytest.raises(InputError, match="a number from 0 to 1, not 2"):
        evaluate_detections(data, found(), score=2)


def test_a_photograph_that_cannot_be_read(data: Path) -> None:
    (data / "7.jpg").write_bytes(b"no image")
    said: list[str] = []
    comparison = evaluate_detections(
        data, {"mine": lambda pixels: found()[4]}, draws=5, reporter=Reporter(warn=said.append)
    )
    assert list(comparison.failed) == [str(data / "7.jpg")]
    assert comparison.precision["mine"].ar[100] == pytest.approx((1 + 0.5) / 2)
    assert any("7.jpg" in sentence for sentence in said)
    (data / "4.jpg").write_bytes(b"no image")
    with pytest.raises(InputError, match="None of the 2 images could be used"):
        evaluate_detections(data, {"mine": lambda pixels: found()[4]}, draws=5, reporter=Reporter(warn=said.append))


def test_what_is_no_detector(tmp_path: Path, data: Path, making) -> None:
    with pytest.raises(InputError, match="nothing to measure"):
        evaluate_detections(data, [])
    with pytest.raises(InputError, match=r"not a int"):
        evaluate_detections(data, [3])
    with pytest.raises(InputError, match="is ground truth, without scores"):
        evaluate_detections(data, data / "instances_val.json")
    with pytest.raises(InputError, match="No such file or folder"):
        evaluate_detections(data, tmp_path / "none.json")
    rows = making.write(tmp_path / "plain.csv", "path,x1,y1,x2,y2,score\n4.jpg,1,2,3,4,.5\n")
    with pytest.raises(InputError, match="has no class: it is a proposal"):
        evaluate_detections(data, rows)
    with pytest.raises(InputError, match="no format 'cocoo': did you mean"):
        evaluate_detections(data, rows, source_format="cocoo")
    with pytest.raises(InputError, match="which the data set does not have"):
        evaluate_detections(data, {"mine": {99: replace(found()[4], source="other.jpg")}})


def test_report(tmp_path: Path, data: Path) -> None:
    wrong = found(30) | {7: found()[7]}
    comparison = evaluate_detections(data, {"mine": found(), "<theirs>": wrong}, score=0, draws=5)
    files = comparison.write_report(tmp_path / "out" / "page.html", photographs=4)
    assert [file.name for file in files] == [
        "page.html",
        "page.csv",
        "page.json",
        "page.precision-by-recall.png",
        "page.classes-1-1.png",
        "page.classes-2-1.png",
    ]
    page = files[0].read_text()
    assert "<title>Detections: mine, &lt;theirs&gt;</title>" in page
    assert "<theirs>" not in page
    assert page.count('<article class="card">') == 1  # no mistake of the first, one photograph of the second
    assert "cat, not found" in page
    assert "2 missed, 2 wrong" in page
    assert "data:image/jpeg;base64," in page
    curves = json.loads(files[2].read_text())["curves"]
    assert curves["classes-1-1"]["lines"][0]["name"] == "dog (2)"
    assert curves["classes-1-1"]["lines"][0]["y"] == [1.0] * 101
    assert 'by-class,mine,"class cat, objects 1",AP,1.0' in files[1].read_text()


def test_report_of_nothing(tmp_path: Path, making) -> None:
    making.image(tmp_path / "data" / "a.jpg")
    document = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []}
    making.write(tmp_path / "data" / "instances_val.json", document)
    comparison = evaluate_detections(tmp_path / "data", {"mine": {}}, draws=5, reporter=Reporter(warn=lambda _: None))
    files = comparison.write_report(tmp_path / "page.html")
    assert [file.name for file in files] == ["page.html", "page.csv", "page.json"]
    assert "There is no mistake" in files[0].read_text()
