"""Names of images become names of files: never outside the folder, never two images in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectness import formats
from objectness.errors import InputError
from objectness.formats import fiftyone, yolo
from objectness.formats.core.file_names import short_names, stem
from objectness.formats.legacy import hosang
from objectness.proposal_set import ProposalSet
from objectness.proposals import Proposals


def named(*names: str | None) -> ProposalSet:
    """One image for each name, the first with one proposal, the second with two ..."""
    return ProposalSet(
        {
            number: Proposals(np.tile([1.0, 2, 5, 6], (number, 1)), np.linspace(1, 0.5, number), (48, 64), name)
            for number, name in enumerate(names, start=1)
        }
    )


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


OUTSIDE = [
    "../../victim.jpg",
    "../victim.jpg",
    "/tmp/objectness-victim.jpg",
    "a/../../../../victim.jpg",
    "..\\..\\victim.jpg",
    "C:\\Users\\victim.jpg",
    "...jpg",
    "..a.jpg",
    ".. .jpg",
    "./victim.jpg",
]


@pytest.mark.parametrize("name", ["yolo", "hosang", "fiftyone"])
@pytest.mark.parametrize("first", OUTSIDE)
@pytest.mark.parametrize("second", ["b.jpg", "x/victim.jpg"])
def test_nothing_is_written_outside_the_folder(name: str, first: str, second: str, tmp_path: Path) -> None:
    out = tmp_path / "one" / "two" / "out"
    try:
        formats.write_proposals(out, named(first, second), name)
    except InputError as error:
        assert "Two images are called" in str(error)  # noqa: PT017
    assert [file for file in files(tmp_path) if not file.startswith("one/two/out/")] == []
    assert not Path("/tmp/objectness-victim.txt").exists()


@pytest.mark.parametrize("name", ["..", "a/..", ".", "/", "a\x00b.jpg", ""])
@pytest.mark.parametrize("to", ["yolo", "hosang", "fiftyone", "cvat", "selective-search"])
def test_what_no_file_can_be_called_is_refused(name: str, to: str, tmp_path: Path) -> None:
    found = named(name) if name else ProposalSet({"": Proposals([], [], (4, 4))})
    with pytest.raises(InputError, match=r"An image is called .*: correct"):
        formats.write_proposals(tmp_path / "out", found, to)
    assert files(tmp_path) == []


def test_names_are_as_short_as_they_can_be() -> None:
    assert list(short_names(named("p/a.jpg", "q/b.jpg")).values()) == ["a.jpg", "b.jpg"]
    assert list(short_names(named("/d/p/a.jpg", "/d/q/a.png")).values()) == ["p/a.jpg", "q/a.png"]
    assert list(short_names(named("../../a.jpg", "b/a.jpg")).values()) == ["a.jpg", "b/a.jpg"]
    assert list(short_names(named("d\\p\\a.jpg", "d/q/a.jpg")).values()) == ["p/a.jpg", "q/a.jpg"]
    assert list(short_names(named("a.v1", "a.v2", None)).values()) == ["a.v1", "a.v2", "3"]
    assert [stem(name) for name in ("a.b.JPG", "x/a.v2", "...jpg", ".jpg")] == ["a.b", "x/a.v2", "...jpg", ".jpg"]
    with pytest.raises(InputError, match=r"Two images are called a\.jpg"):
        short_names(named("../a.jpg", "a.jpg"))


def test_two_images_never_share_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Two images are called a\.jpg"):
        formats.write_proposals(tmp_path, named("x/a.jpg", "y/a.jpg"), "hosang")  # it knows no folders
    assert files(tmp_path) == []
    formats.write_proposals(tmp_path, named("x/a.jpg", "y/a.jpg"), "yolo")
    assert files(tmp_path) == ["data.yaml", "labels/x/a.txt", "labels/y/a.txt"]
    formats.write_proposals(tmp_path, named("x/a.jpg", "y/a.jpg"), "yolo")  # its own may be replaced


def test_a_folder_of_others_is_not_written_into(sample: Any, tmp_path: Path) -> None:
    for text in ("path: .\ntrain: images\nnames: {0: cell}\n", None):
        folder = tmp_path / f"yolo {text is None}"
        (folder / "labels").mkdir(parents=True)
        (folder / "labels" / "a.txt").write_text("3 .5 .5 .5 .5\n")
        if text is not None:
            (folder / "data.yaml").write_text(text)
        before = files(folder)
        with pytest.raises(InputError, match="YOLO data set that was not written here"):
            yolo.write(folder, named("a.jpg"))
        assert (folder / "labels" / "a.txt").read_text() == "3 .5 .5 .5 .5\n"
        assert files(folder) == before
    (tmp_path / "labels.json").write_text('{"classes": ["cell"], "labels": {}}')
    with pytest.raises(InputError, match="was not written here"):
        fiftyone.write(tmp_path, named("a.jpg"))
    hosang.write(tmp_path / "mat", named("a.jpg", "b.jpg"))
    hosang.write(tmp_path / "mat", named("a.jpg", "b.jpg"))
    with pytest.raises(InputError, match=r"proposals of other images \(b\.mat and 0 more\)"):
        hosang.write(tmp_path / "mat", named("a.jpg"))
    (tmp_path / "mat" / "b" / "b.mat").unlink()
    (tmp_path / "mat" / "a" / "a.mat").write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64")
    with pytest.raises(InputError, match=r"\.mat files that were not written here"):
        hosang.write(tmp_path / "mat", named("a.jpg"))


def test_bytes_that_are_no_text_are_refused_where_the_format_holds_text(tmp_path: Path) -> None:
    odd = named("caf\udce9.jpg")
    formats.write_proposals(tmp_path / "yolo", odd, "yolo")  # a file may be called so
    assert len(files(tmp_path / "yolo")) == 2
    with pytest.raises(InputError, match="letters that are no text"):
        formats.write_proposals(tmp_path / "a.mat", odd, "selective-search")
    with pytest.raises(InputError, match="letters that XML cannot hold"):
        formats.write_proposals(tmp_path / "a.xml", odd, "cvat")
    for name, suffix in (("coco", "json"), ("geojson", "geojson"), ("huggingface", "json"), ("coco-results", "json")):
        formats.write_proposals(tmp_path / f"{name}.{suffix}", odd, name)
        assert formats.read_proposals(tmp_path / f"{name}.{suffix}", name)[1].source == "caf\udce9.jpg"
    for name in ("csv", "parquet"):
        with pytest.raises(InputError, match=r"cannot be written.*letters"):
            formats.write_proposals(tmp_path / f"a.{name}", odd, name)
