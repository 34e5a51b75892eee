"""What CVAT and Label Studio draw besides upright rectangles, and sizes and scores that are written as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectness import formats
from objectness.datasets.outlines import around_ellipse, around_rotated
from objectness.errors import InputError
from objectness.formats import coco_dataset, geojson, huggingface, label_studio, read_proposals

BOX = 'xtl="10" ytl="20" xbr="30" ybr="30"'


def video(*tracks: str, meta: str = "") -> str:
    body = "".join(f'<track id="{number}" label="thing">{boxes}</track>' for number, boxes in enumerate(tracks))
    return f"<annotations><version>1.1</version>{meta}{body}</annotations>"


def box(frame: Any, left: float, outside: int = 0, more: str = "") -> str:
    return (
        f'<box frame="{frame}" outside="{outside}" occluded="0" keyframe="1" xtl="{left}" ytl="2" '
        f'xbr="{left + 10}" ybr="12" {more}></box>'
    )


def read_cvat(folder: Path, text: str) -> Any:
    (folder / "a.xml").write_text(text)
    return formats.read_proposals(folder / "a.xml")


class TestCvatVideo:
    def test_each_frame_is_an_image_and_outside_is_no_box(self, tmp_path: Path) -> None:
        got = read_cvat(tmp_path, video(box(0, 0) + box(1, 1) + box(2, 2, 1)))
        assert [image.source for image in got.values()] == ["frame_000000", "frame_000001", "frame_000002"]
        assert [image.boxes_xyxy.tolist() for image in got.values()] == [[[0, 2, 10, 12]], [[1, 2, 11, 12]], []]

    def test_tracks_of_one_frame_come_together_in_the_order_of_frames(self, tmp_path: Path) -> None:
        size = "<original_size><width>64</width><height>48</height></original_size>"
        meta = f"<meta><task><size>9</size>{size}</task></meta>"
        got = read_cvat(tmp_path, video(box(5, 0), box(4, 1) + box(5, 2), meta=meta))
        assert [(image.source, len(image), image.size_hw) for image in got.values()] == [
            ("frame_000004", 1, (48, 64)),
            ("frame_000005", 2, (48, 64)),
        ]
        assert got.notes[0] == "2 tracks end at their last box, which CVAT would carry on to the end of the video"

    def test_between_keyframes_boxes_lie_on_a_straight_line_and_it_is_said(self, tmp_path: Path) -> None:
        score = '<attribute name="score">0.5</attribute>'
        track = (box(0, 0) + box(4, 8) + box(6, 8, 1) + box(8, 0)).replace("></box>", f">{score}</box>")
        got = read_cvat(tmp_path, video(track))
        left = [image.boxes_xyxy[:, 0].tolist() for image in got.values()]
        assert left == [[0], [2], [4], [6], [8], [8], [], [0]]  # frames 0 to 6 and 8; nothing while it is outside
        assert [image.source for image in got.values()][-2:] == ["frame_000006", "frame_000008"]
        assert got.notes == ("computed 4 boxes between keyframes, on a straight line as CVAT does",)

    @pytest.mark.parametrize(
        ("track", "says"),
        [
            (box("x", 0), "shape 1 of track 0 is on no frame"),
            (box(-1, 0), "is on no frame"),
            (box(1.5, 0), "is on no frame"),
            (box(1, 0) + box(1, 2), "track 0 has two shapes on frame 1"),
            (box(0, 0) + box(9_000_000, 2), "leaves more than 200,000 boxes to be computed"),
            ('<box frame="0" xtl="1"/>', "has no xtl, ytl, xbr, ybr as numbers"),
        ],
    )
    def test_what_cannot_be_read_is_one_sentence(self, track: str, says: str, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=says):
            read_cvat(tmp_path, video(track))


class TestCvatShapes:
    def test_the_box_around_what_is_no_upright_rectangle(self, tmp_path: Path) -> None:
        shapes = [
            f'<box label="a" {BOX}/>',
            f'<box label="b" {BOX} rotation="90"/>',
            '<polygon points="1,2;5,3.5;4,9"/>',
            '<ellipse cx="20" cy="10" rx="4" ry="2"/>',
            '<mask left="3" top="4" width="5" height="6" rle="1"/>',
            '<points points="1,2"/>',
            '<tag label="x"/>',
        ]
        got = read_cvat(tmp_path, f'<annotations><image id="0" name="a.jpg">{"".join(shapes)}</image></annotations>')
        np.testing.assert_allclose(
            got[1].boxes_xyxy,
            [[10, 20, 30, 30], [15, 15, 25, 35], [1, 2, 5, 9], [16, 8, 24, 12], [3, 4, 8, 10]],
            atol=1e-5,
        )
        assert got.notes[:7] == (
            "took the upright rectangles around 1 rotated boxes",
            "took the boxes around 1 outlines <polygon>",
            "took the boxes around 1 outlines <ellipse>",
            "took the boxes around 1 outlines <mask>",
            "left out 1 shapes <points>",
            "left out 1 shapes <tag>",
            "left out the 3 labels: proposals have none",
        )

    @pytest.mark.parametrize(
        ("shape", "says"),
        [
            ('<polygon points="1,2;x,3"/>', "no points x,y;x,y"),
            ("<polygon/>", "no points"),
            (f'<box {BOX} rotation="x"/>', "rotation that is no number"),
            (f'<box {BOX}><attribute name="score">high</attribute></box>', "has the score 'high', which is no number"),
            ('<mask left="1"/>', "has no left, top, width, height"),
        ],
    )
    def test_malformed_shapes(self, shape: str, says: str, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=says):
            read_cvat(tmp_path, f'<annotations><image id="0" name="a.jpg">{shape}</image></annotations>')

    def test_depth_is_bounded(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="nested more than 200 elements deep"):
            read_cvat(tmp_path, "<annotations>" + "<a>" * 300_000 + "</a>" * 300_000 + "</annotations>")


@pytest.mark.parametrize("points", ["nan,2;5,3;4,9", "1,2;5,nan;4,9", "1,2;inf,3;4,9"])
def test_a_point_that_is_no_number_is_not_passed_over(points: str, tmp_path: Path) -> None:
    shape = f'<polygon points="{points}"/>'
    with pytest.raises(InputError, match="not made of finite numbers"):
        read_cvat(tmp_path, f'<annotations><image id="0" name="a.jpg">{shape}</image></annotations>')
    ring = [[float(word) for word in pair.split(",")] for pair in points.split(";")]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {}}
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    with pytest.raises(InputError, match="not made of finite numbers"):
        formats.read_proposals(tmp_path / "a.geojson")


def test_boxes_around_what_is_turned_by_hand() -> None:
    assert around_rotated((0, 0, 4, 2), 90, (0, 0)) == pytest.approx((-2, 0, 0, 4))
    assert around_rotated((0, 0, 4, 2), -90, (2, 1)) == pytest.approx((1, -1, 3, 3))
    assert around_rotated((0, 0, 2, 2), 45, (1, 1)) == pytest.approx((1 - 2**0.5, 1 - 2**0.5, 1 + 2**0.5, 1 + 2**0.5))
    assert around_ellipse((10, 20), (4, 2), 90) == pytest.approx((8, 16, 12, 24))


def task(*results: Any, **more: Any) -> dict[str, Any]:
    return {"data": {"image": "a.jpg"}, "annotations": [{"result": list(results), **more}]}


def region(**more: Any) -> dict[str, Any]:
    value = {"x": 10, "y": 20, "width": 20, "height": 10, "rotation": more.pop("rotation", 0)}
    return {"type": "rectanglelabels", "original_width": 200, "original_height": 100, "value": value, **more}


def read_tasks(folder: Path, *tasks: Any) -> Any:
    (folder / "a.json").write_text(json.dumps(tasks))
    return formats.read_proposals(folder / "a.json", "label-studio")


class TestLabelStudio:
    def test_cancelled_annotations_are_passed_over_and_said(self, tmp_path: Path) -> None:
        done, cancelled = {"result": [region()]}, {"result": [region(), region()], "was_cancelled": True}
        tasks = [
            {"data": {"image": "a.jpg"}, "predictions": [], "annotations": [cancelled, done]},
            {"data": {"image": "b.jpg"}, "annotations": [cancelled]},
        ]
        got = read_tasks(tmp_path, *tasks)
        assert {image.source: len(image) for image in got.values()} == {"a.jpg": 1, "b.jpg": 0}
        assert got.notes[0] == "left out 2 cancelled annotations"

    def test_the_upright_rectangle_around_a_rotated_one(self, tmp_path: Path) -> None:
        got = read_tasks(tmp_path, task(region(rotation=90)))
        np.testing.assert_allclose(got[1].boxes_xyxy, [[10, 20, 20, 60]], atol=1e-5)  # about its corner 20, 20
        assert got.notes[0] == "took the upright rectangles around 1 rotated ones"

    def test_regions_of_a_turned_image_are_left_out_and_said(self, tmp_path: Path) -> None:
        got = read_tasks(tmp_path, task(region(image_rotation=90), region()))
        assert len(got[1]) == 1
        assert got.notes[0] == "left out 1 regions that were drawn on a turned image (image_rotation)"

    def test_the_data_set_is_not_asked_for_when_it_was_given(self, sample: Any, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text(
            json.dumps([{**task({**region(), "original_width": None}), "data": {"image": "z"}}])
        )
        with pytest.raises(InputError, match="give the data set"):
            formats.read_proposals(tmp_path / "a.json", "label-studio")
        with pytest.raises(InputError, match="does not have this image") as caught:
            formats.read_proposals(tmp_path / "a.json", "label-studio", data=sample.data)
        assert "--data" not in str(caught.value)


@pytest.mark.parametrize(("width", "known"), [(640, 640), (640.0, 640), ("640", 640), ("640.0", 640), ("wide", 0)])
def test_sizes_are_read_however_they_are_written(width: Any, known: int, tmp_path: Path) -> None:
    size = {"width": width, "height": "48"}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"images": [{"id": 1, "file_name": "a.jpg", **size}], "annotations": []}))
    assert read_proposals(path, "coco")[1].size_hw == ((48, known) if known else (0, 0))
    path.write_text(json.dumps([{"image_id": 1, **size, "objects": []}]))
    assert read_proposals(path, "huggingface")[1].size_hw == ((48, known) if known else (0, 0))


@pytest.mark.parametrize(("score", "read"), [("0.5", 0.5), (0.5, 0.5), ("high", None), ([], None), (True, None)])
def test_a_score_that_is_no_number_does_not_pass_for_none(score: Any, read: float | None, tmp_path: Path) -> None:
    ring = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
    shape = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {"score": score}}
    rows = {"images": [{"id": 1}], "annotations": [{"image_id": 1, "bbox": [0, 0, 4, 4], "score": score}]}
    documents = {
        coco_dataset: rows,
        geojson: {"type": "FeatureCollection", "features": [shape]},
        huggingface: [{"score": score, "box": {"xmin": 0, "ymin": 0, "xmax": 4, "ymax": 4}}],
        label_studio: [task(region(score=score))],
    }
    for module, document in documents.items():
        (tmp_path / "a.json").write_text(json.dumps(document))
        if read is None:
            with pytest.raises(InputError, match=r"has the score .*, which is no number"):
                read_proposals(tmp_path / "a.json", module.FORMAT.name)
        else:
            assert read_proposals(tmp_path / "a.json", module.FORMAT.name)[1].scores.tolist() == [read]


def test_the_same_for_fiftyone(sample: Any, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(sample.photos)
    entry = {"label": 0, "bounding_box": [0, 0, 1, 1], "confidence": "high"}
    (tmp_path / "labels.json").write_text(json.dumps({"labels": {"a": [entry]}}))
    with pytest.raises(InputError, match="has the confidence 'high', which is no number"):
        read_proposals(tmp_path, "fiftyone")


def test_cvat_scores_that_are_empty_are_none(tmp_path: Path) -> None:
    shape = f'<box {BOX}><attribute name="score"></attribute></box>'
    got = read_proposals(
        _written(tmp_path, f'<annotations><image id="0" name="a.jpg">{shape}</image></annotations>'), "cvat"
    )
    assert got.notes == ("the file has no scores: its order stands for them",)


def _written(folder: Path, text: str) -> Path:
    (folder / "a.xml").write_text(text)
    return folder / "a.xml"
