"""Perfect boxes under ids and names of every spelling: recall 1, or a refusal in one sentence; never another figure."""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Run = Callable[..., Result]
Id = int | str | float | None
BOXES = [(0, 0, 10, 10), (20, 20, 12, 10), (40, 30, 10, 14), (60, 45, 15, 15), (5, 50, 20, 20)]


def coco(ids: Sequence[Id], names: Sequence[str], path: str = "gt.json", **more: Any) -> Path:
    """Ground truth: the box of each image is that of its place."""
    images = [
        {"id": image_id, "file_name": name, "width": 100, "height": 80}
        for image_id, name in zip(ids, names, strict=True)
    ]
    annotations = [
        {"id": number + 1, "image_id": image_id, "category_id": 1, "bbox": BOXES[number], "area": 100, "iscrowd": 0}
        for number, image_id in enumerate(ids)
    ]
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}], **more}
    Path(path).write_text(json.dumps(document))
    return Path(path)


def voc(making: Any, *stems: str) -> Path:
    """Pascal VOC of 100 x 80; corners there count from 1."""
    for number, stem in enumerate(stems):
        x, y, width, height = BOXES[number]
        making.image(Path(f"voc/JPEGImages/{stem}.jpg"), 100, 80)
        box = (x + 1, y + 1, x + width, y + height)
        making.write(Path(f"voc/Annotations/{stem}.xml"), making.voc_xml(f"{stem}.jpg", box, size=(100, 80)))
    return Path("voc")


def results(rows: Sequence[tuple[Id, int]], path: str = "p.json", names: Sequence[str] | None = None) -> Path:
    """COCO results: id and the place of the box; with names, the table of images that lies beside."""
    entries = [{"image_id": key, "category_id": 1, "bbox": BOXES[place], "score": 0.5} for key, place in rows]
    Path(path).write_text(json.dumps(entries))
    if names is not None:
        table = [
            {"id": key, "file_name": name, "width": 100, "height": 80}
            for (key, _), name in zip(rows, names, strict=True)
        ]
        Path(path).with_suffix(".images.json").write_text(json.dumps(table))
    return Path(path)


def pickled(ids: Sequence[Id], places: Sequence[int], path: str = "p.pkl", key: str = "ids") -> Path:
    """A pickle of Detectron's with plain lists."""
    boxes = [[[x, y, x + width - 1, y + height - 1]] for x, y, width, height in (BOXES[place] for place in places)]
    Path(path).write_bytes(pickle.dumps({"boxes": boxes, "scores": [[0.5]] * len(boxes), key: list(ids)}))
    return Path(path)


def recall(run: Run, found: Path, data: Path, *words: str) -> float | str:
    """AR@10, or the one sentence of the refusal."""
    result = run("evaluate", found, data, "--k", "10", "--draws", "1", "--json", "-q", *words)
    if result.exit_code == 2:
        *notes, said = result.stderr.splitlines()
        assert said.startswith("objectness: ")
        assert not any(note.startswith(("objectness: ", "Traceback")) for note in notes)
        return said
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)["ar"]["10"]
    assert isinstance(value, float)
    return value


THREE = ("a.jpg", "b.jpg", "c.jpg")


