"""What writers write is valid and read back, with awkward boxes, scores and names too; what cannot be kept is said."""

from __future__ import annotations

import json
import pickle
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectness import formats
from objectness.errors import InputError
from objectness.formats.core.safe_pickle import dump, load_plain
from objectness.formats.core.spec import FileNames, Format
from objectness.formats.legacy.mat_files import load_mat, save_mat
from objectness.formats.registry import all_formats, guess_source_format
from objectness.formats.validation import Fault, validate
from objectness.image_index import ImageIndex, IndexedImage
from objectness.proposal_set import ProposalSet
from objectness.proposals import Proposals

EACH = pytest.mark.parametrize(
    "entry",
    [
        pytest.param(
            f,
            id=f.name,
            marks=pytest.mark.skipif(bool(f.needs) and not find_spec(f.needs[0]), reason=f"needs {f.needs}"),
        )
        for f in all_formats()
    ],
)
# Without area, of a pixel, the whole image, beside it, far outside, fractions.
BOXES = [[5, 5, 5, 5], [3, 4, 4, 5], [0, 0, 64, 48], [-10, -5, 80, 60], [200, 300, 210, 310], [0.1, 0.2, 0.7, 47.9]]
SCORES = [1.0, 0.999999, 0.5, 1e-6, 1e-12, 0.0]
NAMES = [
    *(
        "a,b;c.jpg",
        "q\"uo'te.jpg",
        "two\nlines.jpg",
        "re\rturn.jpg",
        "tab\t.jpg",
        " space .jpg",
        "a&<b>.jpg",
        "ä世🙂.jpg",
    ),
    *("dot.ted.v2", "p%20q#x?.jpg", "-dash.jpg", "#hash.jpg", "1.0", "007.jpg", "label.txt.jpg", "x" * 200 + ".jpg"),
]


def place(folder: Path, entry: Format) -> Path:
    return folder / f"found{entry.suffixes[0] if entry.suffixes else ''}"


def known_of(found: ProposalSet) -> ImageIndex:
    images = (
        IndexedImage(int(image_id), Path(image.source or f"{image_id}.jpg"), image.size_hw, int(image_id))
        for image_id, image in found.items()
    )
    return ImageIndex(tuple(images), "the data")


@EACH
def test_awkward_boxes_and_scores_come_back(entry: Format, tmp_path: Path) -> None:
    found = ProposalSet(
        {
            1: Proposals(BOXES, SCORES, (48, 64), "a.jpg"),
            2: Proposals([], [], (48, 64), "b.jpg"),
            3: Proposals([[0, 0, 1, 1]], [1.0], (1, 1), "c.jpg"),
        }
    )
    path = place(tmp_path, entry)
    formats.write_proposals(path, found, entry.name)
    assert guess_source_format(path) is entry
    got = formats.read_proposals(path, image_index=known_of(found))
    assert list(got) == [1, 2, 3]
    for image_id, want in found.items():
        limit = 0.0051 if entry.name == "coco-results" else 3e-5
        np.testing.assert_allclose(got[image_id].boxes_xyxy, want.boxes_xyxy, atol=limit)
        np.testing.assert_allclose(got[image_id].scores, want.scores, atol=1e-6)
        assert got[image_id].size_hw == want.size_hw
    faults = {finding.kind for finding in validate(path, entry.name, image_index=known_of(found)).findings}
    assert not faults & {Fault.UNREADABLE, Fault.SWAPPED, Fault.NOT_FINITE, Fault.NO_SCORE, Fault.UNSORTED}


