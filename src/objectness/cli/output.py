"""Output that all commands share: streams, tables, and the end of a command.

Results go to standard output (as a table, or as one JSON document with ``--json``), everything else to standard
error. Exit codes: 0 done, 1 some inputs failed, 2 wrong use, 130 stopped by Ctrl-C (143 by a kill, 129 by a closed
terminal), 141 when nobody reads what is printed. With ``--json`` an error is a document too: ``{"error": sentence}``.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TextIO, TypeVar, cast, get_type_hints

import typer
from typer.models import OptionInfo

from objectness.cli.streams import Unfailing, printable
from objectness.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

EXIT_SOME_FAILED = 1
EXIT_WRONG_USE = 2
EXIT_INTERRUPTED = 130  # becomes 143 or 129 where it was another signal (see ``cli.finish``)

_OPTIONS = {"dataset": "--data", "source_format": "--from", "target_format": "--to"}  # where the name is another
_WIDEST, _FOLDED = 400, 12

JsonFlag = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document on standard output; progress goes to standard error."),
]
QuietFlag = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No progress, no notes, no word on files written: only figures and errors."),
]
AllowOutsideFlag = Annotated[
    bool,
    typer.Option("--allow-outside", help="Let the names in the data set's files lead out of its folder."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of everything that is drawn by chance.")]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Output:
    """Where one command writes; what it prints is made printable here and nowhere else.

    Attributes:
        as_json: Print one JSON document instead of tables.
        quiet: No progress, no notes and no summary of files that were written; warnings and errors stay.
    """

    as_json: bool = False
    quiet: bool = False

    @property
    def progress(self) -> Console:
        """A rich console on standard error for progress and notes; silent with ``--quiet``."""
        return _console(to_errors=True, quiet=self.quiet)

    @property
    def tables(self) -> Console:
        """A rich console on standard output for tables; silent with ``--json``."""
        return _console(quiet=self.as_json)

    def table(self, table: Table) -> None:
        """Print a table; a narrow terminal may break its lines, but no column is cut or left out."""
        from rich.measure import Measurement

        console = self.tables
        folding = [column for column in table.columns if column.overflow == "fold"]
        for column in folding:  # may become as narrow as this
            column.max_width = _FOLDED
        needed = Measurement.get(console, console.options.update(width=_WIDEST), table).maximum
        for column in folding:
            column.max_width = None
        console.width = max(console.width, needed)
        console.print(table)

    def note(self, sentence: str) -> None:
        """Say something that is good to know (standard error, silent with ``--quiet``)."""
        if not self.quiet:
            self.warn(sentence)

    def warn(self, sentence: str) -> None:
        """Say something that the user must see (standard error, always)."""
        _say(sentence)

    def summary(self, line: str) -> None:
        """Say on standard output which files were written; silent with ``--json`` and ``--quiet``."""
        if not (self.as_json or self.quiet):
            print(printable(line))

    def result(self, document: Any) -> None:
        """Print the JSON document where ``--json`` asked for it; the last that a command does."""
        if self.as_json:
            print(json.dumps(document, indent=2, allow_nan=False))

    def result_lines(self, pieces: Iterable[str]) -> None:
        """The same for a document that is too long to be held at once: pieces of its text."""
        if self.as_json:
            for piece in pieces:
                sys.stdout.write(piece)


@contextmanager
def bar(output: Output, words: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar with counts and time left, on a terminal only; gives the function that advances it."""
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
    """A function that wraps a loop of the library to show its progress."""

    def track(items: Iterable[Any]) -> Iterable[Any]:
        if output.quiet or not sys.stderr.isatty():
            return items
        from rich.progress import track as tracked

        return tracked(items, words, console=output.progress, transient=True)

    return track


def one_sentence_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Turn a user's mistake into one sentence and exit code 2, and Ctrl-C or a kill into exit code 130 or 143."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        as_json = bool(kwargs.get("as_json"))
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module=r"PIL\.")  # of odd metadata: no photograph is named in them
                return function(*args, **kwargs)
        except InputError as error:
            print_error(with_options(error, function), as_json)
            raise typer.Exit(EXIT_WRONG_USE) from None
        except MemoryError:
            print_error("this does not fit into memory: give fewer or smaller inputs.", as_json)
            raise typer.Exit(EXIT_WRONG_USE) from None
        except KeyboardInterrupt as stop:
            print_error(f"{stop.args[0] if stop.args else 'stopped'}.", as_json)
            raise typer.Exit(EXIT_INTERRUPTED) from None

    return wrapped


def with_options(error: InputError, command: Callable[..., object]) -> str:
    """The message of an error, with the command's options for the arguments that would help."""
    if not error.arguments:
        return str(error)
    own = {
        next(
            # Inside of Annotated, the first word of an option is its "default".
            (word for word in (option.default, *(option.param_decls or ())) if str(word).startswith("--")),
            f"--{name.replace('_', '-')}",
        )
        for name, hint in get_type_hints(command, include_extras=True).items()
        for option in getattr(hint, "__metadata__", ())
        if isinstance(option, OptionInfo)
    }
    wanted = [_OPTIONS.get(name, f"--{name.replace('_', '-')}") for name in error.arguments]
    named = " or ".join(option for option in wanted if option in own)
    return f"{str(error).removesuffix('.')} ({named})." if named else str(error)


def print_error(sentence: str, as_json: bool) -> None:
    """Say what went wrong: a sentence on standard error, and with ``--json`` a document on standard output."""
    _say(f"objectness: {sentence}")
    if as_json:
        print(json.dumps({"error": sentence}, indent=2))


def _say(line: str) -> None:
    with suppress(OSError):  # nobody listens, and that ends no work
        print(printable(line), file=sys.stderr)


def _console(*, to_errors: bool = False, quiet: bool = False) -> Console:
    from rich.console import Console
    from rich.segment import Segment

    class Printable(Console):
        """A console to which no file or class name can send escape codes."""

        def render(self, *args: Any, **kwargs: Any) -> Iterable[Segment]:
            for segment in super().render(*args, **kwargs):
                yield segment if segment.control else Segment(printable(segment.text), segment.style)

    # Names hold [brackets] and :colons:, which mean nothing here.
    file = cast("TextIO", Unfailing(sys.stderr)) if to_errors else None
    return Printable(file=file, quiet=quiet, highlight=False, markup=False, emoji=False)
