"""Recognition of a file's format by its beginning, cheap on files of gigabytes.

A format declares signatures as data (``Format.signatures``); ``fits`` compares them with a ``FileHead``. Code of a
format runs only where the declaration has a ``check``, and only where everything else fits.
"""

from __future__ import annotations

import mmap
import os
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

from objectness.errors import InputError

_HEAD = 1 << 16
_SPACE = b"\xef\xbb\xbf \t\r\n"
# A string and whether it is a key, a bracket, or the beginning of any other value.
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*+)(?:"(\s*:)?|\\?\Z)|([\[\]{}])|[^\s,:"\[\]{}]+', re.DOTALL)


class Content(Enum):
    """The kind of contents, as far as the first bytes tell."""

    FOLDER = "folder"
    JSON = "JSON"
    PICKLE = "pickle"
    OTHER = "other"


@dataclass(frozen=True)
class Signature:
    """Beginnings by which a format is recognised; everything that is given must fit.

    Attributes:
        content: The kind of contents; None for any.
        starts: The first bytes.
        outermost: The brackets of JSON up to the first object ("[{"; "[]" for an empty list), or the outermost
            object of a pickle ("dict", "list"): one of these.
        keys: Keys of the first JSON object, or whole texts in a pickle: all of these.
        any_key: At least one of these.
        no_key: None of these.
        mentions: Bytes that occur anywhere in the file.
        suffixes: Of the file's name.
        check: Whatever else must hold.
    """

    content: Content | None = None
    starts: bytes = b""
    outermost: tuple[str, ...] = ()
    keys: frozenset[str] = frozenset()
    any_key: frozenset[str] = frozenset()
    no_key: frozenset[str] = frozenset()
    mentions: tuple[bytes, ...] = ()
    suffixes: tuple[str, ...] = ()
    check: Callable[[FileHead], bool] | None = None


@dataclass(frozen=True)
class FileHead:
    """The beginning of a file, or a folder.

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
    def content(self) -> Content:
        """The kind of contents."""
        if self.is_folder:
            return Content.FOLDER
        if self.head.lstrip(_SPACE)[:1] in (b"[", b"{"):
            return Content.JSON
        is_binary_pickle = self.head[:1] == b"\x80" and self.head[1:2] <= b"\x05"
        is_text_pickle = self.head[:2] in (b"(l", b"(d")  # protocol 0
        return Content.PICKLE if is_binary_pickle or is_text_pickle else Content.OTHER

    @cached_property
    def outermost(self) -> str:
        """Brackets of a JSON document up to the first object, or "dict" or "list" of a pickle; else nothing."""
        match self.content:
            case Content.JSON:
                return self._json[0]
            case Content.PICKLE:
                return _outermost_of_pickle(self.head)
            case _:
                return ""

    def has_key(self, key: str) -> bool:
        """Whether the first JSON object has this key in the head, or a pickle holds this text as a whole."""
        return key in self._json[1] if self.content is Content.JSON else self._holds_text(key)

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

    @cached_property
    def _json(self) -> tuple[str, frozenset[str]]:
        return _json_shape(self.head.lstrip(_SPACE))

    def _holds_text(self, text: str) -> bool:
        """Whether a pickle holds a text as a whole (not "bboxes" for "boxes"), in any protocol's spelling."""
        letters = text.encode()
        size = len(letters)
        long, short = size.to_bytes(4, "little"), bytes([size])
        starts = (b"X" + long, b"\x8c" + short, b"U" + short, b"T" + long, b"S'", b"V")
        return any(self.mentions(start + letters) for start in starts)


def file_head(path: Path) -> FileHead:
    """The beginning of a file, or a folder."""
    try:
        return FileHead(path, path.is_dir())
    except (OSError, ValueError):  # a name that no file can have
        return FileHead(path, False)


def fits(head: FileHead, signature: Signature) -> bool:
    """Whether a file has a signature; the cheap questions come first."""
    return (
        signature.content in (None, head.content)
        and head.head.startswith(signature.starts)
        and (not signature.suffixes or head.path.suffix.lower() in signature.suffixes)
        and (not signature.outermost or head.outermost in signature.outermost)
        and all(map(head.has_key, signature.keys))
        and (not signature.any_key or any(map(head.has_key, signature.any_key)))
        and not any(map(head.has_key, signature.no_key))
        and all(map(head.mentions, signature.mentions))
        and (signature.check is None or signature.check(head))
    )


def existing_path(path: Path | str) -> Path:
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


def _outermost_of_pickle(head: bytes) -> str:
    try:
        for code, _, _ in pickletools.genops(head):
            match code.name:
                case "PROTO" | "FRAME" | "MARK":
                    continue
                case "EMPTY_DICT" | "DICT":
                    return "dict"
                case "EMPTY_LIST" | "LIST":
                    return "list"
                case _:
                    return ""
    except Exception:  # a damaged pickle fails in many ways; its reader says how
        return ""
    return ""


def _json_shape(text: bytes) -> tuple[str, frozenset[str]]:
    """Brackets up to the first object (of at most three), and the keys of that object that stand in ``text``."""
    opening, keys = "", set[str]()
    depth = target = 0  # target: the depth of the first object's keys
    for token in _TOKEN.finditer(text):
        string, is_key, bracket = token.groups()
        if bracket in (b"[", b"{"):
            depth += 1
            if not target:
                opening += bracket.decode()
                target = depth if bracket == b"{" or len(opening) == 3 else 0
        elif bracket is not None:
            if opening == "[" and b"".join(text.split()) == b"[]":
                return "[]", frozenset()
            depth -= 1
            if depth < (target or 1):
                break
        elif string is not None:
            if is_key and depth == target:
                keys.add(string.decode("utf-8", "replace"))
        elif not target:
            break  # a list of plain values
    return opening, frozenset(keys)
