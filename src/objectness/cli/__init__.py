"""The command line, ``objectness COMMAND``: the table of commands, and how the program ends.

Every command lives in a file of its own that is imported when it is called, so that ``objectness --help`` stays quick.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup

from objectness.cli.help_panels import PanelledCommand
from objectness.cli.output import EXIT_INTERRUPTED, EXIT_WRONG_USE, print_error
from objectness.cli.streams import EXIT_NOBODY_READS, UnreadError, prepare, printable, silence
from objectness.errors import InputError
from objectness.stopping import begin, exit_code, stop_requested, turn_signals_into_interrupts


class _Command(NamedTuple):
    module: str
    summary: str


_COMMANDS = {
    "propose": _Command("objectness.cli.propose", "Find the boxes of photographs that may hold an object."),
    "detect": _Command("objectness.cli.detect", "Name the objects of photographs with a detector of your own."),
    "crops": _Command("objectness.cli.crops", "Cut the boxes that may hold an object out of photographs."),
    "train": _Command("objectness.cli.train", "Train a Region Proposal Network or a detector on your own boxes."),
    "evaluate": _Command(
        "objectness.cli.evaluate", "Measure the recall of models, proposals files and baselines; write a report."
    ),
    "compare": _Command("objectness.cli.compare", "Recall and time of several methods, side by side."),
    "check": _Command("objectness.cli.check", "Count a data set and list its faults."),
    "benchmark": _Command("objectness.cli.benchmark", "Time models on this machine, from file to boxes."),
    "anchors": _Command("objectness.cli.anchors", "Measure how well anchors fit a data set, and suggest better ones."),
    "convert": _Command("objectness.cli.convert", "Convert a proposals file to the format of another framework."),
    "validate": _Command("objectness.cli.validate", "List the faults of a proposals file and their consequences."),
    "data": _Command("objectness.cli.data", "Convert a data set, or split it into training, validation and test."),
    "export": _Command("objectness.cli.export", "Export a checkpoint to one ONNX file that needs no PyTorch."),
}


class _LazyGroup(TyperGroup):
    """A group whose commands are imported on first use, and that has one way to end."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        if args is None:
            args = sys.argv[1:]

        def run() -> Any:
            return super(_LazyGroup, self).main(args, prog_name, complete_var, False, windows_expand_args, **extra)

        return sys.exit(finish(run, "--json" in args)) if standalone_mode else run()

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _COMMANDS:
            return None
        if cmd_name not in self.commands:
            module = import_module(_COMMANDS[cmd_name].module)
            if not (group := getattr(module, "group", None)):  # a command of commands, as ``objectness data``
                group = typer.Typer(add_completion=False, rich_markup_mode=None)
                group.command(name=cmd_name, cls=PanelledCommand)(module.command)
            self.commands[cmd_name] = typer.main.get_command(group)
        return self.commands[cmd_name]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in _COMMANDS.items()])


app = typer.Typer(
    cls=_LazyGroup,
    name="objectness",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Region proposals: the boxes of a photograph that may hold an object.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from objectness.version import __version__

        typer.echo(f"objectness {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Region proposals: the boxes of a photograph that may hold an object."""


def main() -> None:
    """Run the command line (the ``objectness`` script)."""
    prepare()
    turn_signals_into_interrupts()
    app()


def finish(run: Callable[[], Any], as_json: bool) -> int:
    """Run the command line; give the exit code.

    Args:
        run: The command line: raises errors about the arguments, returns an exit code or nothing.
        as_json: Whether errors are JSON documents too.
    """
    begin()
    try:
        ended = run()
        code = ended if isinstance(ended, int) else 0
        code = exit_code() if code == EXIT_INTERRUPTED else code
    except InputError as error:
        print_error(str(error), as_json)
        code = EXIT_WRONG_USE
    except (KeyboardInterrupt, typer.Abort):
        print_error("stopped.", as_json)
        code = exit_code()
    except (ImportError, SystemError):
        if not stop_requested():
            raise
        print_error("stopped.", as_json)  # a library that is written in C was being imported, and said it so
        code = exit_code()
    except UnreadError as error:
        return _unread(error.reason)
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's own, of a class that is its private matter
            raise
        code = _misused(error, as_json)
    try:
        sys.stdout.flush()
    except UnreadError as error:
        return _unread(error.reason)
    return code


def _unread(reason: OSError) -> int:
    silence()
    if reason.errno == errno.EPIPE:
        return EXIT_NOBODY_READS
    print_error(f"standard output cannot be written ({reason.strerror or reason}).", as_json=False)
    return EXIT_WRONG_USE


def _misused(error: Any, as_json: bool) -> int:
    error.message = printable(error.message)
    if as_json:
        print_error(error.format_message(), as_json)
    else:
        with suppress(OSError):
            error.show()
    return int(error.exit_code)
