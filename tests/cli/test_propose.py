from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from objectness import loading
from objectness.cli import app
from objectness.engines import Candidates, ModelDescription
from objectness.formats import coco_results

Run = Callable[..., Result]


class Halves:
    """An engine that proposes the whole image (0.25) and its left half (0.5)."""

    description = ModelDescription("halves", short_side=100, long_side=150)

    def candidates(self, pixels: np.ndarray) -> Candidates:
        height, width = pixels.shape[:2]
        boxes = np.float32([[0, 0, width, height], [0, 0, width / 2, height]])
        return Candidates(boxes, np.float32([0.25, 0.5]), np.zeros(2, np.int64))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the command in an empty folder, with the engine above as the model."""
    monkeypatch.setattr(loading, "_open_engine", lambda *_: Halves())
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(app, ["propose", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        return result

    return invoke


def _photo(path: str, size: tuple[int, int] = (90, 60), **options: Any) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "teal").save(path, **options)
    return Path(path)


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_one_photograph(run: Run) -> None:
    _photo("photo.jpg")
    result = run("photo.jpg")
    assert result.exit_code == 0
    assert "photo.jpg   90 x 60           2        0.500" in result.stdout
    assert "Wrote proposals/proposals.json and 1 picture (model halves, scores not calibrated)." in result.stdout
    assert json.loads(Path("proposals/proposals.json").read_text()) == [
        {"image_id": 1, "category_id": 1, "bbox": [0.0, 0.0, 45.0, 60.0], "score": 0.5},
        {"image_id": 1, "category_id": 1, "bbox": [0.0, 0.0, 90.0, 60.0], "score": 0.25},
    ]
    table = json.loads(Path("proposals/proposals.images.json").read_text())
    assert table == [{"id": 1, "file_name": "photo.jpg", "width": 90, "height": 60}]
    drawn = np.asarray(Image.open("proposals/photo.proposals.jpg"))
    assert drawn.shape == (60, 90, 3)
    assert np.abs(drawn[30, 44].astype(int) - [0, 128, 128]).sum() > 100  # the right side of the left half


def test_a_turned_photograph_is_drawn_upright_and_stays_upright(run: Run) -> None:
    _photo("phone.jpg", exif=_exif(6))
    assert run("phone.jpg").exit_code == 0
    drawn = Image.open("proposals/phone.proposals.jpg")
    assert drawn.size == (60, 90)
    assert drawn.getexif().get(0x0112, 1) == 1
    assert coco_results.read("proposals/proposals.json")[1].boxes_xyxy.tolist() == [
        [0, 0, 30, 90],
        [0, 0, 60, 90],
    ]


def test_json_is_one_document_and_nothing_else(run: Run) -> None:
    _photo("a.png")
    Path("b.jpg").write_text("no photograph")
    result = run("a.png", "b.jpg", "--json", "--out", "here")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert 0 < document["images"][0].pop("seconds") < 60
    assert document == {
        "model": "halves",
        "calibrated": False,
        "images": [
            {
                "file": "a.png",
                "image_id": 1,
                "width": 90,
                "height": 60,
                "proposals": 2,
                "best_score": 0.5,
                "picture": str(Path("here/a.proposals.png")),
            }
        ],
        "failed": [
            {
                "file": "b.jpg",
                "error": "b.jpg: is not an image, or is damaged in its first bytes; save it as JPEG or PNG.",
            }
        ],
        "out": "here",
    }
    assert "b.jpg: is not an image" in result.stderr


def test_bad_files_are_reported_and_skipped_and_ids_do_not_shift(run: Run) -> None:
    _photo("photos/1 good.jpg")
    whole = _photo("photos/2 cut.jpg", (300, 300)).read_bytes()
    Path("photos/2 cut.jpg").write_bytes(whole[: len(whole) // 2])
    Path("photos/3 empty.jpg").write_bytes(b"")
    Path("photos/4 text.jpg").write_text("hello")
    _photo("photos/5 ünï 写真 [b].jpg", (1, 1))
    result = run("photos", "missing.jpg", "--quiet")
    assert result.exit_code == 1
    failed = [line for line in result.stderr.splitlines() if line]
    assert [line.split(": ")[1] for line in failed] == [
        str(Path("photos/2 cut.jpg")),
        str(Path("photos/3 empty.jpg")),
        str(Path("photos/4 text.jpg")),
        "missing.jpg",
    ]
    assert re.search(r"5 ünï 写真 \[b\]\.jpg +1 x 1 ", result.stdout)
    assert list(coco_results.read("proposals/proposals.json")) == [1, 5]


def test_two_photographs_of_one_name_get_two_pictures(run: Run) -> None:
    for path, width in (("a/x.jpg", 90), ("b/x.jpg", 80), ("b/x.webp", 70), ("x_2.jpg", 60)):
        _photo(path, (width, 50))
    result = run("a", "b", "x_2.jpg", "--json")
    pictures = [image["picture"] for image in json.loads(result.stdout)["images"]]
    names = ["x.proposals.jpg", "x_2.proposals.jpg", "x_3.proposals.jpg", "x_2_2.proposals.jpg"]
    assert pictures == [str(Path("proposals") / name) for name in names]
    assert [Image.open(picture).width for picture in pictures] == [90, 80, 70, 60]


def test_out_may_be_the_folder_of_the_photographs(run: Run) -> None:
    photos = [_photo("photos/a.jpg"), _photo("photos/b.png"), _photo("photos/a.proposals.jpg", (50, 40))]
    before = [photo.read_bytes() for photo in photos[:2]]
    for _ in range(2):  # the second time, the pictures of the first are no photographs
        document = json.loads(run("photos", "--out", "photos", "--json").stdout)
        assert [Path(image["file"]).name for image in document["images"]] == ["a.jpg", "b.png"]
    assert [photo.read_bytes() for photo in photos[:2]] == before
    named = _photo("photos/c.proposals.jpg", (33, 44))
    kept = named.read_bytes()
    assert run(str(named), _photo("photos/c.jpg").as_posix(), "--out", "photos").exit_code == 0
    assert named.read_bytes() == kept  # c.jpg is drawn under another name, as this one was itself a source


def test_image_ids_of_the_ground_truth(run: Run) -> None:
    for name in ("x.jpg", "y.jpg", "stranger.jpg"):
        _photo(f"photos/{name}")
    images = [
        {"id": 70, "file_name": "y.jpg", "width": 90, "height": 60},
        {"id": 50, "file_name": "x.jpg", "width": 90, "height": 60},
    ]
    truth = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "thing"}]}
    Path("truth.json").write_text(json.dumps(truth))
    result = run("photos", "--data", "truth.json")
    assert result.exit_code == 1
    assert "stranger.jpg: in the ground truth truth.json no image has this name" in result.stderr
    found = coco_results.read("proposals/proposals.json")
    assert {i: Path(proposals.source or "").name for i, proposals in found.items()} == {
        50: "x.jpg",
        70: "y.jpg",
    }
    wrong = run("photos/stranger.jpg", "--data", "truth.json")
    assert wrong.exit_code == 2
    assert "None of the 1 photographs is in the ground truth truth.json" in wrong.stderr


def test_options_reach_the_selection(run: Run) -> None:
    _photo("a.jpg")
    assert json.loads(run("a.jpg", "--json", "--top", "1").stdout)["images"][0]["proposals"] == 1
    assert json.loads(run("a.jpg", "--json", "--nms", "0.4").stdout)["images"][0]["proposals"] == 1
    none = json.loads(run("a.jpg", "--json", "--score", "0.9").stdout)["images"][0]
    assert (none["proposals"], none["best_score"]) == (0, None)
    small = run("a.jpg", "--max-pixels", "5399")
    assert small.exit_code == 1
    assert "90 x 60 = 5400 pixels, more than the limit of 5399" in small.stderr


def test_no_pictures(run: Run) -> None:
    _photo("a.jpg")
    result = run("a.jpg", "--no-pictures")
    assert "Wrote proposals/proposals.json (model halves, scores not calibrated)." in result.stdout
    names = sorted(path.name for path in Path("proposals").iterdir())
    assert names == ["proposals.images.json", "proposals.json"]


def test_fewer_boxes_drawn(run: Run) -> None:
    _photo("a.png")
    run("a.png", "--draw", "1")
    assert np.asarray(Image.open("proposals/a.proposals.png"))[30, 89].tolist() == [0, 128, 128]
    run("a.png", "--draw", "2")
    assert np.asarray(Image.open("proposals/a.proposals.png"))[30, 89].tolist() != [0, 128, 128]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["empty"], "there is no photograph in this folder"),
        (["*.bmp"], "no photograph matches this pattern"),
        (["missing.jpg"], "There is no such file: missing.jpg"),
        (["a.jpg", "--out", "a.jpg"], "--out a.jpg: the folder cannot be made"),
        (["a.jpg", "--data", "nowhere"], "nowhere"),
    ],
)
def test_wrong_use_is_one_sentence(run: Run, arguments: list[str], words: str) -> None:
    _photo("a.jpg")
    Path("empty").mkdir()
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""
    assert not Path("proposals").exists()


def test_numbers_outside_their_range(run: Run) -> None:
    for option, value in (
        ("--top", "0"),
        ("--score", "2"),
        ("--nms", "-1"),
        ("--threads", "0"),
        ("--draw", "0"),
    ):
        assert run("a.jpg", option, value).exit_code == 2


def test_ctrl_c_keeps_what_was_done(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Halves):
        calls = 0

        def candidates(self, pixels: np.ndarray) -> Candidates:
            self.calls += 1
            if self.calls == 3:
                raise KeyboardInterrupt
            return super().candidates(pixels)

    monkeypatch.setattr(loading, "_open_engine", lambda *_: Interrupted())
    for name in "abcd":
        _photo(f"photos/{name}.jpg")
    result = run("photos")
    assert result.exit_code == 130
    assert "Stopped: what was done so far was kept. Wrote proposals/proposals.json and 2 pictures" in result.stdout
    assert list(coco_results.read("proposals/proposals.json")) == [1, 2]


def test_a_defect_of_ours_loses_nothing_either(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Halves):
        def candidates(self, pixels: np.ndarray) -> Candidates:
            if pixels.shape[0] > pixels.shape[1]:
                raise ZeroDivisionError
            return super().candidates(pixels)

    monkeypatch.setattr(loading, "_open_engine", lambda *_: Broken())
    _photo("photos/a.jpg")
    _photo("photos/b.jpg", (10, 20))
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run("photos")
    assert list(coco_results.read("proposals/proposals.json")) == [1]


def test_a_picture_that_cannot_be_written_fails_alone(run: Run) -> None:
    _photo("a.jpg")
    _photo("b.jpg")
    Path("proposals/a.proposals.jpg").mkdir(parents=True)
    result = run("a.jpg", "b.jpg")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert list(coco_results.read("proposals/proposals.json")) == [1, 2]
    assert Path("proposals/b.proposals.jpg").is_file()
