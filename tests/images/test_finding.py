from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from objectness.errors import InputError
from objectness.images import finding
from objectness.images.finding import counted, find_photos, is_image, walk


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    names = ["b.jpg", "a.PNG", "sub/c.webp", "sub/ünï 写真.jpeg", "note.txt", "readme.md", ".hidden.jpg"]
    for name in [*names, ".cache/d.jpg", "a.proposals.png", "empty/x.md"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def _names(found: Sequence[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in found]


def test_nothing_named() -> None:
    with pytest.raises(InputError, match="Name a photograph"):
        find_photos([])


def test_a_folder_stands_for_its_photographs_and_its_subfolders(photos: Path) -> None:
    assert _names(find_photos([str(photos)]).photos, photos) == ["a.PNG", "b.jpg", "sub/c.webp", "sub/ünï 写真.jpeg"]


def test_patterns(photos: Path) -> None:
    assert _names(find_photos([str(photos / "*.jpg")]).photos, photos) == ["b.jpg"]
    assert _names(find_photos([str(photos / "**" / "*.*")]).photos, photos) == [
        "a.PNG",
        "b.jpg",
        "sub/c.webp",
        "sub/ünï 写真.jpeg",
    ]
    (photos / "x[1].jpg").write_text("")
    assert _names(find_photos([str(photos / "x[1].jpg")]).photos, photos) == ["x[1].jpg"]  # it exists: no pattern


def test_a_list_is_taken_from_its_own_folder_else_from_here(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = photos / "sub" / "list.TXT"
    elsewhere.write_text("\ufeff# my photos\n\nc.webp\r\nb.jpg\n/no/such.jpg\nmissing.jpg\n", encoding="utf-8")
    monkeypatch.chdir(photos)
    assert list(find_photos([str(elsewhere)]).photos) == [
        photos / "sub" / "c.webp",
        Path("b.jpg"),
        Path("/no/such.jpg"),
        photos / "sub" / "missing.jpg",
    ]


def test_order_is_as_typed_and_each_file_comes_once(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    found = find_photos(["sub", "b.jpg", "./b.jpg", str(photos / "b.jpg"), str(photos)])
    assert [path.name for path in found.photos] == ["c.webp", "ünï 写真.jpeg", "b.jpg", "a.PNG"]


def test_a_file_is_taken_whatever_its_suffix_and_a_missing_one_is_kept(photos: Path) -> None:
    named = [str(photos / "readme.md"), str(photos / "missing.jpg"), str(photos / "a.proposals.png")]
    assert [str(path) for path in find_photos(named).photos] == named


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
    with pytest.raises(InputError, match=r"binary\.txt is not UTF-8 text"):
        find_photos([str(photos / "binary.txt")])


def test_a_folder_that_may_not_be_read(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: str) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", refuse)  # the tests may run as a user whom nothing is closed to
    with pytest.raises(InputError, match=r"the folder cannot be read \(Permission denied\)"):
        find_photos([str(photos)])


def test_what_is_not_taken_is_counted_by_kind(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "can_read_heif", lambda: False)
    for name in ("a.HEIC", "sub/b.heic", "sub/film.mp4", "film.MP4", "film.mov", "README"):
        (photos / name).write_text("x")
    found = find_photos([str(photos)])
    kinds = {".heic": 2, ".mp4": 2, ".mov": 1, ".txt": 1, ".md": 2, "no suffix": 1, "hidden": 2, "drawn": 1}
    assert found.passed_over == kinds
    assert len(found.photos) == 4
    assert counted(found.passed_over).startswith("2 .heic, 2 .md, 2 .mp4, 2 hidden, 1 ")
    assert find_photos([str(photos / "sub" / "*")]).passed_over == {".heic": 1, ".mp4": 1}
    with pytest.raises(InputError, match=r"no photograph in this folder, but 1 \.md"):
        find_photos([str(photos / "empty")])
    monkeypatch.setattr(finding, "can_read_heif", lambda: True)
    assert ".heic" not in find_photos([str(photos)]).passed_over
    assert len(find_photos([str(photos)]).photos) == 6


def test_linked_folders_are_followed_once_and_loops_end(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = tmp_path_factory.mktemp("store")
    (store / "z.jpg").write_text("")
    (store / "back").symlink_to(photos)
    for name in ("one", "two"):
        (photos / name).symlink_to(store)
    (photos / "sub" / "up").symlink_to(photos)
    (photos / "a linked sub").symlink_to(photos / "sub")
    (photos / "lost").symlink_to(photos / "nowhere")
    expected = ["a.PNG", "b.jpg", "one/z.jpg", "sub/c.webp", "sub/ünï 写真.jpeg"]
    assert _names(walk(photos).images, photos) == expected  # a folder's own place comes before the links to it
    assert _names(find_photos([str(photos)]).photos, photos) == expected


def test_a_closed_folder_is_passed_over_and_named(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really = os.scandir

    def scan(place: Path) -> object:
        if Path(place).name == "sub":
            raise PermissionError(13, "Permission denied")
        return really(place)

    monkeypatch.setattr(os, "scandir", scan)  # the tests may run as a user whom nothing is closed to
    found = find_photos([str(photos)])
    assert _names(found.photos, photos) == ["a.PNG", "b.jpg"]
    sub = str(photos / "sub")
    why = f"{sub}: the folder cannot be read (Permission denied); what is in it was passed over."
    assert found.failed == {sub: why}
    with pytest.raises(InputError, match="cannot be read"):
        find_photos([sub])


def test_an_address_and_standard_input_are_told_in_one_sentence(photos: Path) -> None:
    found = find_photos(["https://example.com/a.jpg", "-", str(photos / "b.jpg")])
    assert found.photos == (photos / "b.jpg",)
    assert found.failed["https://example.com/a.jpg"].startswith("https://example.com/a.jpg: is an address, and nothing")
    assert found.failed["-"].startswith("-: photographs are not read from standard input; save")
    for source in ("https://example.com/a.jpg", "-"):
        with pytest.raises(InputError, match=r"an address|standard input"):
            find_photos([source])


@pytest.mark.parametrize("name", ["a\0b.jpg", "a\0*.jpg", "half \ud800.jpg", "half \ud800*.jpg"])
def test_a_name_that_no_file_can_have_takes_no_other_with_it(photos: Path, name: str) -> None:
    found = find_photos([str(photos / "b.jpg"), str(photos / name)])
    assert found.photos == (photos / "b.jpg", photos / name)


def test_drawn_pictures_are_no_photographs_of_a_folder() -> None:
    names = ["a.proposals.jpg", "a.proposals.PNG", ".a.jpg", "a.jpg", "a.proposals", "a.HEIC", "a.txt"]
    assert [is_image(Path(name)) for name in names] == [False, False, False, True, False, True, False]


def test_patterns_with_two_stars_end_in_spite_of_loops(photos: Path) -> None:
    for name in ("sub/one", "sub/two", "three"):
        (photos / name).symlink_to(photos)
    assert _names(find_photos([str(photos / "**")]).photos, photos) == [
        "a.PNG",
        "b.jpg",
        "sub/c.webp",
        "sub/ünï 写真.jpeg",
    ]
    assert _names(find_photos([str(photos / "**" / "sub" / "*.webp")]).photos, photos) == ["sub/c.webp"]
    assert _names(find_photos([str(photos / "s*" / "**" / "c.*")]).photos, photos) == ["sub/c.webp"]


@pytest.mark.parametrize("empty", ["empty", "*.bmp", "note.txt", "binary.txt"])
def test_a_source_without_a_photograph_takes_no_other_with_it(photos: Path, empty: str) -> None:
    (photos / "binary.txt").write_bytes(b"\xff\xfe\x00\xd8")
    found = find_photos([str(photos / empty), str(photos / "b.jpg")])
    assert found.photos == (photos / "b.jpg",)
    assert list(found.failed) == [str(photos / empty)]
    assert "no photograph" in found.failed[str(photos / empty)] or "not UTF-8" in found.failed[str(photos / empty)]


def test_an_address_in_a_list_is_named_as_it_stands(photos: Path) -> None:
    (photos / "list.txt").write_text("https://example.com/a.jpg\nb.jpg\n")
    found = find_photos([str(photos / "list.txt")])
    assert found.photos == (photos / "b.jpg",)
    assert found.failed["https://example.com/a.jpg"].startswith("https://example.com/a.jpg: is an address")


def test_an_empty_name_is_not_the_working_folder(photos: Path) -> None:
    with pytest.raises(InputError, match="An empty name was given"):
        find_photos([""])
    assert find_photos(["", str(photos / "b.jpg")]).photos == (photos / "b.jpg",)
