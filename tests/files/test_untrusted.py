"""Files that others made end in their content or in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from objectness.errors import InputError
from objectness.files.untrusted import is_inside, load_json, parse_json, read_bytes, read_text, regular_file


def test_a_pipe_is_refused_at_once_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="pipe or a device"):
        load_json(pipe)


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null"])
def test_devices_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="pipe or a device"):
        read_bytes(name)


def test_folders_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        regular_file(tmp_path)
    with pytest.raises(InputError, match=r"nothing\.txt is missing"):
        regular_file(tmp_path / "nothing.txt")


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b", "x" * 5000])
def test_names_that_no_file_can_have_end_in_a_sentence(name: str) -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        regular_file(name)


def test_what_is_larger_than_it_may_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", most=5) == b"12345"
    with pytest.raises(InputError, match="larger than 4 bytes"):
        read_bytes(tmp_path / "a", most=4)


def test_a_byte_order_mark_is_dropped_and_other_encodings_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfh\xc3\xa9")
    assert read_text(tmp_path / "a") == "h\u00e9"
    (tmp_path / "b").write_bytes("h\u00e9".encode("latin-1"))
    with pytest.raises(InputError, match=r"is not UTF-8 text \(byte 2\)"):
        read_text(tmp_path / "b")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        ("[1" + "0" * 10_000 + "]", "thousands of digits"),
        ("[1, 2", "not valid JSON"),
        ("", "not valid JSON"),
    ],
)
def test_json_that_cannot_be_read_ends_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_json(text, "a.json")


def test_json_is_what_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": [1, 2.5, "\xc3\xa9"]}')
    assert load_json(tmp_path / "a.json") == {"a": [1, 2.5, "\u00e9"]}
    assert load_json(tmp_path / "a.json", object_hook=list) == ["a"]


def test_a_link_that_leaves_the_folder_is_outside(tmp_path: Path) -> None:
    inner, outer = tmp_path / "in", tmp_path / "out"
    inner.mkdir()
    outer.mkdir()
    (inner / "link").symlink_to(outer)
    assert is_inside(inner / "a" / "b.jpg", inner)
    assert is_inside(inner, inner)
    assert not is_inside(inner / "link" / "b.jpg", inner)
    assert not is_inside(inner / ".." / "out" / "b.jpg", inner)
    assert not is_inside(tmp_path / "in2" / "b.jpg", inner)
    assert not is_inside("a\0b", inner)
