"""One progress bar on standard error, where someone looks at it; elsewhere nothing is even imported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from objectness.cli.output import Output


@contextmanager
def bar(output: Output, words: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar with counts and time left, that goes when it is done; gives the function that moves it by one."""
    # A log file wants no bar, and one step is none.
    if total < 2 or output.quiet or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=output.progress, transient=True) as progress:
        task = progress.add_task(words, total=total)
        yield lambda: progress.advance(task)


def tracker(output: Output, words: str) -> Callable[[Iterable[Any]], Iterable[Any]]:
    """A function that wraps a loop to show how far it is, for loops that do not stand in a command."""

    def track(items: Iterable[Any]) -> Iterable[Any]:
        if output.quiet or not sys.stderr.isatty():
            return items
        from rich.progress import track as tracked

        return tracked(items, words, console=output.progress, transient=True)

    return track
