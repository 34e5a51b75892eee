"""Standard output and standard error: printable in every encoding, and what happens when nobody reads them."""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata
from contextlib import suppress
from typing import Any, TextIO

EXIT_NOBODY_READS = 141  # 128 and SIGPIPE, as of any program that is piped into head

# What our sentences hold beyond ASCII, for terminals that lack it; a minus must not become a question mark.
_PLAIN = {
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{MIDDLE DOT}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "...",
}


def printable(text: str) -> str:
    """Text without what a terminal would obey: a file name may hold control codes, or bytes that are no UTF-8."""
    if text.isprintable():
        return text
    return "".join(letter if _is_harmless(letter) else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _is_harmless(letter: str) -> bool:
    # Spaces of other widths stand in names of screenshots; the joiner makes one emoji of several.
    return letter.isprintable() or letter in "\n\t\N{ZERO WIDTH JOINER}" or unicodedata.category(letter) == "Zs"


def prepare() -> None:
    """Make the standard streams take every letter, and be there even where they were closed."""
    for descriptor in (0, 1, 2):  # else the next file that is opened takes the place, and what is printed
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    codecs.register_error("objectness", _replaced)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="objectness")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.flush()
        sys.stdout.reconfigure(errors="objectness")
        if os.name != "nt" and sys.stdout is sys.__stdout__:  # a console there is no file
            sys.stdout = io.TextIOWrapper(
                io.BufferedWriter(_Watched(sys.stdout.fileno(), "wb", closefd=False)),
                encoding=sys.stdout.encoding,
                errors="objectness",
                line_buffering=sys.stdout.isatty(),
            )


class UnreadError(Exception):
    """Standard output takes nothing more; no OSError, so that nobody on the way takes it for another.

    Attributes:
        reason: The OSError.
    """

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason.strerror or str(reason))
        self.reason = reason


class _Watched(io.FileIO):
    """The file behind standard output, which says that it was standard output that failed."""

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError as error:
            raise UnreadError(error) from None


def silence() -> None:
    """Send what is still waiting for standard output nowhere, so that the end is quiet."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Unfailing(io.TextIOBase):
    """A stream whose failures end no work: for progress and notes.

    Args:
        stream: Where it writes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's."""
        return self._stream.encoding or "utf-8"

    def write(self, text: str) -> int:
        """Write as much as can be written."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what waits, if it can be."""
        with suppress(OSError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether someone looks at it."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The stream's."""
        return self._stream.fileno()


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(letter, "?") for letter in error.object[error.start : error.end]), error.end
