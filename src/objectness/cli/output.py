"""What every command shares: where its words go and how it ends.

Results go to standard output (as a table, or as one JSON document with ``--json``), everything else to standard
error. Exit codes: 0 done, 1 some inputs failed, 2 wrong use, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

from objectness.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

EXIT_SOME_FAILED = 1
EXIT_WRONG_USE = 2
EXIT_INTERRUPTED = 130

JsonFlag = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document on standard output; progress goes to standard error."),
]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the result.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of everything that is drawn by chance.")]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Output:
    """Where one command writes.

    Attributes:
        as_json: Print one JSON document instead of tables.
        quiet: No progress and no notes; warnings and errors stay.
    """

    as_json: bool = False
    quiet: bool = False

    @property
    def progress(self) -> Console:
        """A rich console on standard error for progress and notes; silent with ``--quiet``."""
        from rich.console import Console

        return Console(stderr=True, quiet=self.quiet, highlight=False)

    @property
    def tables(self) -> Console:
        """A rich console on standard output for tables; silent with ``--json``."""
        from rich.console import Console

        return Console(quiet=self.as_json, highlight=False)

    def note(self, sentence: str) -> None:
        """Say something that is good to know (standard error, silent with ``--quiet``)."""
        if not self.quiet:
            print(sentence, file=sys.stderr)

    def warn(self, sentence: str) -> None:
        """Say something that the user must see (standard error, always)."""
        print(sentence, file=sys.stderr)

    def result(self, document: Any) -> None:
        """Print the JSON document where ``--json`` asked for it."""
        if self.as_json:
            print(json.dumps(document, indent=2, allow_nan=False))


def one_sentence_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Turn a user's mistake into one sentence and exit code 2, and Ctrl-C into exit code 130."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except InputError as error:
            print(f"objectness: {error}", file=sys.stderr)
            raise typer.Exit(EXIT_WRONG_USE) from None
        except KeyboardInterrupt:
            print("objectness: stopped.", file=sys.stderr)
            raise typer.Exit(EXIT_INTERRUPTED) from None

    return wrapped
