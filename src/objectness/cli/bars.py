"""One progress bar on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from objectness.cli.output import Output


@contextmanager
def bar(output: Output, words: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar with counts and time left, that goes when it is done; gives the function that moves it by one."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # A log file wants no bar. Disabled rather than silent: a silent console would swallow the warnings too.
    with Progress(
        *columns, console=output.progress, transient=True, disable=output.quiet or not output.progress.is_terminal
    ) as progress:
        task = progress.add_task(words, total=total)
        yield lambda: progress.advance(task)
