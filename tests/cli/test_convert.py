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

from objectness import formats
from objectness.formats import coco_results, read_proposals
from objectness.proposals import Proposals

Run = Callable[..., Result]


@pytest.fixture
def run(run: Run, tmp_path: Path) -> Run:
    """Run ``objectness convert`` in a folder with ``found.json`` (two photographs) and ``DATA`` (three)."""
    photos = tmp_path / "DATA" / "val"
    photos.mkdir(parents=True)
    rows = []
    for image_id, name in ((30, "c"), (10, "a"), (20, "b")):
        Image.new("RGB", (64, 48)).save(photos / f"{name}.png")
        rows.append({"id": image_id, "file_name": f"{name}.png", "width": 64, "height": 48})
    (tmp_path / "DATA" / "instances_val.json").write_text(
        json.dumps({"images": rows, "annotations": [], "categories": []})
    )
    found = {
        1: Proposals([[0, 0, 10, 10], [5, 5, 20, 20]], [0.9, 0.5], (48, 64), "photos/a.png"),
        2: Proposals([[1, 1, 2, 2]], [0.7], (48, 64), "photos/b.png"),
    }
    coco_results.write("found.json", found)
    return partial(run, "convert")


def test_by_suffix(run: Run) -> None:
    result = run("found.json", "found.csv")
    assert result.exit_code == 0, result.output
    assert result.stdout == "Wrote found.csv: 3 proposals of 2 images, from COCO results to CSV.\n"
    assert result.stderr == ""
    assert formats.read_proposals("found.csv")[1].boxes_xyxy.tolist() == [[0, 0, 10, 10], [5, 5, 20, 20]]


def test_the_data_gives_ids_order_and_the_images_without_proposals(run: Run) -> None:
    result = run("found.json", "box.pkl", "--to", "detectron2", "--data", "DATA")
    assert result.exit_code == 0, result.output
    assert "1 images of DATA have no proposals: they are written as empty." in result.stderr
    assert "Detectron2 pickle cannot hold 3 file names and 3 image sizes." in result.stderr
    document = pickle.loads(Path("box.pkl").read_bytes())
    assert document["ids"] == [30, 10, 20]
    assert [len(boxes) for boxes in document["boxes"]] == [0, 2, 1]


def test_a_list_without_names_and_back(run: Run) -> None:
    assert run("found.json", "box.pkl", "--to", "mmdet2", "--data", "DATA", "--split", "val").exit_code == 0
    result = run("box.pkl", "back.csv")
    assert result.exit_code == 2
    assert result.stderr.startswith("objectness: box.pkl: it lists the boxes of 3 images and names none; give the data")
    assert run("box.pkl", "back.csv", "--data", "DATA").exit_code == 0
    back = formats.read_proposals("back.csv")
    assert list(back) == [30, 10, 20]
    assert back[10].scores.tolist() == [np.float32(0.9), 0.5]


def test_images_that_the_data_does_not_have(run: Run) -> None:
    found = dict(read_proposals("found.json", "coco-results"))
    coco_results.write("found.json", {**found, 9: Proposals([[0, 0, 1, 1]], [0.5], (48, 64), "z.png")})
    result = run("found.json", "box.pkl", "--to", "mmdet3", "--data", "DATA")
    assert "1 images that DATA does not have are left out, as MMDetection 3 pickle goes by it." in result.stderr
    assert list(pickle.loads(Path("box.pkl").read_bytes())) == ["val/c.png", "val/a.png", "val/b.png"]
    result = run("found.json", "out.csv", "--data", "DATA")
    assert "1 images, z.png among them, are not in DATA." in result.stderr
    assert list(formats.read_proposals("out.csv")) == [10, 20, 9]


def test_running_numbers_are_told(run: Run) -> None:
    run("found.json", "box.xml")
    result = run("box.xml", "out.csv")
    assert (
        "CVAT for images 1.1 has no image ids: images are numbered from 1; a data set gives its own (--data)."
        in result.stderr
    )


def test_yolo_with_and_without_scores(run: Run) -> None:
    assert run("found.json", "out", "--to", "yolo").exit_code == 0
    assert len(Path("out/labels/b.txt").read_text().split()) == 6
    result = run("found.json", "out", "--to", "yolo", "--no-scores")
    assert "3 scores were left out, as asked." in result.stderr
    assert len(Path("out/labels/b.txt").read_text().split()) == 5
    result = run("out", "back.csv", "--images", "DATA/val")
    assert result.exit_code == 0, result.output
    assert "The file has no scores: its order stands for them." in result.stderr


def test_top_and_json(run: Run) -> None:
    result = run("found.json", "out.geojson", "--top", 1, "--json")
    assert json.loads(result.stdout) == {
        **{"in": "found.json", "from": "coco-results", "out": "out.geojson", "to": "geojson"},
        **{"images": 2, "proposals": 2, "notes": [], "lost": []},
    }
    assert run("found.json", "out.geojson", "--quiet").stdout == ""


