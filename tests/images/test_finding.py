from __future__ import annotations

import os
from pathlib import Path

import pytest

from objectness.errors import InputError
from objectness.images.finding import find_photos


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    names = ["b.jpg", "a.PNG", "sub/c.webp", "sub/ünï 写真.jpeg", "note.txt", "readme.md", ".hidden.jpg"]
    for name in [*names, ".cache/d.jpg", "a.proposals.png", "empty/x.md"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def _names(found: list[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in found]


def test_nothing_named() -> None:
    with pytest.raises(InputError, match="Name a photograph"):
        find_photos([])


def test_a_folder_stands_for_its_photographs_and_its_subfolders(photos: Path) -> None:
    assert _names(find_photos([str(photos)]), photos) == ["a.PNG", "b.jpg", "sub/c.webp", "sub/ünï 写真.jpeg"]


def test_patterns(photos: Path) -> None:
    assert _names(find_photos([str(photos / "*.jpg")]), photos) == ["b.jpg"]
    assert _names(find_photos([str(photos / "**" / "*.*")]), photos) == [
        "a.PNG",
        "b.jpg",
        "sub/c.webp",
        "sub/ünï 写真.jpeg",
    ]
    (photos / "x[1].jpg").write_text("")
    assert _names(find_photos([str(photos / "x[1].jpg")]), photos) == ["x[1].jpg"]  # it exists: no pattern


def test_a_list_is_taken_from_its_own_folder_else_from_here(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = photos / "sub" / "list.TXT"
    elsewhere.write_text("\ufeff# my photos\n\nc.webp\r\nb.jpg\n/no/such.jpg\nmissing.jpg\n", encoding="utf-8")
    monkeypatch.chdir(photos)
    assert find_photos([str(elsewhere)]) == [
        photos / "sub" / "c.webp",
        Path("b.jpg"),
        Path("/no/such.jpg"),
        photos / "sub" / "missing.jpg",
    ]


def test_order_is_as_typed_and_each_file_comes_once(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    found = find_photos(["sub", "b.jpg", "./b.jpg", str(photos / "b.jpg"), str(photos)])
    assert [path.name for path in found] == ["c.webp", "ünï 写真.jpeg", "b.jpg", "a.PNG"]


def test_a_file_is_taken_whatever_its_suffix_and_a_missing_one_is_kept(photos: Path) -> None:
    named = [str(photos / "readme.md"), str(photos / "missing.jpg"), str(photos / "a.proposals.png")]
    assert [str(path) for path in find_photos(named)] == named


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("empty", "there is no photograph in this folder"),
        ("*.bmp", "no photograph matches this pattern"),
        ("note.txt", "the list names no photograph"),
        ("missing.jpg", "There is no such file"),
        ("x" * 5000, "There is no such file"),
    ],
)
def test_sources_without_a_photograph(photos: Path, source: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        find_photos([str(photos / source)])


def test_a_list_that_is_no_text(photos: Path) -> None:
    (photos / "binary.txt").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(InputError, match=r"binary\.txt: a list of photographs is UTF-8 text"):
        find_photos([str(photos / "binary.txt")])


def test_a_folder_that_may_not_be_read(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: str) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", refuse)  # the tests may run as a user whom nothing is closed to
    with pytest.raises(InputError, match=r"the folder cannot be read \(Permission denied\)"):
        find_photos([str(photos)])
