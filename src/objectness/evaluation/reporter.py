"""Messages and progress of an evaluation on its way."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass


def _silent(sentence: str) -> None:
    pass


@contextmanager
def _no_bar(words: str, total: int) -> Iterator[Callable[[], None]]:
    yield lambda: None


def _warn(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=2)


@dataclass(frozen=True)
class Reporter:
    """Functions that are called while an evaluation runs.

    Attributes:
        note: Takes sentences that are good to know, as ``print``; silent by default.
        warn: Takes sentences that change how the figures are read, as a photograph that could not be used; Python's
            own warnings by default.
        progress: From a title and a number of steps to a context, whose value is called after each step.
    """

    note: Callable[[str], object] = _silent
    warn: Callable[[str], object] = _warn
    progress: Callable[[str, int], AbstractContextManager[Callable[[], None]]] = _no_bar
