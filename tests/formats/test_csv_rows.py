"""CSV as spreadsheets, data frames and other tools write it."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

import pytest

from objectness import formats
from objectness.errors import InputError
from objectness.formats import read_proposals
from objectness.formats.core.image_lookup import index_images
from objectness.formats.registry import guess_source_format
from objectness.proposals import Proposals

PLAIN = "image_path,xmin,ymin,xmax,ymax,score\na b.jpg,1.5,2,3,4.25,0.5\nc.jpg,0,0,9,9,1\n"


def spelled(separator: str, *, comma: bool = False) -> str:
    text = PLAIN.replace(",", separator)
    return text.replace(".5", ",5").replace(".25", ",25") if comma else text


def put(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (PLAIN, ()),
        (PLAIN.replace("\n", "\r\n"), ()),
        (codecs.BOM_UTF8 + PLAIN.encode(), ()),
        (PLAIN.replace(",", ", "), ()),
        (PLAIN.replace("a b.jpg", '"a b.jpg"'), ()),
        (spelled(";"), ("with semicolons between its values",)),
        (spelled("\t"), ("with tabs between its values",)),
        (spelled("|"), ("with bars between its values",)),
        (spelled(";", comma=True), ("with semicolons between its values and decimal commas",)),
        (spelled("\t", comma=True), ("with tabs between its values and decimal commas",)),
        ("sep=;\r\n" + spelled(";", comma=True).replace("\n", "\r\n"), ("semicolons between its values and decimal",)),
        ('"sep=;"\r\n' + spelled(";"), ("with semicolons",)),
        ("sep=,\n" + PLAIN, ()),
        (codecs.BOM_UTF8 + b"sep=;\n" + spelled(";", comma=True).encode(), ("decimal commas",)),
        (codecs.BOM_UTF16_LE + spelled("\t", comma=True).encode("utf-16-le"), ("with tabs",)),
        (spelled(";") + ";;;;;\r\n\r\n;;;;;\r\n", ("with semicolons",)),
        (spelled(";").replace("score", '"score"').replace("xmin", '"xmin"'), ("with semicolons",)),
    ],
)
def test_what_spreadsheets_write_is_taken_and_said(content: str | bytes, said: tuple[str, ...], tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", content)
    assert guess_source_format(put(tmp_path / "a.dat", content)).name == "csv"
    got = formats.read_proposals(path)
    assert [(image.source, image.boxes_xyxy.tolist(), image.scores.tolist()) for image in got.values()] == [
        ("a b.jpg", [[1.5, 2, 3, 4.25]], [0.5]),
        ("c.jpg", [[0, 0, 9, 9]], [1.0]),
    ]
    assert len(got.notes) == len(said)
    assert all(word in note for word, note in zip(said, got.notes, strict=True))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path;x1;y1;x2;y2\na;1,5;2.5;3;4\n", r"decimal commas \(1,5\) and points \(2\.5\)"),
        ('path,x1,y1,x2,y2\na,"1,234",2,3,4\n', "row 1 has no four numbers"),
        ("path,x1,y1,x2,y2\na,b.jpg,1,2,3,4\n", "row 1 has 6 values, but the first line names 5"),
        ("path,x1,y1,x2,y2\na.jpg,1,2,3,4\nb.j", "row 2 has 1 values, but the first line names 5"),
        ("path,x1,y1,x2,y2\na.jpg,1,,3,4\n", "row 1 has no four numbers"),
        ("path,x1,xmin,y1,x2,y2\na.jpg,1,1,2,3,4\n", "has 2 columns for x_min: keep one"),
        ("path,x1,y1,x2,y2,score\na.jpg,1,2,3,4,high\n", "row 1 has the score 'high', which is no number"),
        ("path,x1,y1,x2,y2\ncaf\xe9,1,2,3,4\n".encode("latin1"), r"not UTF-8 text \(byte 21\); save it as UTF-8"),
        ('path,x1,y1,x2,y2\n"' + "a" * 200_000 + '",1,2,3,4\n', "no CSV file that can be read: field larger"),
    ],
)
def test_what_is_doubtful_is_refused(text: str | bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        read_proposals(put(tmp_path / "a.csv", text), "csv")


def test_ids_of_a_column_with_gaps_in_half_of_europe(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "image_id;x1;y1;x2;y2\n2,0;1,5;2;3;4\n10,0;1;2;3;4\n")
    assert list(read_proposals(path, "csv")) == [2, 10]


def test_a_row_with_empty_corners_is_an_image_without_boxes(sample: Any, tmp_path: Path) -> None:
    path = put(tmp_path / "p.csv", "image_path,xmin,ymin,xmax,ymax,score\na.png,0,0,9,9,0.9\nb.png,,,,,\n")
    got = formats.read_proposals(path, data=sample.data)
    assert {image_id: len(found) for image_id, found in got.items()} == {7: 1, 3: 0}
    plain = formats.read_proposals(path)
    assert [image.source for image in plain.values()] == ["a.png", "b.png"]
    relative = "ImageID,Confidence,XMin,XMax,YMin,YMax\na,0.5,0,1,0,1\nunknown,,,,,\n"
    whole = read_proposals(put(tmp_path / "o.csv", relative), "csv", image_index=index_images(images=sample.photos))
    assert [len(image) for image in whole.values()] == [1, 0]  # no size is needed where there is no box


def test_the_data_set_is_not_asked_for_when_it_was_given(sample: Any, tmp_path: Path) -> None:
    path = put(tmp_path / "o.csv", "ImageID,Confidence,XMin,XMax,YMin,YMax\nz,0.5,0,1,0,1\n")
    with pytest.raises(InputError, match=r"size of z is unknown: .* does not have this image") as caught:
        formats.read_proposals(path, data=sample.data)
    assert "--data" not in str(caught.value)


@pytest.mark.parametrize("name", ["a,b.jpg", 'a"b.jpg', "a\nb.jpg", "a\rb.jpg", "a;b.jpg", " a .jpg", "sep=;", "é\x01"])
def test_names_with_signs_of_csv_come_back(name: str, tmp_path: Path) -> None:
    formats.write_proposals(
        tmp_path / "a.csv", {1: Proposals([[0, 0, 1, 1]], [0.5], (4, 4), name), 2: Proposals([], [], (4, 4))}
    )
    got = formats.read_proposals(tmp_path / "a.csv")
    assert {image_id: image.source for image_id, image in got.items()} == {1: name, 2: None}
    assert guess_source_format(tmp_path / "a.csv").name == "csv"