@pytest.mark.slow
@EACH
@pytest.mark.parametrize("name", NAMES)
def test_awkward_names_come_back_or_are_refused(entry: Format, name: str, tmp_path: Path) -> None:
    found = ProposalSet(
        {1: Proposals([[0, 0, 9, 9]], [0.5], (48, 64), name), 2: Proposals([], [], (48, 64), "other.jpg")}
    )
    path = place(tmp_path, entry)
    formats.write_proposals(path, found, entry.name)
    got = formats.read_proposals(path, entry.name, image_index=known_of(found))
    assert {image_id: (image.source, len(image)) for image_id, image in got.items()} == {
        1: (name, 1),
        2: ("other.jpg", 0),
    }
    if entry.holds.names and entry.name not in ("yolo", "fiftyone"):  # those need to be told sizes
        alone = formats.read_proposals(path, entry.name)
        kept = name if entry.holds.names is not FileNames.STEM else name.removesuffix(".jpg")
        assert kept in [image.source for image in alone.values()]


@EACH
@pytest.mark.parametrize("name", ["con\x01trol.jpg", "\x1b[31m.jpg", "\ufffe.jpg"])
def test_names_that_not_every_format_can_hold(entry: Format, name: str, tmp_path: Path) -> None:
    found = ProposalSet({1: Proposals([[0, 0, 9, 9]], [0.5], (48, 64), name)})
    path = place(tmp_path, entry)
    if entry.name == "cvat":
        with pytest.raises(InputError, match="letters that XML cannot hold"):
            formats.write_proposals(path, found, entry.name)
        assert not path.exists()
        return
    formats.write_proposals(path, found, entry.name)
    assert len(formats.read_proposals(path, entry.name, image_index=known_of(found))[1]) == 1


@EACH
def test_an_empty_set_is_read_back_or_it_is_said(entry: Format, tmp_path: Path) -> None:
    path = place(tmp_path, entry)
    said = formats.write_proposals(path, {}, entry.name)
    if entry.name in ("yolo", "hosang"):
        assert said == (f"{entry.title} has a file for each image: of a set without images nothing can be read back.",)
        with pytest.raises(InputError):
            formats.read_proposals(path, entry.name)
    else:
        assert said == ()
        assert formats.read_proposals(path, entry.name, image_index=ImageIndex((), "nothing")) == {}


def _spoil(path: Path, entry: Format, value: float) -> None:
    """Put a number that is none in the place of the first score (detectron2: logit)."""
    text = {np.inf: "Infinity", -np.inf: "-Infinity"}.get(value, "NaN")
    match entry.name:
        case "parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            table = pq.read_table(path)
            scores = pa.array([value, 0.25], pa.float32())
            pq.write_table(table.set_column(table.column_names.index("score"), "score", scores), path)
        case "detectron2" | "detectron1" | "mmdet2" | "mmdet3":
            document = pickle.loads(path.read_bytes())
            match entry.name:
                case "detectron2":
                    document["objectness_logits"][0][0] = value
                case "detectron1":
                    document["scores"][0][0] = value
                case "mmdet2":
                    document[0][0, 4] = value
                case _:
                    next(iter(document.values()))["scores"][0] = value
            with path.open("wb") as file:
                dump(file, document)
        case "selective-search":
            found = load_mat(path, ["images", "boxes", "scores"])
            found["scores"] = [np.array([[value], [0.25]]), *list(found["scores"])[1:]]
            with path.open("wb") as file:
                save_mat(file, found)
        case "hosang":
            mat = path / "one" / "one.mat"
            found = load_mat(mat, ["boxes", "scores"])
            with mat.open("wb") as file:
                save_mat(file, {**found, "scores": np.array([[value], [0.25]])})
        case "yolo":
            label = path / "labels" / "one.txt"
            label.write_text(label.read_text().replace(" 0.75\n", f" {value}\n"))
        case "fiftyone":
            label = path / "labels.json"
            label.write_text(label.read_text().replace("0.75", text))
        case "csv":
            path.write_text(path.read_text().replace(",0.75,", f",{value},"))
        case "cvat":
            path.write_text(path.read_text().replace(">0.75<", f">{value}<"))
        case "sam":
            path.write_text(path.read_text().replace('"scores": [0.75', f'"scores": [{text}'))
        case _:
            path.write_text(path.read_text().replace('"score": 0.75', f'"score": {text}'))


