"""What a path holds, as far as its beginning tells: enough to guess the format, cheap on files of gigabytes."""

from __future__ import annotations

import mmap
import os
import pickletools
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from objectness.errors import InputError

_HEAD = 1 << 16
_SPACE = b"\xef\xbb\xbf \t\r\n"


@dataclass(frozen=True)
class Peek:
    """A path, looked at.

    Attributes:
        path: The file or folder.
        is_folder: Whether it is a folder.
    """

    path: Path
    is_folder: bool

    @cached_property
    def head(self) -> bytes:
        """The first 64 KB; nothing for a folder and for what cannot be read."""
        if self.is_folder:
            return b""
        try:
            with self.path.open("rb") as file:
                return file.read(_HEAD)
        except (OSError, ValueError):
            return b""

    @cached_property
    def json_shape(self) -> tuple[str, frozenset[str]]:
        """How a JSON document begins: its brackets up to the first object, and that object's keys in the head.

        A list of objects gives ("[{", keys of the first), an object ("{", its own), an empty list ("[", none);
        everything that is no JSON ("", none).
        """
        return _shape(self.head)

    @cached_property
    def first_line(self) -> str:
        """The first line as text."""
        return self.head.lstrip(_SPACE).split(b"\n", 1)[0].decode("utf-8", "replace").strip()

    @cached_property
    def is_pickle(self) -> bool:
        """A pickle, as far as its first and last byte tell."""
        if self.head[:1] == b"\x80":
            return self.head[1:2] <= b"\x05"
        return self.head[:2] in (b"(l", b"(d")  # the first, textual protocol

    @cached_property
    def pickled(self) -> str:
        """What a pickle holds outermost: "dict", "list" or "" (anything else)."""
        try:
            for code, _, _ in pickletools.genops(self.head):
                match code.name:
                    case "PROTO" | "FRAME" | "MARK":
                        continue
                    case "EMPTY_DICT" | "DICT":
                        return "dict"
                    case "EMPTY_LIST" | "LIST":
                        return "list"
                    case _:
                        return ""
        except Exception:  # a damaged one fails in many ways; whoever reads it will say how
            return ""
        return ""

    def has_word(self, word: str) -> bool:
        """Whether a pickle holds this text as a whole (not "bboxes" for "boxes")."""
        letters = word.encode()
        size = len(letters)
        starts = (
            b"X" + size.to_bytes(4, "little"),
            b"\x8c" + bytes([size]),
            b"U" + bytes([size]),
            b"T" + size.to_bytes(4, "little"),
            b"S'",
            b"V",
        )
        return any(self.mentions(start + letters) for start in starts)

    def mentions(self, word: bytes) -> bool:
        """Whether these bytes occur anywhere in the file."""
        if word in self.head:
            return True
        if self.is_folder or len(self.head) < _HEAD:
            return False
        try:
            with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return content.find(word) >= 0
        except (OSError, ValueError):
            return False


def peek(path: Path) -> Peek:
    """Look at a path."""
    try:
        return Peek(path, path.is_dir())
    except (OSError, ValueError):  # a name that no file can have
        return Peek(path, False)


def present(path: Path | str) -> Path:
    """The path, if it is a file or a folder.

    Raises:
        InputError: there is nothing, the name is none that a file can have, or it is a pipe or a device.
    """
    # os.path, as the methods of Path raise for a name that is too long.
    if not os.path.exists(path):  # noqa: PTH110
        raise InputError(f"{str(path)[:300]} cannot be read: No such file or folder.")
    if not os.path.isfile(path) and not os.path.isdir(path):  # noqa: PTH112, PTH113
        raise InputError(f"{path} cannot be read: it is neither a file nor a folder; save it to a file first.")
    return Path(path)


def _shape(head: bytes) -> tuple[str, frozenset[str]]:
    text = head.lstrip(_SPACE)
    if text[:1] not in (b"[", b"{"):
        return "", frozenset()
    opening = ""
    keys: set[str] = set()
    depth, position, size = 0, 0, len(text)
    target = 0  # the depth at which the first object's keys stand
    while position < size:
        byte = text[position : position + 1]
        if byte in b"{[":
            depth += 1
            if not target:
                opening += byte.decode()
                if byte == b"{" or len(opening) == 3:
                    target = depth
        elif byte in b"}]":
            depth -= 1
            if depth < (target or 1):
                break
        elif byte == b'"':
            end = _string_end(text, position + 1)
            after = text[end + 1 : end + 20].lstrip(b" \t\r\n")
            if depth == target and after[:1] == b":":
                keys.add(text[position + 1 : end].decode("utf-8", "replace"))
            position = end
        elif not target and byte not in b" \t\r\n":
            break  # a list of plain values
        position += 1
    return opening, frozenset(keys)


def _string_end(text: bytes, start: int) -> int:
    position = start
    while True:
        quote = text.find(b'"', position)
        if quote < 0:
            return len(text)
        slashes = quote - 1
        while slashes >= start and text[slashes : slashes + 1] == b"\\":
            slashes -= 1
        if (quote - 1 - slashes) % 2 == 0:
            return quote
        position = quote + 1