@pytest.mark.parametrize(
    ("ids", "names", "rows"),
    [
        pytest.param(["3", "1", "2"], THREE, [(1, 1), (2, 2), (3, 0)], id="text in the ground truth"),
        pytest.param([3, 1, 2], THREE, [("1", 1), ("2", 2), ("3", 0)], id="text in the results"),
        pytest.param([3.0, 1.0, 2.0], THREE, [(1, 1), (2.0, 2), ("3", 0)], id="floats"),
        pytest.param(["w", "u", "v"], THREE, [("u", 1), ("v", 2), ("w", 0)], id="words"),
        pytest.param([2**53 + 1, 2**53, 7], THREE, [(2**53, 1), (2**53 + 1, 0), (7, 2)], id="above 2^53"),
        pytest.param([2**63 + 1, 2**63, 7], THREE, [(2**63, 1), (2**63 + 1, 0), (7, 2)], id="above 2^63"),
        pytest.param([5, "a", 1], THREE, [(1, 2), ("a", 1), (5, 0)], id="numbers and text"),
        pytest.param([7, 8, 9], ("139.jpg", "042.jpg", "785.jpg"), [(42, 1), (139, 0), (785, 2)], id="file numbers"),
        pytest.param([7, 8, 9], THREE, [("b", 1), ("a", 0), ("c", 2)], id="stems"),
        pytest.param([7, 8, 9], THREE, [("b.jpg", 1), ("a.jpg", 0), ("c.jpg", 2)], id="file names as ids"),
        pytest.param(
            [7, 8, 9], ("d/a.jpg", "e/a.jpg", "e/b.jpg"), [("e/a", 1), ("d/a", 0), ("b", 2)], id="paths as ids"
        ),
    ],
)
def test_results_without_names(run: Run, ids: list[Id], names: Sequence[str], rows: list[tuple[Id, int]]) -> None:
    assert recall(run, results(rows), coco(ids, names)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("file_names", "names"),
    [
        pytest.param(
            ("images\\a.jpg", "images\\b.jpg", "images\\c.jpg"), ("p/a.jpg", "p/b.jpg", "p/c.jpg"), id="windows"
        ),
        pytest.param(THREE, ("D:\\p\\a.jpg", "D:\\p\\b.jpg", "D:\\p\\c.jpg"), id="windows in the results"),
        pytest.param(("http://h/a.jpg?s=1", "http://h/b.jpg?s=1", "http://h/c.jpg?s=1"), THREE, id="addresses"),
        pytest.param(("caf\u00e9.jpg", "b.jpg", "c.jpg"), ("cafe\u0301.jpg", "b.jpg", "c.jpg"), id="decomposed"),
        pytest.param(THREE, ("A.JPG", "B.JPG", "C.JPG"), id="upper case"),
        pytest.param(THREE, ("a.png", "b.png", "c.png"), id="converted files"),
        pytest.param(("x/0.jpg", "y/0.jpg", "y/1.jpg"), ("z/x/0.jpg", "z/y/0.jpg", "z/y/1.jpg"), id="folders"),
        pytest.param(("my a.jpg", "b+.jpg", "c.jpg"), ("my%20a.jpg", "b%2B.jpg", "c.jpg"), id="percent signs"),
        pytest.param(THREE, ("0a1b2c3d-a.jpg", "1f2e3d4c-b.jpg", "deadbeef-c.jpg"), id="uploads"),
    ],
)
def test_names_outweigh_running_numbers(run: Run, file_names: Sequence[str], names: Sequence[str]) -> None:
    found = results([(1, 1), (2, 2), (3, 0)], names=[names[1], names[2], names[0]])
    assert recall(run, found, coco([2, 3, 1], file_names)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("ids", "file_names", "rows", "names", "says"),
    [
        pytest.param([1, 2, 3], THREE, [(1, 1), (2, 0)], ("x.jpg", "y.jpg"), "running numbers", id="renamed"),
        pytest.param(
            [1, 2, 3], THREE, [(1, 1), (2, 0)], ("b.jpg", "y.jpg"), "y.jpg, which the data set", id="stranger"
        ),
        pytest.param(
            [1, 2], ("x/0.jpg", "y/0.jpg"), [(2, 0), (1, 1)], ("0.jpg", "0.jpg"), "may be x/0.jpg or", id="twice"
        ),
        pytest.param([1, 2], THREE[:2], [(1, 0), ("1", 1)], None, "both for a.jpg", id="1 and text 1"),
        pytest.param([1, "1"], THREE[:2], [(1.0, 0), ("1.0", 1)], None, "", id="ids that are one number"),
        pytest.param([1, 2], ("8.jpg", "9.jpg"), [(1, 0), (9, 1)], None, "several kinds", id="two kinds"),
        pytest.param([1, 2], THREE[:2], [(1, 0), (5, 1)], None, "image 5, which the data set", id="unknown id"),
        pytest.param(
            [1, 2], ("val/0.jpg", "val/1.jpg"), [(1, 0), (2, 1)], ("train/0.jpg", "train/1.jpg"), "", id="split"
        ),
        pytest.param([1, 2], ("a.jpg", "a.jpg"), [(1, 0)], ("a.jpg",), "", id="listed twice"),
    ],
)
def test_a_doubt_is_refused(
    run: Run,
    ids: list[Id],
    file_names: Sequence[str],
    rows: list[tuple[Id, int]],
    names: Sequence[str] | None,
    says: str,
) -> None:
    said = recall(run, results(rows, names=names), coco(ids, file_names))
    assert isinstance(said, str)
    assert says in said