@EACH
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_one_score_that_is_none_is_named_and_can_be_left_out(entry: Format, value: float, tmp_path: Path) -> None:
    found = ProposalSet(
        {
            1: Proposals([[0, 0, 9, 9], [1, 1, 5, 5]], [0.75, 0.25], (48, 64), "one.jpg"),
            2: Proposals([], [], (48, 64), "two.jpg"),
        }
    )
    path = place(tmp_path, entry)
    formats.write_proposals(path, found, entry.name)
    _spoil(path, entry, value)
    with pytest.raises(InputError, match=r" 1 of image .* has the score -?(inf|nan), which is not a finite number"):
        formats.read_proposals(path, entry.name, image_index=known_of(found))
    got = formats.read_proposals(path, entry.name, image_index=known_of(found), repair=True)
    assert {image_id: image.boxes_xyxy.tolist() for image_id, image in got.items()} == {1: [[1, 1, 5, 5]], 2: []}
    assert "left out 1 proposals that have no finite box and score or swapped corners" in got.notes


def test_a_sentence_stays_one_whatever_an_image_is_called() -> None:
    said = str(InputError(f"first {'x' * 1_000_000} last: do this."))
    assert len(said) < 2100
    assert said.startswith("first xxx")
    assert said.endswith("last: do this.")


@pytest.mark.parametrize("name", ["coco-results", "coco", "label-studio", "fiftyone", "geojson", "huggingface", "sam"])
@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, '[{"image_id":' * 100_000, "[" + "9" * 5000 + "]"])
def test_deeply_nested_json_is_one_sentence(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(text)
    path = tmp_path if name == "fiftyone" else tmp_path / "labels.json"
    with pytest.raises(InputError, match=r"nested too deeply|thousands of digits"):
        formats.read_proposals(path, name)


@pytest.mark.parametrize(
    "name", ["coco-results", "coco", "label-studio", "geojson", "huggingface", "sam", "csv", "mmdet3"]
)
@pytest.mark.parametrize("odd", ["a\x00b.jpg", "\ud800.jpg", "caf\udce9.jpg"])
def test_names_that_are_no_text_are_read_and_then_judged(name: str, odd: str, tmp_path: Path, sample: Any) -> None:
    documents: dict[str, Any] = {
        "coco-results": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1, "file_name": odd}],
        "coco": {"images": [{"id": 1, "file_name": odd, "width": 9, "height": 9}], "annotations": []},
        "label-studio": [{"data": {"image": odd, "width": 9, "height": 9}, "predictions": []}],
        "geojson": {"features": [], "objectness": {"images": [{"id": 1, "image": odd, "width": 9, "height": 9}]}},
        "huggingface": [{"image_id": 1, "image": odd, "width": 9, "height": 9, "objects": []}],
        "sam": [{"image_id": 1, "image": odd, "width": 9, "height": 9, "boxes": []}],
    }
    path = tmp_path / "a"
    if name == "mmdet3":
        path.write_bytes(pickle.dumps({odd: {"bboxes": np.ones((1, 4)), "scores": np.ones(1)}}))
        assert list(load_plain(path)) == [odd]
    elif name == "csv":
        path.write_bytes(f"path,x1,y1,x2,y2\n{odd},0,0,1,1\n".encode("utf-8", "surrogatepass"))
        if "\x00" not in odd:
            with pytest.raises(InputError, match="not UTF-8 text"):
                formats.read_proposals(path, name)
            return
    else:
        path.write_text(json.dumps(documents[name]))
    got = formats.read_proposals(path, name)
    assert [image.source for image in got.values()] == [odd]
    formats.read_proposals(path, name, data=sample.data)  # no image of the data set, and no traceback
    for entry in all_formats():
        if entry.needs and not find_spec(entry.needs[0]):
            continue
        with suppress(InputError):
            formats.write_proposals(place(tmp_path / entry.name, entry), got, entry.name)
