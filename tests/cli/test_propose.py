from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from objectness.engines import Candidates, ModelDescription, RankedBoxes
from objectness.engines.candidates import select
from objectness.formats import read_proposals
from objectness.inference import loading
from objectness.proposals import Proposals

Run = Callable[..., Result]


class Halves:
    """An engine that proposes the whole image (0.25) and its left half (0.5)."""

    description = ModelDescription("halves", short_side=100, long_side=150)
    device = "cpu"

    def candidates(self, pixels: np.ndarray) -> Candidates:
        height, width = pixels.shape[:2]
        boxes = np.float32([[0, 0, width, height], [0, 0, width / 2, height]])
        return Candidates(boxes, np.float32([0.25, 0.5]), np.zeros(2, np.int64))

    def propose(self, pixels: np.ndarray, **limits: Any) -> RankedBoxes:
        return select(self.candidates(pixels), pixels.shape[:2], **limits)


@pytest.fixture
def run(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in an empty folder, with the engine above as the model."""
    monkeypatch.setattr(loading, "_open_engine", lambda *_: Halves())
    return partial(run, "propose")


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
    assert read_proposals("proposals/proposals.json", "coco-results")[1].boxes_xyxy.tolist() == [
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
        "device": "cpu",
        "images": [
            {
                "file": "a.png",
                "image_id": 1,
                "width": 90,
                "height": 60,
                "proposals": 2,
                "best_score": 0.5,
                "frames": 1,
                "tiling": None,
                "missing": [],
                "picture": str(Path("here/a.proposals.png")),
                "details": [],
                "geojson": None,
                "boxes": [[0, 0, 45, 60], [0, 0, 90, 60]],
                "scores": [0.5, 0.25],
            }
        ],
        "failed": [
            {
                "file": "b.jpg",
                "error": "b.jpg: is not an image of a format that is read (AVIF BMP GIF JPEG JPEG2000 PNG PPM TGA "
                "TIFF WEBP), or is damaged in its first bytes; save it as JPEG or PNG.",
            }
        ],
        "passed_over": {},
        "out": "here",
        "results": str(Path("here/proposals.json")),
        "older_pictures": 0,
        "unfinished": [],
    }
    assert "b.jpg: is not an image" in result.stderr


def test_bad_files_are_reported_and_skipped_and_ids_do_not_shift(run: Run) -> None:
    _photo("photos/1 good.jpg")
    whole = _photo("photos/2 cut.jpg", (300, 300)).read_bytes()
    Path("photos/2 cut.jpg").write_bytes(whole[: len(whole) // 2])
    Path("photos/3 empty.jpg").write_bytes(b"")
    Path("photos/4 text.jpg").write_text("hello")
    _photo("photos/5 ünï 写真 [b].jpg", (1, 1))
    result = run("photos", "missing.jpg")
    assert result.exit_code == 1
    failed = [line for line in result.stderr.splitlines() if line]
    assert [line.split(": ")[1] for line in failed] == [
        str(Path("photos/2 cut.jpg")),
        str(Path("photos/3 empty.jpg")),
        str(Path("photos/4 text.jpg")),
        "missing.jpg",
    ]
    assert re.search(r"5 ünï 写真 \[b\]\.jpg +1 x 1 ", result.stdout)
    assert list(read_proposals("proposals/proposals.json", "coco-results")) == [1, 5]


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
    found = read_proposals("proposals/proposals.json", "coco-results")
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


def test_json_without_pictures_needs_no_folder(run: Run, tmp_path: Path) -> None:
    _photo("photos/a.jpg")
    _photo("photos/b.jpg", (30, 20))
    (tmp_path / "photos").chmod(0o555)
    result = run("photos", "--json", "--no-pictures")
    document = json.loads(result.stdout)
    assert [image["boxes"][0] for image in document["images"]] == [[0, 0, 45, 60], [0, 0, 15, 20]]
    assert (document["out"], document["results"]) == (None, None)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
    assert json.loads(run("photos", "--json", "--no-pictures", "--out", "o").stdout)["results"] == "o/proposals.json"
    assert list(read_proposals("o/proposals.json", "coco-results")) == [1, 2]


def test_the_document_and_the_file_hold_the_same_boxes(run: Run) -> None:
    _photo("a.jpg", (77, 51))
    (image,) = json.loads(run("a.jpg", "--json").stdout)["images"]
    (found,) = read_proposals("proposals/proposals.json", "coco-results").values()
    assert np.abs(np.array(image["boxes"]) - found.boxes_xyxy).max() < 0.011
    assert np.float32(image["scores"]).tolist() == found.scores.tolist()


def test_quiet_prints_nothing_where_files_are_the_result(run: Run) -> None:
    _photo("a.jpg")
    result = run("a.jpg", "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert json.loads(run("a.jpg", "--quiet", "--json").stdout)["images"][0]["proposals"] == 2


def test_a_narrow_terminal_keeps_every_column(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    _photo("a rather long name of a photograph.jpg", (4000, 3000))
    printed = run("a rather long name of a photograph.jpg").stdout
    row = next(line for line in printed.splitlines() if "4000 x 3000" in line)
    assert row.split()[:2] == ["a", "rather"]
    assert row.split()[-2] == "0.500"


def test_a_run_in_which_nothing_could_be_read_replaces_nothing(run: Run) -> None:
    _photo("good.jpg")
    Path("bad.jpg").write_text("no photograph")
    run("good.jpg")
    before = Path("proposals/proposals.json").read_bytes()
    result = run("bad.jpg")
    assert result.exit_code == 1
    assert "No photo could be used: nothing was written. 1 failed." in result.stdout
    assert "proposals.json is still that of an earlier run, for 1 photo." in result.stdout
    assert Path("proposals/proposals.json").read_bytes() == before
    assert len(list(Path("proposals").iterdir())) == 3


def test_results_for_more_photographs_are_replaced_with_a_word(run: Run) -> None:
    for name in "abc":
        _photo(f"photos/{name}.jpg")
    assert "earlier" not in run("photos").stdout
    assert "earlier" not in run("photos").stdout
    result = run("photos/a.jpg")
    assert "It replaced that of an earlier run, which was for 3 photos." in result.stdout
    assert "2 pictures of an earlier run lie there too." in result.stdout
    assert list(read_proposals("proposals/proposals.json", "coco-results")) == [1]
    assert json.loads(run("photos/a.jpg", "--json").stdout)["older_pictures"] == 2


def test_a_score_that_is_no_number_loses_nothing_else(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from objectness.inference import proposer

    usual = proposer.to_photograph

    def broken(ranked: RankedBoxes, **options: Any) -> Proposals:
        found = usual(ranked, **options)
        if found.size_hw[0] > found.size_hw[1]:
            found = Proposals(found.boxes_xyxy, np.float32([np.inf, 0.5]), found.size_hw, found.source)
        return found

    monkeypatch.setattr(proposer, "to_photograph", broken)
    _photo("photos/a.jpg")
    _photo("photos/b.jpg", (60, 90))
    result = run("photos")
    assert result.exit_code == 1
    assert "b.jpg: the model gave 1 of 2 proposals a box or score that is no finite number" in result.stderr
    found = read_proposals("proposals/proposals.json", "coco-results")
    assert {i: len(proposals) for i, proposals in found.items()} == {1: 2, 2: 1}


def test_no_picture_and_no_result_lands_on_a_photograph_or_the_model(run: Run) -> None:
    _photo("a.jpg")
    Path("proposals").mkdir()
    photo = _photo("proposals/proposals.json", format="PNG")  # a photograph, whatever its name
    before = photo.read_bytes()
    result = run("a.jpg", str(photo))
    assert result.exit_code == 2
    assert "proposals.json is an input and would be overwritten" in result.stderr
    assert photo.read_bytes() == before


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
    assert list(read_proposals("proposals/proposals.json", "coco-results")) == [1, 2]


def test_a_stopped_run_does_not_replace_results_for_more_photographs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(Halves):
        def candidates(self, pixels: np.ndarray) -> Candidates:
            if pixels.shape[0] > pixels.shape[1]:
                raise KeyboardInterrupt
            return super().candidates(pixels)

    _photo("photos/a.jpg")
    _photo("photos/b.jpg", (60, 90))
    run("photos")
    before = Path("proposals/proposals.json").read_bytes()
    monkeypatch.setattr(loading, "_open_engine", lambda *_: Interrupted())
    for number in ("", "-2"):
        result = run("photos")
        assert result.exit_code == 130
        assert f"Wrote proposals/proposals.partial{number}.json and 1 picture" in result.stdout
        assert "proposals/proposals.json is still that of an earlier run, for 2 photos." in result.stdout
        assert list(read_proposals(f"proposals/proposals.partial{number}.json", "coco-results")) == [1]
    assert Path("proposals/proposals.json").read_bytes() == before


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
    assert list(read_proposals("proposals/proposals.json", "coco-results")) == [1]


def test_a_picture_that_cannot_be_written_fails_alone(run: Run) -> None:
    _photo("a.jpg")
    _photo("b.jpg")
    Path("proposals/a.proposals.jpg").mkdir(parents=True)
    result = run("a.jpg", "b.jpg")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
    assert list(read_proposals("proposals/proposals.json", "coco-results")) == [1, 2]
    assert Path("proposals/b.proposals.jpg").is_file()


def test_what_lies_in_a_folder_and_is_not_taken_is_said(run: Run) -> None:
    _photo("in/a.png")
    for name in ("film.mp4", "other.mp4", "notes.docx"):
        Path("in", name).write_text("x")
    assert "Not taken: 2 .mp4, 1 .docx." in run("in", "--out", "here").stdout
    document = json.loads(run("in", "--json", "--out", "here").stdout)
    assert document["passed_over"] == {".docx": 1, ".mp4": 2}


def test_frames_that_are_not_taken_are_said(run: Run) -> None:
    frames = [Image.new("RGB", (90, 60), colour) for colour in ("red", "lime", "blue")]
    frames[0].save("a.tif", save_all=True, append_images=frames[1:])
    result = run("a.tif", "--json", "--out", "here")
    assert json.loads(result.stdout)["images"][0]["frames"] == 3
    assert "a.tif: holds 3 frames or pages; the first was taken." in result.stderr


def test_an_address_fails_alone_and_a_photograph_beside_it_is_taken(run: Run) -> None:
    _photo("a.png")
    result = run("https://example.com/a.jpg", "half \ud800.jpg", "nul\0.jpg", "a.png", "--json", "--out", "here")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert [row["file"] for row in document["images"]] == ["a.png"]
    errors = [row["error"] for row in document["failed"]]
    assert errors[0].startswith("https://example.com/a.jpg: is an address")
    assert len(errors) == 3
    assert all("no file can have this name" in error for error in errors[1:])


@pytest.mark.slow
def test_odd_metadata_prints_no_warning_of_a_library(
    making: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own: pytest has its own way with warnings."""
    monkeypatch.chdir(tmp_path)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0"  # says that there are five entries, and breaks off
    Path("images").mkdir()
    for number in range(2):
        Image.new("RGB", (60, 40), (90 * number, 9, 9)).save(f"images/{number}.jpg", exif=exif)
        making.write(Path(f"labels/{number}.txt"), "0 .5 .5 .4 .4\n")
    making.write(Path("data.yaml"), "path: .\ntrain: images\nnames: [a]\n")
    command = [sys.executable, "-m", "objectness", "evaluate", "uniform", ".", "--draws", "2", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.parametrize("stem", ["x" * 251, "é" * 125])
def test_photographs_with_the_longest_names_get_a_picture_each(run: Run, stem: str) -> None:
    _photo(f"{stem}.jpg")
    _photo(f"{stem[:-1]}y.jpg")
    result = run(".", "--json")
    assert result.exit_code == 0
    pictures = [Path(image["picture"]) for image in json.loads(result.stdout)["images"]]
    assert len(set(pictures)) == 2
    assert all(picture.is_file() and picture.name.startswith(stem[:100]) for picture in pictures)


def test_what_a_killed_run_left_is_named(run: Run) -> None:
    _photo("a.png")
    run("a.png", "--out", "out")
    Path("out/proposals.json").rename("out/proposals.partial.json")
    Path("out/proposals.images.json").rename("out/proposals.partial.images.json")
    result = run("a.png", "--out", "out")
    left = str(Path("out/proposals.partial.json"))
    assert f"{left} holds what a run found that was killed, failed or still goes on." in result.stdout
    assert json.loads(run("a.png", "--out", "out", "--json").stdout)["unfinished"] == [left]
    assert json.loads(run("a.png", "--out", "new", "--json").stdout)["unfinished"] == []