def test_a_table_with_gaps_and_one_with_text(run: Run) -> None:
    data = coco([3, 1, 2], THREE)
    for spelled in (lambda key: f"{key}.0", str, lambda key: f"{key:03}"):
        with Path("p.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["image_id", "x_min", "y_min", "x_max", "y_max", "score"])
            for key, place in ((2, 2), (3, 0), (1, 1)):
                x, y, width, height = BOXES[place]
                writer.writerow([spelled(key), x, y, x + width, y + height, 0.5])
        assert recall(run, Path("p.csv"), data) == pytest.approx(1)


def test_a_file_name_beside_the_id_decides(run: Run) -> None:
    entries = [
        {"image_id": number, "file_name": name, "category_id": 1, "bbox": BOXES[place], "score": 0.5}
        for number, name, place in ((1, "b.jpg", 1), (2, "c.jpg", 2), (3, "a.jpg", 0))
    ]
    Path("p.json").write_text(json.dumps(entries))
    assert recall(run, Path("p.json"), coco([2, 3, 1], THREE)) == pytest.approx(1)


def test_annotations_that_spell_ids_in_another_way_than_the_images(run: Run) -> None:
    data = coco([3, 1, 2], THREE)
    document = json.loads(data.read_text())
    for entry in document["annotations"]:
        entry["image_id"] = str(entry["image_id"])
    data.write_text(json.dumps(document))
    assert recall(run, results([(3, 0), (1, 1), (2, 2)]), data) == pytest.approx(1)
    assert isinstance(recall(run, results([(3, 0), (1, 1), (2, 1)]), data), float)


@pytest.mark.parametrize("key", ["ids", "indexes"])
def test_voc_goes_by_stems(run: Run, making: Any, key: str) -> None:
    data = voc(making, "000012", "000027", "000005")
    for ids in ([12, 27, 5], ["000012", "000027", "000005"], ["12", "27", "5"]):
        assert recall(run, pickled(ids, [0, 1, 2], key=key), data) == pytest.approx(1)
    # Running numbers of the reader are nobody's ids.
    assert "does not have" in str(recall(run, pickled([1, 2, 3], [2, 0, 1], key=key), data))
    assert "does not have" in str(recall(run, pickled([2, 1], [0, 1], key=key), data))


def test_numbers_that_may_be_stems_or_running_numbers_are_refused(run: Run, making: Any) -> None:
    names = [str(number) for number in range(1, 13)]
    for number, name in enumerate(names):
        making.image(Path(f"voc/JPEGImages/{name}.jpg"), 100, 80)
        box = (number + 1, 1, number + 30, 40)
        making.write(Path(f"voc/Annotations/{name}.xml"), making.voc_xml(f"{name}.jpg", box, size=(100, 80)))
    assert "running numbers" in str(recall(run, pickled(range(1, 13), [0] * 12), Path("voc")))


def test_pickles_for_a_voc_data_set_carry_its_stems(run: Run, making: Any) -> None:
    data = voc(making, "000012", "000027", "000005")
    found = results([(1, 1), (2, 2), (3, 0)], names=("000027.jpg", "000005.jpg", "000012.jpg"))
    for target, ids in (("detectron2", ["000005", "000012", "000027"]), ("detectron1", [5, 12, 27])):
        assert run("convert", found, "box.pkl", "--to", target, "--data", data).exit_code == 0
        from objectness.formats.core.safe_pickle import load_plain

        assert load_plain(Path("box.pkl"))["ids"] == ids
        assert run("validate", "box.pkl", "--from", target, "--data", data).exit_code == 0
        assert recall(run, Path("box.pkl"), data) == pytest.approx(1)


def test_validate_objects_to_ids_that_are_not_those_of_the_data_set(run: Run, making: Any) -> None:
    data = voc(making, "000012", "000027")
    result = run("validate", pickled([12, 27], [0, 1]), "--from", "detectron1", "--data", data)
    assert result.exit_code == 0, result.output
    document = {"boxes": [[[0, 0, 9, 9]]] * 2, "objectness_logits": [[1]] * 2, "bbox_mode": 0}
    for ids, says in (([1, 2], "image of the data set that is missing"), ([12, 27], 'the id 12 where "000012" is due')):
        Path("box.pkl").write_bytes(pickle.dumps({**document, "ids": ids}))
        result = run("validate", "box.pkl", "--data", data)
        assert result.exit_code == 1
        assert says in result.stdout
    found = results([(1, 1), (2, 0)], names=("b.jpg", "a.jpg"))
    result = run("validate", found, "--data", coco([1, 2], THREE[:2]))
    assert result.exit_code == 1
    assert "pycocotools gives its boxes to the image of that id" in result.stdout
    result = run("validate", results([(1, 0), (2, 1)], names=("x.jpg", "y.jpg")), "--data", coco([1, 2], THREE[:2]))
    assert result.exit_code == 1
    assert "images of which it is not clear which they are" in result.stdout


def test_convert_leaves_out_what_would_become_another_image(run: Run) -> None:
    found = results([(1, 0), (2, 1), (3, 2)], names=("a.jpg", "z.jpg", "c.jpg"))
    result = run("convert", found, "out.json", "--to", "coco-results", "--data", coco([3, 2, 1], THREE))
    assert result.exit_code == 0
    assert "1 images, z.jpg among them, are not in gt.json; 1 of them were left out" in result.stderr
    assert {entry["image_id"]: entry["bbox"] for entry in json.loads(Path("out.json").read_text())} == {
        3: list(BOXES[0]),
        1: list(BOXES[2]),
    }
    result = run("convert", results([(1, 0), (2, 1)], names=("p.jpg", "q.jpg")), "out.csv", "--data", "gt.json")
    assert result.exit_code == 2
    assert "it is not clear which image is meant" in result.stderr


def test_text_ids_stay_text_for_their_evaluator(run: Run) -> None:
    data = coco(["cam_7", "cam_9", "3"], THREE)
    found = results([(1, 1), (2, 0), (3, 2)], names=("b.jpg", "a.jpg", "c.jpg"))
    assert run("convert", found, "out.json", "--to", "coco-results", "--data", data).exit_code == 0
    assert [entry["image_id"] for entry in json.loads(Path("out.json").read_text())] == ["cam_7", "cam_9", "3"]
    assert recall(run, Path("out.json"), data) == pytest.approx(1)


def test_images_without_proposals_are_counted_and_said(run: Run) -> None:
    data = coco([1, 2, 3, 4, 5], [f"{name}.jpg" for name in "abcde"])
    found = results([(4, 3), (2, 1)])
    result = run("evaluate", found, data, "--k", "10", "--draws", "1")
    assert "3 of 5 images have no proposals: their objects count as missed" in result.stderr
    result = run("evaluate", found, data, "--k", "10", "--draws", "1", "--json", "-q")
    told = json.loads(result.stdout)
    assert (told["images"], told["images_without_proposals"]) == (5, 3)
    assert told["ar"]["10"] == pytest.approx(2 / 5)


def test_the_table_of_images_beside_proposals_is_taken_for_the_data(run: Run, making: Any) -> None:
    results([(9, 0), (4, 1)], names=("a.jpg", "b.jpg"))
    found = results([(1, 1), (2, 0)], path="q.json", names=("x/b.jpg", "x/a.jpg"))
    assert run("convert", found, "out.json", "--to", "coco-results", "--data", "p.images.json").exit_code == 0
    assert [(entry["image_id"], entry["bbox"]) for entry in json.loads(Path("out.json").read_text())] == [
        (9, list(BOXES[0])),
        (4, list(BOXES[1])),
    ]
    Path("bad.images.json").write_text('[{"id": 1, "file_name": "a.jpg"}, {"id": 2}]')
    result = run("convert", found, "out.csv", "--data", "bad.images.json")
    assert result.exit_code == 2
    assert 'its entry 2 has no "id" and "file_name"' in result.stderr


@pytest.mark.slow
def test_propose_writes_the_ids_of_a_data_set_whatever_they_are(run: Run, making: Any) -> None:
    for name in THREE:
        making.image(Path("photos") / name, 100, 80)
    for ids in ([2**60 + 1, 2**60 + 2, 2**64], ["x", "y", "z"]):
        data = coco(ids, [f"elsewhere\\{name}" for name in THREE])
        result = run("propose", "photos", "--data", data, "--no-pictures", "--out", "out", "--top", "1", "-q")
        assert result.exit_code == 0, result.output
        assert [entry["image_id"] for entry in json.loads(Path("out/proposals.json").read_text())] == ids
        assert isinstance(recall(run, Path("out/proposals.json"), data), float)
    table = "out/proposals.images.json"
    result = run("propose", "photos", "--data", table, "--no-pictures", "--out", "again", "--top", "1", "-q")
    assert result.exit_code == 0, result.output
    assert Path("again/proposals.json").read_text() == Path("out/proposals.json").read_text()


def test_a_voc_filename_without_suffix_in_an_xml_of_another_name(run: Run, making: Any) -> None:
    for number, stem in enumerate(("p", "q")):
        x, y, width, height = BOXES[number]
        making.image(Path(f"voc/JPEGImages/{stem}.png"), 100, 80)
        box = (x + 1, y + 1, x + width, y + height)
        making.write(Path(f"voc/Annotations/{number}.xml"), making.voc_xml(stem, box, size=(100, 80)))
    found = results([(1, 1), (2, 0)], names=("q.png", "p.png"))
    assert recall(run, found, Path("voc")) == pytest.approx(1)


def test_one_id_under_two_names_is_refused(run: Run) -> None:
    data = coco([3, 1, 2], THREE)
    entries = [
        {"image_id": 0, "file_name": name, "category_id": 1, "bbox": BOXES[place], "score": 0.5}
        for place, name in enumerate(THREE)
    ]
    Path("p.json").write_text(json.dumps(entries))
    assert "image 0 is called a.jpg and b.jpg" in str(recall(run, Path("p.json"), data))
    rows = [f"0,{name},{','.join(map(str, BOXES[place]))},0.5" for place, name in enumerate(THREE)]
    Path("p.csv").write_text("\n".join(["image_id,file_name,x1,y1,x2,y2,score", *rows]))
    assert "image 0 is called a.jpg and b.jpg" in str(recall(run, Path("p.csv"), data))


def test_names_in_a_parquet_of_others_decide(run: Run) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    order = (1, 2, 0)
    corners = [[BOXES[p][0], BOXES[p][1], BOXES[p][0] + BOXES[p][2], BOXES[p][1] + BOXES[p][3]] for p in order]
    columns = {name: [float(box[index]) for box in corners] for index, name in enumerate(("x1", "y1", "x2", "y2"))}
    table = {"image_id": [1, 2, 3], "file_name": [THREE[p] for p in order], **columns, "score": [0.5] * 3}
    pq.write_table(pa.table(table), "p.parquet")
    assert recall(run, Path("p.parquet"), coco([2, 3, 1], THREE)) == pytest.approx(1)


def test_a_format_that_makes_names_of_ids_comes_back_by_id(run: Run) -> None:
    data = coco([3, 1, 2], THREE)
    found = results([(3, 0), (1, 1), (2, 2)])
    assert run("convert", found, "out.json", "--to", "coco").exit_code == 0
    assert recall(run, Path("out.json"), data) == pytest.approx(1)
    # Where such a name is also a file of the data set, it is not clear which of the two is meant.
    other = coco([3, 1, 2], ("1.jpg", "2.jpg", "3.jpg"), "other.json")
    assert "or the image of this id" in str(recall(run, Path("out.json"), other))


def test_data_convert_keeps_ids_that_are_text(run: Run, making: Any) -> None:
    for name in THREE:
        making.image(Path("set/images") / name, 100, 80)
    Path("set/annotations").mkdir()
    for ids in (["x", "y", "7"], [2**70, 5, 1]):
        coco(ids, THREE, "set/annotations/instances_val.json")
        assert run("data", "convert", "set", "out", "--to", "coco", "--images", "leave").exit_code == 0
        document = json.loads(Path("out/annotations/instances_val.json").read_text())
        assert [entry["id"] for entry in document["images"]] == ids
        assert [entry["image_id"] for entry in document["annotations"]] == ids
        Path("out/annotations/instances_val.json").unlink()
        Path("out/annotations").rmdir()
    coco([1, "1", 2], THREE, "set/annotations/instances_val.json")
    result = run("data", "convert", "set", "out", "--to", "coco", "--images", "leave")
    assert "3 images were numbered anew, as two of them have one id" in result.stderr
    document = json.loads(Path("out/annotations/instances_val.json").read_text())
    assert [entry["id"] for entry in document["images"]] == [1, 2, 3]
    assert [entry["bbox"] for entry in document["annotations"]] == [list(box) for box in BOXES[:3]]


def test_parts_that_number_their_images_alike_give_no_ids(run: Run, making: Any) -> None:
    for name in THREE:
        making.image(Path("set/images") / name, 100, 80)
    Path("set/annotations").mkdir()
    coco([1, 2], THREE[:2], "set/annotations/instances_train.json")
    data = coco([1], THREE[2:], "set/annotations/instances_val.json")
    found = results([(1, 0), (2, 1), (3, 2)], names=THREE)
    result = run("convert", found, "out.pkl", "--to", "detectron2", "--data", "set")
    assert result.exit_code == 2
    assert "has one id for several images" in result.stderr
    assert run("convert", found, "out.xml", "--data", "set").exit_code == 0  # goes by name
    result = run("propose", "set/images/c.jpg", "--data", "set", "--no-pictures", "--out", "out")
    assert result.exit_code == 2
    assert "has one id for several images" in result.stderr
    result = run("propose", "set/images/c.jpg", "--data", data, "--no-pictures", "--out", "out", "--top", "1")
    assert result.exit_code == 0, result.output
    assert [entry["image_id"] for entry in json.loads(Path("out/proposals.json").read_text())] == [1]


def test_a_photograph_that_the_ground_truth_lists_twice_has_no_id(run: Run, making: Any) -> None:
    making.image(Path("a.jpg"), 100, 80)
    making.image(Path("b.jpg"), 100, 80)
    data = coco([1, 2, 3], ("a.jpg", "a.jpg", "b.jpg"))
    result = run("propose", "a.jpg", "b.jpg", "--data", data, "--no-pictures", "--out", "out", "--top", "1")
    assert result.exit_code == 1
    assert "a.jpg: in the ground truth gt.json 2 images have this name; left out" in result.stderr
    assert {entry["image_id"] for entry in json.loads(Path("out/proposals.json").read_text())} == {3}


def test_what_was_taken_for_an_id_is_said(run: Run) -> None:
    data = coco([7, 8, 9], ("val/COCO_139.jpg", "val/COCO_042.jpg", "val/COCO_785.jpg"))
    result = run("evaluate", results([(42, 1), (139, 0), (785, 2)]), data, "--k", "10", "--draws", "1")
    assert result.exit_code == 0
    assert "but the numbers in the names of its files: images were matched so" in result.stderr
    result = run("evaluate", results([("COCO_042", 1)]), data, "--k", "10", "--draws", "1")
    assert "but the names of its files: images were matched so" in result.stderr


def test_yolo_goes_by_stems_as_its_trainers_write_them(run: Run, making: Any) -> None:
    for number, stem in enumerate(("000000000139", "bus", "a.b")):
        x, y, width, height = BOXES[number]
        making.image(Path(f"yolo/images/{stem}.jpg"), 100, 80)
        line = f"0 {(x + width / 2) / 100} {(y + height / 2) / 80} {width / 100} {height / 80}\n"
        making.write(Path(f"yolo/labels/{stem}.txt"), line)
    assert recall(run, results([("bus", 1), (139, 0), ("a.b", 2)]), Path("yolo")) == pytest.approx(1)
    assert "does not have" in str(recall(run, results([(1, 2), (2, 0), (3, 1)]), Path("yolo")))
    found = results([(1, 2), (2, 0), (3, 1)], names=("a.b.jpg", "000000000139.jpg", "bus.jpg"))
    assert recall(run, found, Path("yolo")) == pytest.approx(1)
    for target in ("detectron2", "coco-results", "mmdet2", "mmdet3", "hosang", "fiftyone"):
        assert run("convert", found, f"out-{target}", "--to", target, "--data", "yolo").exit_code == 0
        assert recall(run, Path(f"out-{target}"), Path("yolo"), "--from", target) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("target", ["mmdet2", "mmdet3", "selective-search", "detectron2", "parquet", "csv"])
def test_ids_that_are_numbers_and_text_stay_apart_through_every_format(run: Run, target: str) -> None:
    if target == "parquet":
        pytest.importorskip("pyarrow")
    data = coco(["3", 1, "x"], THREE)
    found = results([(1, 1), (2, 2), (3, 0)], names=("b.jpg", "c.jpg", "a.jpg"))
    result = run("convert", found, "out", "--to", target, "--data", data)
    assert result.exit_code == 0, result.output
    assert "no proposals" not in result.stderr
    assert recall(run, Path("out"), data, "--from", target) == pytest.approx(1)


def test_labels_of_an_image_called_like_a_list_are_read(run: Run, making: Any) -> None:
    names = ("val.jpg", "classes.jpg", "c.jpg")
    data = coco([3, 1, 2], names)
    found = results([(1, 1), (2, 2), (3, 0)], names=(names[1], names[2], names[0]))
    assert run("convert", found, "out", "--to", "yolo", "--data", data).exit_code == 0
    assert recall(run, Path("out"), data, "--from", "yolo") == pytest.approx(1, abs=1e-6)
