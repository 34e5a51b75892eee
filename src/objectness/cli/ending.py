"""How the program ends: what typer refuses, and what can happen to standard output."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import typer

from objectness import stopping
from objectness.cli.output import EXIT_INTERRUPTED, EXIT_WRONG_USE, tell_error
from objectness.cli.streams import EXIT_NOBODY_READS, UnreadError, printable, silence
from objectness.errors import InputError


def finish(run: Callable[[], Any], as_json: bool) -> int:
    """Run the command line; give the exit code.

    Args:
        run: The command line, which raises what is wrong with the arguments and returns an exit code or nothing.
        as_json: Whether errors are JSON documents too.
    """
    stopping.begin()
    try:
        ended = run()
        code = ended if isinstance(ended, int) else 0
        code = stopping.exit_code() if code == EXIT_INTERRUPTED else code
    except InputError as error:
        tell_error(str(error), as_json)
        code = EXIT_WRONG_USE
    except (KeyboardInterrupt, typer.Abort):
        tell_error("stopped.", as_json)
        code = stopping.exit_code()
    except (ImportError, SystemError):
        if not stopping.is_wished():
            raise
        tell_error("stopped.", as_json)  # a library that is written in C was being imported, and said it so
        code = stopping.exit_code()
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
    tell_error(f"standard output cannot be written ({reason.strerror or reason}).", as_json=False)
    return EXIT_WRONG_USE


def _misused(error: Any, as_json: bool) -> int:
    error.message = printable(error.message)
    if as_json:
        tell_error(error.format_message(), as_json)
    else:
        with suppress(OSError):
            error.show()
    return int(error.exit_code)
