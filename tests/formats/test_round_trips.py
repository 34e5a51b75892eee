"""Every format: out and in again, with the data set and without; what is lost is said."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from objectness import formats
from objectness.errors import InputError
from objectness.formats.core.spec import FileNames, Format, adapt_ids, describe_loss
from objectness.formats.registry import NAMES, all_formats, format_named, guess_source_format, guess_target_format
from objectness.proposal_set import ProposalSet
from objectness.proposals import Proposals


def installed(entry: Format) -> bool:
    return entry.needs is None or find_spec(entry.needs[0]) is not None


EACH = pytest.mark.parametrize(
    "entry",
    [
        pytest.param(f, id=f.name, marks=pytest.mark.skipif(not installed(f), reason=f"needs {f.needs}"))
        for f in all_formats()
    ],
)


def place(folder: Path, entry: Format) -> Path:
    return folder / f"found{entry.suffixes[0] if entry.suffixes else ''}"


@EACH
def test_nothing(entry: Format, tmp_path: Path) -> None:
    path = place(tmp_path, entry)
    formats.write_proposals(path, {}, entry.name)
    if entry.name in ("yolo", "hosang"):
        with pytest.raises(InputError, match=r"no label files|no folder with .mat files"):
            formats.read_proposals(path, entry.name)
    elif entry.name == "mmdet2":
        with pytest.raises(InputError, match="give the data set"):
            formats.read_proposals(path, entry.name)
    else:
        got = formats.read_proposals(path, entry.name)
        assert got == {}


@EACH
def test_with_the_data_nothing_is_lost_that_matters(entry: Format, sample: Any, tmp_path: Path) -> None:
    path = place(tmp_path, entry)
    formats.write_proposals(path, sample.proposals, entry.name)
    assert guess_source_format(path) is entry
    got = formats.read_proposals(path, data=sample.data)
    exact = entry.name not in ("coco-results",)
    assert list(got) == [7, 3, 12]
    for image_id, want in sample.proposals.items():
        assert (got[image_id].size_hw, got[image_id].source) == (want.size_hw, want.source)
        np.testing.assert_allclose(got[image_id].boxes_xyxy, want.boxes_xyxy, atol=2e-6 if exact else 0.006)
        np.testing.assert_allclose(got[image_id].scores, want.scores, atol=1e-7 if exact else 1e-6)


@EACH
def test_what_it_holds_is_true(entry: Format, sample: Any, tmp_path: Path) -> None:
    path = place(tmp_path, entry)
    said = formats.write_proposals(path, sample.proposals, entry.name)
    holds = entry.holds
    try:
        got = formats.read_proposals(path, entry.name)
    except InputError as error:
        assert not holds.sizes
        assert "data" in error.arguments  # noqa: PT017
        return
    assert got.numbered is (not holds.ids)
    assert list(got) == ([7, 3, 12] if holds.ids else [1, 2, 3])
    assert (next(iter(got.values())).source is not None) is bool(holds.names)
    if holds.names is FileNames.PATH:
        assert [image.source for image in got.values()] == [image.source for image in sample.proposals.values()]
    assert ([image.size_hw for image in got.values()] == [(48, 64), (48, 64), (20, 30)]) is holds.sizes
    assert (len(got) == 3) is holds.empty
    assert [len(values) for values in got.logits.values()] == ([2, 1] if holds.logits else [])
    assert [values.tolist() for values in got.levels.values()] == ([[2, 5], [3]] if holds.levels else [])
    assert (got.metadata == sample.proposals.metadata) is holds.metadata
    told = " ".join(said)
    for word, kept in (("ids", holds.ids), ("sizes", holds.sizes), ("logits", holds.logits), ("levels", holds.levels)):
        assert (word in told) is not bool(kept), told
    assert ("metadata" in told) is not holds.metadata


def test_losses_by_hand(sample: Any, tmp_path: Path) -> None:
    assert describe_loss(sample.proposals, format_named("parquet")) is None
    assert describe_loss(sample.proposals, format_named("csv")) == "CSV cannot hold 2 metadata entries."
    assert describe_loss(sample.proposals, format_named("mmdet2")) == (
        "MMDetection 2 pickle cannot hold 3 image ids, 3 file names, 3 image sizes, 3 logits, 3 pyramid levels "
        "and 2 metadata entries."
    )
    whole = ProposalSet({1: Proposals([[1, 2, 3, 4]], [0.5], (5, 6), "a.jpg")})
    assert describe_loss(whole, format_named("coco-results")) is None
    odd = ProposalSet({1: Proposals([[1, 2, 3.125, 4]], [0.5], (5, 6), "a.jpg")})
    assert (
        describe_loss(odd, format_named("coco-results"))
        == "COCO results keeps boxes to 0.01 pixel, scores to six digits."
    )


def test_ids_that_coco_does_not_take(tmp_path: Path) -> None:
    one = Proposals([[0, 0, 1, 1]], [0.5], (4, 4))
    digits, said = adapt_ids(ProposalSet({"12": one, "7": one}), format_named("coco"))
    assert (list(digits), said) == ([12, 7], ())
    made_up, said = adapt_ids(ProposalSet({"012": one, "b": one}), format_named("coco"))
    assert list(made_up) == [1, 2]
    assert said == ("COCO data set takes whole numbers as image ids: the 2 images are numbered from 1",)
    assert adapt_ids(ProposalSet({"b": one}), format_named("csv"))[0] == {"b": one}
    formats.write_proposals(tmp_path / "a.json", {"b": one}, "coco-results")
    assert list(formats.read_proposals(tmp_path / "a.json")) == ["b"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["csv", "coco", "geojson", "huggingface", "sam", "label-studio", "cvat", "parquet", "detectron2"]
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 5), max_size=4), max_size=3))
def test_any_numbers(name: str, tmp_path: Path, rows: list[list[tuple[float, ...]]]) -> None:
    entry = format_named(name)
    if not installed(entry):
        pytest.skip(f"needs {entry.needs}")
    images = {}
    for image_id, own in enumerate(rows, start=1):
        table = np.array(own, dtype=np.float32).reshape(-1, 5)
        table = table[np.argsort(-table[:, 4], kind="stable")]
        corners = np.sort(table[:, :4].reshape(-1, 2, 2), axis=1).reshape(-1, 4) * 999
        images[image_id] = Proposals(corners, table[:, 4], (1000, 1001), f"f/{image_id}.jpg")
    path = place(tmp_path, entry)
    formats.write_proposals(path, images, name)
    got = formats.read_proposals(path, name)
    assert list(got) == list(images)
    for image_id, want in images.items():
        # Corners that are written as they are come back bit for bit.
        limit = 0 if name in ("csv", "geojson", "huggingface", "sam", "cvat", "parquet", "detectron2") else 1e-4
        np.testing.assert_allclose(got[image_id].boxes_xyxy, want.boxes_xyxy, atol=limit, rtol=0)
        np.testing.assert_allclose(got[image_id].scores, want.scores, atol=1e-6 if name == "detectron2" else 0, rtol=0)


class TestGuessing:
    def test_by_suffix(self, tmp_path: Path) -> None:
        for name, suffix in (("parquet", ".parquet"), ("csv", ".csv"), ("cvat", ".XML"), ("geojson", ".geojson")):
            assert guess_target_format(tmp_path / f"a{suffix}").name == name

    def test_several_of_one_suffix(self, tmp_path: Path) -> None:
        with pytest.raises(
            InputError, match=r"may become coco-results \(COCO results\), coco .* or .*: name the format"
        ):
            guess_target_format(tmp_path / "a.json")
        with pytest.raises(InputError, match=r"may become yolo \(YOLO\), hosang .* or fiftyone"):
            guess_target_format(tmp_path / "folder")
        with pytest.raises(InputError, match=r"ends in \.docx, which says no format: name the format, one of parquet"):
            guess_target_format(tmp_path / "a.docx")

    def test_what_is_replaced_says_it(self, sample: Any, tmp_path: Path) -> None:
        formats.write_proposals(tmp_path / "a.json", sample.proposals, "label-studio")
        assert guess_target_format(tmp_path / "a.json").name == "label-studio"

    @pytest.mark.parametrize(
        ("content", "name"),
        [
            (b'\xef\xbb\xbf [ {"bbox": [1, {"score": 2}], "score": 1, "image_id": "}]"}]', "coco-results"),
            (b'{"info": {"images": 1}, "annotations": [], "images": []}', "coco"),
            (b'[{"id": 1, "data": {"image": "x"}, "annotations": []}]', "label-studio"),
            (b'{"type": "FeatureCollection", "features": []}', "geojson"),
            (b'{"labels": {}}', "fiftyone"),
            (b'[[{"label": "a", "score": 1, "box": {}}]]', "huggingface"),
            (b'[{"label": "\\"", "score": 1, "box": {}}]', "huggingface"),
            (b"<?xml version='1.0'?>\n<annotations>", "cvat"),
            (b"xmin,ymin,xmax,ymax\n", "csv"),
        ],
    )
    def test_by_content(self, tmp_path: Path, content: bytes, name: str) -> None:
        path = tmp_path / "a.dat"
        path.write_bytes(content)
        assert guess_source_format(path).name == name

    def test_keys_beyond_the_beginning(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.write_text('{"images": [' + ",".join(['{"id": 1}'] * 20_000) + '], "annotations": []}')
        assert guess_source_format(path).name == "coco"

    def test_neither(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text("[[]]")
        with pytest.raises(InputError, match=r"may be coco-results .*: name its format"):
            guess_source_format(tmp_path / "a.json")
        (tmp_path / "a.json").write_text("[ ]\n")  # nothing found, in the commonest format
        assert guess_source_format(tmp_path / "a.json").name == "coco-results"
        (tmp_path / "a.txt").write_text("hello")
        with pytest.raises(InputError, match="no proposals file that is known: name its format"):
            guess_source_format(tmp_path / "a.txt")
        with pytest.raises(InputError, match="cannot be read: No such file"):
            guess_source_format(tmp_path / "missing")
        (tmp_path / "a").write_text("hello")
        with pytest.raises(InputError, match="no proposals file that is known"):
            guess_source_format(tmp_path / "a")
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(InputError, match="neither a file nor a folder"):
            guess_source_format(tmp_path / "pipe")

    def test_names(self) -> None:
        assert len(set(NAMES)) == len(NAMES) == 17
        with pytest.raises(InputError, match="no format 'parket': did you mean 'parquet'"):
            format_named("parket")


def test_other_sizes_and_strangers_are_told(sample: Any, tmp_path: Path) -> None:
    found = {
        1: Proposals([[0, 0, 1, 1]], [0.5], (24, 32), "elsewhere/a.png"),
        2: Proposals([[0, 0, 1, 1]], [0.5], (9, 9), "z.png"),
    }
    formats.write_proposals(tmp_path / "a.csv", found)
    got = formats.read_proposals(tmp_path / "a.csv", data=sample.data)
    assert list(got) == [7, 2]
    assert "1 images, elsewhere/a.png among them, have another size in the file" in got.notes[0]
    assert "1 images, z.png among them, are not in" in got.notes[1]


def test_renamed_files_go_by_id_and_it_is_told(sample: Any, tmp_path: Path) -> None:
    found = {image_id: Proposals([[0, 0, 1, 1]], [0.5], (0, 0), f"old_{image_id}.jpg") for image_id in (12, 7)}
    formats.write_proposals(tmp_path / "a.csv", found)
    got = formats.read_proposals(tmp_path / "a.csv", data=sample.data)
    assert [Path(image.source or "").name for image in got.values()] == ["c.png", "a.png"]
    assert got[12].size_hw == (20, 30)
    assert got.notes == (f"no file name of the file occurs in {sample.data}: images were matched by id",)


def test_repair(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "image_id,x1,y1,x2,y2,score\n1,0,0,1,1,0.5\n1,0,nan,1,1,0.6\n1,5,0,1,1,.7\n1,0,0,2,2,inf\n"
    )
    with pytest.raises(
        InputError, match=r"row 2 of image 1 has the box .* not made of finite numbers; `objectness validate`"
    ):
        formats.read_proposals(tmp_path / "a.csv")
    got = formats.read_proposals(tmp_path / "a.csv", repair=True)
    assert got[1].boxes_xyxy.tolist() == [[0, 0, 1, 1]]
    assert got.notes == ("left out 3 proposals that have no finite box and score or swapped corners",)


def test_what_is_not_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("objectness.formats.core.spec.find_spec", lambda name: None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r'Parquet needs pyarrow: pip install "\.\[tables\]"'):
        formats.read_proposals(tmp_path / "a.parquet")


def test_the_page_of_the_formats_is_true() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "exchange.md").read_text()
    for entry in all_formats():
        row = next((line for line in page.splitlines() if line.startswith(f"| `{entry.name}` ")), None)
        assert row is not None, f"{entry.name} is not in the table"
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        holds = entry.holds
        flags = (holds.sizes, holds.empty, holds.logits, holds.levels, holds.metadata)
        assert cells[2:9] == [
            *("–" if kind is None else kind.value for kind in (holds.ids, holds.names)),
            *("yes" if flag else "–" for flag in flags),
        ]
        assert cells[9] == entry.consumers
