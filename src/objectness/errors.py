"""User-facing errors, each one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 2000


class InputError(ValueError):
    """Input that cannot be used: the message says what was wrong, where, and what to do.

    The command line prints the message alone (exit code 2); anything else that is raised is a defect of ours
    and keeps its traceback. A name of many kilobytes, as an untrusted file may hold, is cut out of the middle.

    Attributes:
        arguments: Names of the library's arguments that would help ("dataset", "source_format"); the command line
            adds its own options for them to the sentence.
    """

    def __init__(self, message: str = "", *, arguments: Iterable[str] = ()) -> None:
        if len(message) > _LONGEST:
            message = f"{message[: _LONGEST - 500]} ... {message[-400:]}"
        super().__init__(message)
        self.arguments = tuple(arguments)


def to_keep(error: InputError) -> InputError:
    """The error without its traceback and causes, which would keep the pixels of a photograph in memory."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error


class MissingContextError(InputError):
    """A sound file that cannot be read without further context: a data set, say."""


class NotInstalledError(InputError):
    """A package that is needed is not installed."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Name the nearest known word, or list them all: the tail of a sentence about an unknown ``name``."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}."