def test_repair(run: Run) -> None:
    entry: dict[str, Any] = {"image_id": 1, "category_id": 1, "bbox": [0, 0, -1, 1], "score": 0.5}
    Path("bad.json").write_text(json.dumps([entry, {**entry, "bbox": [0, 0, 1, 1]}]))
    result = run("bad.json", "out.csv")
    assert result.exit_code == 2
    assert "entry 1 of image 1 has the box [0, 0, -1, 1] with a negative side" in result.stderr
    result = run("bad.json", "out.csv", "--repair")
    assert result.exit_code == 0
    assert "Left out 1 proposals that have no finite box" in result.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["missing.json", "a.csv"], "missing.json cannot be read: No such file"),
        (["found.json", "a.json"], "may become coco-results (COCO results), coco (COCO data set)"),
        (["found.json", "a.csv", "--to", "cvs"], "no format 'cvs': did you mean 'csv'?"),
        (["found.json", "a.csv", "--data", "DATA", "--images", "DATA"], "not both"),
        (["found.json", "a.csv", "--data", "DATA", "--split", "tset"], "has no split 'tset'"),
        (["found.json", "a.csv", "--images", "nowhere"], "nowhere is no folder"),
        (["found.json", "a.csv", "--from", "parquet"], "is no Parquet file that can be read"),
    ],
)
def test_wrong_use(run: Run, words: list[str], says: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not Path("a.csv").exists()


def test_the_help_names_every_format(run: Run) -> None:
    from objectness.formats.registry import NAMES

    words = " ".join(run("--help").stdout.split())
    assert f"Formats: {', '.join(NAMES)}." in words


@pytest.mark.parametrize(
    "words",
    [
        ("found.json", "found.json", "--to", "coco"),
        ("found.json", "./DATA/../found.json", "--to", "huggingface"),
        ("found.json", "found.images.json", "--to", "coco"),  # its table of images
        ("found.images.json", "found.json", "--from", "huggingface", "--to", "coco-results"),
        ("found.json", "DATA/instances_val.json", "--to", "coco", "--data", "DATA"),
        ("x.images.csv", "x.csv"),  # what is written beside OUT
    ],
)
def test_no_output_lands_on_an_input(run: Run, words: tuple[str, ...]) -> None:
    Path("x.images.csv").write_text("image_id,x1,y1,x2,y2\n1,0,0,1,1\n")
    if words[0] == "found.images.json":
        Path(words[0]).write_text(json.dumps([{"image_id": 1, "objects": []}]))
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert "overwritten" in result.stderr
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_labels_of_a_data_set_are_not_replaced(run: Run) -> None:
    labels = Path("YOLO") / "labels" / "a.txt"
    labels.parent.mkdir(parents=True)
    labels.write_text("3 .5 .5 .5 .5\n")
    (Path("YOLO") / "data.yaml").write_text("train: images\nnames: {3: cell}\n")
    result = run("found.json", "YOLO", "--to", "yolo")
    assert result.exit_code == 2
    assert "was not written here" in result.stderr
    assert labels.read_text() == "3 .5 .5 .5 .5\n"


def test_a_name_that_leads_outside_stays_inside(run: Run) -> None:
    found = {1: Proposals([[0, 0, 9, 9]], [0.5], (48, 64), "../../victim.jpg")}
    formats.write_proposals("evil.json", found, "coco")
    assert run("evil.json", "one/two/OUT", "--to", "yolo").exit_code == 0
    assert Path("one/two/OUT/labels/victim.txt").is_file()
    assert not list(Path().glob("**/victim.txt"))[1:]


def test_classes_are_kept_when_asked_for(run: Run, tmp_path: Path) -> None:
    document = json.loads((tmp_path / "DATA" / "instances_val.json").read_text())
    document["categories"] = [{"id": 18, "name": "dog"}, {"id": 1, "name": "cat"}]
    (tmp_path / "DATA" / "instances_val.json").write_text(json.dumps(document))
    entries = [
        {"image_id": 20, "category_id": 1, "bbox": [0, 0, 32, 24], "score": 0.5},
        {"image_id": 10, "category_id": 18, "bbox": [0, 0, 32, 24], "score": 0.25},
        {"image_id": 10, "category_id": 7, "bbox": [0, 0, 32, 24], "score": 0.75},
    ]
    (tmp_path / "named.json").write_text(json.dumps(entries))
    result = run("named.json", "out", "--to", "yolo", "--classes", "--data", "DATA", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert (document["images"], document["detections"]) == (2, 2)
    assert document["notes"] == ["left out boxes of the class that DATA does not have (category_id 7)"]
    assert (tmp_path / "out" / "labels" / "a.txt").read_text() == "0 0.25 0.25 0.5 0.5 0.25\n"
    assert (tmp_path / "out" / "labels" / "b.txt").read_text() == "1 0.25 0.25 0.5 0.5 0.5\n"
    assert '0: "dog"' in (tmp_path / "out" / "data.yaml").read_text()
    back = run("out", "back.json", "--to", "coco-results", "--classes", "--data", "DATA", "--top", "1")
    assert "Wrote back.json: 2 detections of" in back.stdout
    assert {entry["category_id"] for entry in json.loads((tmp_path / "back.json").read_text())} == {1, 18}


def test_classes_where_there_are_none(run: Run) -> None:
    assert (
        "holds no classes; these formats do: parquet"
        in run("found.json", "x.pkl", "--to", "mmdet2", "--classes").stderr
    )
    assert "give one" in run("found.json", "out", "--to", "yolo", "--classes", "--no-scores").stderr
