from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from objectness.cli import app
from objectness.engines import Candidates, ModelDescription, RankedBoxes
from objectness.engines.candidates import select
from objectness.formats import coco_results
from objectness.formats.core.image_lookup import complete, index_images
from objectness.formats.core.spec import Coverage
from objectness.inference.proposer import Proposer
from objectness.proposals import Proposals

Run = Callable[..., Result]


@pytest.fixture
def run(run: Run) -> Run:
    """Run ``objectness evaluate`` in an empty folder."""
    return partial(run, "evaluate")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A COCO file of three photographs 64 x 48: two objects in a.png, one in b.png, none in c.png."""
    boxes = [(10, [0, 0, 10, 10]), (10, [20, 20, 40, 25]), (20, [0, 0, 64, 48])]
    document = {
        "images": [
            {"id": image_id, "file_name": f"{name}.png", "width": 64, "height": 48}
            for image_id, name in ((10, "a"), (20, "b"), (30, "c"))
        ],
        "annotations": [
            {
                "id": index,
                "image_id": image_id,
                "category_id": 1,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
            }
            for index, (image_id, box) in enumerate(boxes, start=1)
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in "abc":
        Image.new("RGB", (64, 48)).save(folder / f"{name}.png")
    (folder / "boxes.json").write_text(json.dumps(document))
    return folder / "boxes.json"


def results(path: Path, *rows: tuple[int, list[float], float]) -> Path:
    path.write_text(
        json.dumps(
            [{"image_id": image_id, "category_id": 1, "bbox": box, "score": score} for image_id, box, score in rows]
        )
    )
    return path


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """One object of each photograph, the one of a.png at the second place."""
    return results(
        tmp_path / "found.json",
        (10, [50, 0, 5, 5], 0.9),
        (10, [0, 0, 10, 10], 0.8),
        (20, [0, 0, 64, 48], 0.7),
    )


def document(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed


class TestFile:
    def test_table(self, run: Run, found: Path, data: Path) -> None:
        result = run(found, data, "--k", "1,2")
        assert result.exit_code == 0
        assert "3 images, 3 objects (2 small, 1 medium, 0 large)" in result.stdout
        rows = [line.split() for line in result.stdout.splitlines()]
        assert ["k", "AR", "95", "%", "small", "medium", "large", "R@.5", "R@.7", "R@.9"] in rows
        assert ["1", "0.3333", "[0.000,", "1.000]", "0.0000", "1.0000", "–", *["0.3333"] * 3] in rows
        assert ["2", "0.6667", "[0.500,", "1.000]", "0.5000", "1.0000", "–", *["0.6667"] * 3] in rows
        assert ["0.50", "0.50", "2", "0.7000", "1.0000"] in rows  # two of three objects need two proposals an image
        assert "Measuring on" in result.stderr

    def test_json(self, run: Run, found: Path, data: Path, tmp_path: Path) -> None:
        result = run(found, data, "--json", "--k", "1", "--k", "2,5", "--out", tmp_path / "new" / "report.json")
        got = document(result)
        assert got["ar"] == {"1": pytest.approx(1 / 3), "2": pytest.approx(2 / 3), "5": pytest.approx(2 / 3)}
        assert got["ar_by_size"]["large"] == {"1": None, "2": None, "5": None}
        assert got["recall_at_iou"]["0.75"]["2"] == pytest.approx(2 / 3)
        assert (got["images"], got["objects"], got["split"], got["failed"]) == (3, 3, "all", [])
        assert json.loads((tmp_path / "new" / "report.json").read_text()) == got

    def test_the_usual_ks(self, run: Run, found: Path, data: Path) -> None:
        assert document(run(found, data, "--json"))["ks"] == [1, 10, 100, 300, 1000]

    def test_quiet(self, run: Run, found: Path, data: Path) -> None:
        result = run(found, data, "--json", "--quiet")
        assert result.stderr == ""
        assert document(result)["images"] == 3

    def test_no_proposals_at_all(self, run: Run, data: Path, tmp_path: Path) -> None:
        assert document(run(results(tmp_path / "none.json"), data, "--json", "--k", "10"))["ar"] == {"10": 0.0}

    def test_top_score_and_nms(self, run: Run, data: Path, tmp_path: Path) -> None:
        box = [0, 0, 10, 10]
        file = results(tmp_path / "f.json", (10, [0, 0, 10, 9], 0.9), (10, [20, 20, 40, 25], 0.5), (10, box, 0.1))

        def recall_at_95(*words: object) -> float:
            value = document(run(file, data, "--json", "--k", 3, *words))["recall_at_iou"]["0.95"]["3"]
            assert isinstance(value, float)
            return value * 3

        assert recall_at_95() == pytest.approx(2)
        assert recall_at_95("--top", 2) == pytest.approx(1)
        assert recall_at_95("--score", 0.2) == pytest.approx(1)
        assert recall_at_95("--nms", 0.7) == pytest.approx(1)  # the third overlaps the first by .9
        assert recall_at_95("--nms", 0.95) == pytest.approx(2)
        assert recall_at_95("--nms", 0.7, "--score", 0.6) == pytest.approx(0)

    def test_logits_are_scores_too(self, run: Run, data: Path, tmp_path: Path) -> None:
        file = results(tmp_path / "f.json", (10, [0, 0, 10, 10], -3.5))
        assert document(run(file, data, "--json", "--k", "1"))["ar"]["1"] == pytest.approx(1 / 3)

    def test_proposals_with_running_numbers_find_their_photographs(self, run: Run, data: Path, tmp_path: Path) -> None:
        whole = Proposals([[0, 0, 64, 48]], [0.9], (48, 64), "elsewhere/b.png")
        coco_results.write(tmp_path / "f.json", {10: whole, 1: Proposals([], [], (48, 64), "elsewhere/a.png")})
        assert document(run(tmp_path / "f.json", data, "--json", "--k", "1"))["ar"]["1"] == pytest.approx(1 / 3)

    def test_sizes_that_differ_are_told(self, run: Run, data: Path, tmp_path: Path) -> None:
        coco_results.write(tmp_path / "f.json", {20: Proposals([[0, 0, 32, 24]], [0.9], (24, 32))})
        result = run(tmp_path / "f.json", data, "--quiet")
        assert result.exit_code == 0
        assert "1 images, 20 among them, have another size" in result.stderr

    @pytest.mark.parametrize(
        ("rows", "words", "message"),
        [
            ([(99, [0, 0, 1, 1], 0.5)], (), "proposals for image 99, which the data set does not have"),
            ([(10, [0, 0, 1], 0.5)], (), "entry 1 has the bbox [0, 0, 1]"),
            ([], ("--k", "ten"), "--k is 'ten', but takes whole numbers"),
            ([], ("--k", "0"), "--k is '0'"),
            ([], ("--k", ","), "--k is ','"),
            ([], ("--k", "10,-5"), "--k is '10,-5'"),
            ([], ("--split", "val"), "val"),
        ],
    )
    def test_wrong_use(
        self, run: Run, data: Path, tmp_path: Path, rows: list[Any], words: tuple[str, ...], message: str
    ) -> None:
        result = run(results(tmp_path / "f.json", *rows), data, *words)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.splitlines()[-1].startswith("objectness: ")
        assert message in result.stderr

    def test_missing_files(self, run: Run, found: Path, data: Path) -> None:
        result = run("missing.json", data)
        assert result.exit_code == 2
        assert "missing.json cannot be read" in result.stderr
        result = run(found, "missing")
        assert result.exit_code == 2
        assert "missing does not exist" in result.stderr

    def test_ground_truth_in_place_of_proposals(self, run: Run, data: Path) -> None:
        result = run(data, data)
        assert result.exit_code == 2
        assert "give the results file, not the annotations" in result.stderr


@pytest.mark.parametrize(
    ("splits", "chosen"),
    [(("train", "val", "test"), "val"), (("train", "test"), "test"), (("train",), "all"), ((), "all")],
)
def test_default_split(run: Run, data: Path, tmp_path: Path, splits: tuple[str, ...], chosen: str) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for index, split in enumerate(splits):
        text = json.loads(data.read_text())
        for image in text["images"]:
            image["id"] += 100 * index
        for annotation in text["annotations"]:
            annotation["image_id"] += 100 * index
            annotation["id"] += 100 * index
        (folder / f"instances_{split}.json").write_text(json.dumps(text))
    if not splits:
        folder = data
    result = run(results(tmp_path / "f.json"), folder, "--json")
    assert document(result)["split"] == chosen
    assert document(result)["images"] == 3
    if chosen != "all":
        assert f"split {chosen}: 3 images" in result.stderr


class WholeImage:
    """A network that proposes the whole image, and the same again with a lower score."""

    description = ModelDescription(name="whole", short_side=48, long_side=64, nms_iou=1.0)
    device = "cpu"

    def candidates(self, pixels: np.ndarray) -> Candidates:
        height, width = pixels.shape[:2]
        whole = np.array([[0, 0, width, height]] * 2, dtype=np.float32)
        return Candidates(whole, np.array([0.9, 0.4], dtype=np.float32), np.zeros(2, dtype=np.int64))

    def propose(self, pixels: np.ndarray, **limits: Any) -> RankedBoxes:
        return select(self.candidates(pixels), pixels.shape[:2], **limits)


OWN_SIZE = {"size": None, "thorough": False}


class TestModel:
    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        """How the model was loaded; it is ``WholeImage`` whatever its name."""
        calls: list[dict[str, Any]] = []

        def load(model: str, threads: int | None = None, **settings: Any) -> Proposer:
            calls.append({"model": model, **settings})
            return Proposer(WholeImage(), **{**settings, "thorough": False})  # it has no maps

        monkeypatch.setattr("objectness.evaluation.methods.load", load)
        return calls

    def test_measures_it(self, run: Run, data: Path, asked: list[dict[str, Any]]) -> None:
        got = document(run("default", data, "--json"))
        assert got["ar"] == {k: pytest.approx(1 / 3) for k in ("1", "10", "100", "300", "1000")}
        assert asked == [{"model": "default", "top": 1000, "score": 0.0, "nms": None, **OWN_SIZE}]

    def test_passes_its_settings_on(self, run: Run, data: Path, asked: list[dict[str, Any]]) -> None:
        document(run("runs/mine", data, "--json", "--top", 7, "--score", 0.5, "--nms", 0.6))
        document(run("m.onnx", data, "--json", "--k", "5,2000"))
        assert asked == [
            {"model": "runs/mine", "top": 7, "score": 0.5, "nms": 0.6, **OWN_SIZE},
            {"model": "m.onnx", "top": 2000, "score": 0.0, "nms": None, **OWN_SIZE},
        ]

    def test_size_and_several_sizes_reach_the_model(self, run: Run, data: Path, asked: list[dict[str, Any]]) -> None:
        document(run("default", data, "--json", "--size", 640))
        document(run("default", data, "--json", "--thorough"))
        assert [(one["size"], one["thorough"]) for one in asked] == [(640, False), (None, True)]

    def test_bad_photographs_are_told_and_missed(self, run: Run, data: Path, asked: list[dict[str, Any]]) -> None:
        (data.parent / "a.png").write_bytes(b"not a picture")
        (data.parent / "c.png").unlink()
        result = run("default", data, "--json", "--k", "1", "--quiet")
        assert result.exit_code == 1
        got = json.loads(result.stdout)
        assert got["ar"]["1"] == pytest.approx(1 / 3)
        assert [Path(failure["file"]).name for failure in got["failed"]] == ["a.png", "c.png"]
        assert "a.png" in result.stderr
        assert "2 of 3 images could not be used: their objects count as missed" in result.stderr

    def test_no_photograph_can_be_used(self, run: Run, data: Path, asked: list[dict[str, Any]]) -> None:
        for name in "abc":
            (data.parent / f"{name}.png").unlink()
        result = run("default", data)
        assert result.exit_code == 2
        assert "None of the 3 images could be used" in result.stderr

    @pytest.mark.parametrize(
        ("word", "message"),
        [
            ("model.txt", "model.txt: there is no such model file or run folder"),
            ("selctive-search", "no model and no baseline 'selctive-search': did you mean 'selective-search'?"),
            ("defualt", "did you mean 'default'?"),
            ("edge-boxes", "EdgeBoxes needs the model of its edge detector"),
            ("uniform:x", "uniform needs no model"),
        ],
    )
    def test_unknown_methods(self, run: Run, data: Path, word: str, message: str) -> None:
        result = run(word, data)
        assert result.exit_code == 2
        assert result.stderr.splitlines()[-1].startswith("objectness: ")
        assert message in result.stderr


class TestSeveral:
    def test_side_by_side(self, run: Run, found: Path, data: Path, tmp_path: Path) -> None:
        poor = results(tmp_path / "poor.json", (20, [0, 0, 64, 40], 0.7))
        got = document(run(found, poor, "uniform", data, "--json", "--k", "1,2"))
        assert [method["name"] for method in got["methods"]] == ["found", "poor", "uniform"]
        assert got["methods"][0]["ar"]["2"] == pytest.approx(2 / 3)
        assert got["methods"][1]["ar"]["2"] == pytest.approx(0.7 / 3)  # IoU 40/48
        assert got["at"] == 2
        rows = got["tables"]["differences"]["rows"]
        assert [row[0] for row in rows[::2]] == ["found − poor", "found − uniform", "poor − uniform"]
        assert rows[1][2]["value"] == pytest.approx((2 - 0.7) / 3)

    def test_table(self, run: Run, found: Path, data: Path) -> None:
        result = run(found, found, data, "--k", "2")
        rows = [line.split() for line in result.stdout.splitlines()]
        name = str(found)
        assert [f"{name}", "(1)", "2", "0.6667"] in [row[:4] for row in rows]
        assert [*f"{name} (1) − {name} (2)".split(), "2", "0.0000", "[0.000,", "0.000]", "0.0000"] in [
            row[:10] for row in rows
        ]
        assert "not told apart" in result.stdout

    def test_more_tables(self, run: Run, found: Path, data: Path) -> None:
        assert "Average recall by class" not in run(found, data).stdout
        assert "Average recall by class" in run(found, data, "--show", "by-class").stdout
        assert "What others call AR" in run(found, data, "--show", "all").stdout
        result = run(found, data, "--show", "by-clas")
        assert result.exit_code == 2
        assert "did you mean 'by-class'?" in result.stderr

    def test_seen_and_unseen(self, run: Run, found: Path, data: Path, tmp_path: Path) -> None:
        (tmp_path / "seen.txt").write_text("thing\n\n")
        for words in (("--seen", "thing"), ("--seen", tmp_path / "seen.txt")):
            rows = document(run(found, data, "--json", *words))["tables"]["by-seen-in-training"]["rows"]
            assert [row[1:3] for row in rows] == [["seen", 3], ["unseen", 0]]
        result = run(found, data, "--seen", "think")
        assert result.exit_code == 2
        assert "did you mean 'thing'?" in result.stderr

    def test_recalls(self, run: Run, found: Path, data: Path) -> None:
        rows = document(run(found, data, "--json", "--recall", ".3,.6"))["tables"]["budget"]["rows"]
        assert [row[1:4] for row in rows] == [[0.5, 0.3, 1], [0.5, 0.6, 2], [0.7, 0.3, 1], [0.7, 0.6, 2]]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("--at", "7"), "at is 7, but must be one of the counts of proposals: 1, 10, 100"),
            (("--recall", "90"), "--recall is '90', but takes numbers above 0 and up to 1"),
            (("--recall", "x"), "--recall is 'x'"),
            (("--seen", "none.txt"), "none.txt cannot be read as a list of names"),
        ],
    )
    def test_wrong_use(self, run: Run, found: Path, data: Path, words: tuple[str, ...], message: str) -> None:
        result = run(found, data, *words)
        assert result.exit_code == 2
        assert message in result.stderr

    def test_a_method_without_data(self, run: Run, found: Path) -> None:
        result = run(found)
        assert result.exit_code == 2
        assert "DATA" in result.stderr


class TestReport:
    def test_files(self, run: Run, found: Path, data: Path, tmp_path: Path) -> None:
        result = run(found, "sliding-window", data, "--report", tmp_path / "not" / "there" / "out.html", "--k", "1,2")
        assert result.exit_code == 0, result.output
        folder = tmp_path / "not" / "there"
        assert {"out.html", "out.csv", "out.json", "out.ar-by-number.png"} <= {file.name for file in folder.iterdir()}
        told = json.loads((folder / "out.json").read_text())
        assert [method["name"] for method in told["methods"]] == ["found", "sliding-window"]
        page = (folder / "out.html").read_text()
        assert "data:image/jpeg;base64," in page
        assert "Wrote" in result.stderr

    def test_where_no_file_can_be(self, run: Run, found: Path, data: Path, tmp_path: Path) -> None:
        result = run(found, data, "--report", found / "out.html")
        assert result.exit_code == 2
        assert "cannot be written" in result.stderr

    def test_a_data_set_of_one_image(self, run: Run, found: Path, data: Path, tmp_path: Path) -> None:
        text = json.loads(data.read_text())
        text["images"], text["annotations"] = text["images"][:1], text["annotations"][:2]
        data.write_text(json.dumps(text))
        file = results(tmp_path / "one.json", (10, [0, 0, 10, 10], 0.8))
        result = run(file, data, "--report", "out.html", "--json")
        assert document(result)["tables"]["average-recall"]["rows"][0][2] == {"value": 0.5, "low": None, "high": None}


class TestOtherFormats:
    @pytest.mark.slow
    def test_every_format_gives_the_same_figures(self, run: Run, found: Path, data: Path, tmp_path: Path) -> None:
        from objectness import formats
        from objectness.formats.registry import all_formats

        wanted = document(run(found, data, "--json", "--k", "1,10"))["ar"]
        proposals = formats.read_proposals(found, "coco-results", data=data)
        for entry in all_formats():
            if entry.needs is None or find_spec(entry.needs[0]):
                path = tmp_path / f"as-{entry.name}{entry.suffixes[0] if entry.suffixes else ''}"
                whole = complete(proposals, index_images(data))[0] if entry.coverage is not Coverage.ANY else proposals
                formats.write_proposals(path, whole, entry.name)
                got = document(run(path, data, "--json", "--k", "1,10"))["ar"]
                assert got == pytest.approx(wanted), entry.name

    def test_a_format_that_cannot_be_guessed_is_named(self, run: Run, found: Path, data: Path, tmp_path: Path) -> None:
        empty = tmp_path / "empty.json"
        empty.write_bytes(b"")
        assert "name its format (--from)" in run(empty, data).stderr
        assert "no format 'cvs': did you mean 'csv'?" in run(found, data, "--from", "cvs").stderr
        assert "empty.json is not valid JSON" in run(empty, data, "--from", "coco-results").stderr
        # What can be guessed is: several files need not be of one format.
        assert document(run(found, data, "--json", "--from", "mmdet2"))["objects"] == 3

    def test_ground_truth_is_no_proposals_file(self, run: Run, data: Path) -> None:
        result = run(data, data)
        assert result.exit_code == 2
        assert "boxes.json is ground truth, without scores" in result.stderr

    def test_a_cvat_file_is_told_from_a_model(self, run: Run, data: Path, tmp_path: Path) -> None:
        box = '<box label="object" xtl="0" ytl="0" xbr="64" ybr="48"><attribute name="score">.9</attribute></box>'
        path = tmp_path / "a.xml"
        path.write_text(f'<annotations><image id="0" name="b.png" width="64" height="48">{box}</image></annotations>')
        path.with_suffix(".bin").touch()  # of something else
        assert document(run(path, data, "--json", "--k", "1"))["ar"]["1"] == pytest.approx(1 / 3)

    @pytest.mark.parametrize(("made", "word"), [("", "nowhere"), ("folder", "folder"), ("folder", "folder/")])
    def test_neither_model_nor_proposals(self, run: Run, data: Path, tmp_path: Path, made: str, word: str) -> None:
        if made:
            (tmp_path / made).mkdir()
        result = run(word, data)
        assert result.exit_code == 2
        said = "is neither a training's run folder nor a folder of proposals" if made else "no baseline 'nowhere'"
        assert said in result.stderr
        assert "Traceback" not in result.stderr

    def test_a_hostile_pickle(self, run: Run, data: Path, tmp_path: Path) -> None:
        path = tmp_path / "found.pkl"
        path.write_bytes(b"cos\nsystem\n(S'touch bait'\ntR.")
        result = run(path, data, "--from", "detectron2")
        assert result.exit_code == 2
        assert "nothing in it was executed" in result.stderr
        assert not (tmp_path / "bait").exists()

    def test_another_split(self, run: Run, data: Path, tmp_path: Path) -> None:
        stranger = results(tmp_path / "stranger.json", (20, [0, 0, 9, 9], 0.5), (77, [0, 0, 9, 9], 0.5))
        result = run(stranger, data)
        assert result.exit_code == 2
        assert "proposals for image 77, which the data set does not have" in result.stderr


class TestWhereItWrites:
    @pytest.mark.parametrize(
        "words",
        [
            ("--report", "found.html"),  # found.json beside it is what is measured
            ("--out", "found.json"),
            ("--out", "link.json"),
            ("--report", "photos/boxes.html"),
            ("--out", "photos/boxes.json"),
            ("--out", "photos/train.json"),  # of the data set, though not read
            ("--out", "photos/a.png"),
            ("--report", "notes.html"),  # notes.csv is no report's
            ("--report", "notes.csv"),
            ("--report", "run/results.html"),
            ("--out", "photos"),
            ("--out", "found.json/x"),
        ],
    )
    def test_nothing_that_is_there_is_overwritten(
        self, run: Run, found: Path, data: Path, tmp_path: Path, words: tuple[str, str]
    ) -> None:
        (tmp_path / "notes.csv").write_text("mine")
        (tmp_path / "link.json").symlink_to("found.json")
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "results.csv").write_text("of a training")
        (data.parent / "train.json").write_text(data.read_text())
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        result = run(found, data, *words)
        assert result.exit_code == 2, result.output
        assert words[1].partition(".")[0] in result.stderr
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before

    @pytest.mark.slow
    def test_an_older_report_is_replaced(self, run: Run, found: Path, data: Path) -> None:
        for _ in range(2):
            for words in (("--report", "out.html"), ("--report", data.parent / "out.html"), ("--out", "o.json")):
                assert run(found, data, "--draws", "5", *words).exit_code == 0

    def test_standard_output_may_be_named(self, run: Run, found: Path, data: Path) -> None:
        assert run(found, data, "--draws", "5", "--out", "/dev/null").exit_code == 0
        assert Path("/dev/null").is_char_device()


def test_seen_classes_get_their_table(run: Run, found: Path, data: Path) -> None:
    assert "Average recall by seen in training" in run(found, data, "--seen", "thing").stdout
    assert "Average recall by seen in training" not in run(found, data).stdout


def test_boxes_that_are_not_finite_are_left_out_and_said(tmp_path: Path) -> None:
    image = {"id": 1, "file_name": "a.png", "width": 64, "height": 48}
    boxes = ["[4, 4, 20, 20]", "[NaN, 4, 20, 20]", "[1e999, 0, 5, 5]"]
    rows = [f'{{"id": {i}, "image_id": 1, "category_id": 1, "bbox": {box}}}' for i, box in enumerate(boxes, start=1)]
    (tmp_path / "gt.json").write_text(f'{{"images": [{json.dumps(image)}], "annotations": [{", ".join(rows)}]}}')
    found = [{"image_id": 1, "bbox": [4, 4, 20, 20], "score": 0.9, "category_id": 1}]
    (tmp_path / "found.json").write_text(json.dumps(found))
    words = ["evaluate", str(tmp_path / "found.json"), str(tmp_path / "gt.json"), "--k", "10", "--draws", "1", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["ar"]["10"] == 1
    assert "left out 2 boxes of 1 images that are not made of finite numbers" in result.stderr
