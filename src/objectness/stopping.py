"""Ctrl-C, a polite kill (SIGTERM) and a closed terminal (SIGHUP) are one thing: a wish that the program ends.

The command line turns all of them into KeyboardInterrupt, so that what keeps its results at Ctrl-C keeps them always,
and ends with 128 and the signal's number, as shells expect it: 130, 143, 129.
"""

from __future__ import annotations

import signal
import time
from types import FrameType

SIGNALS = tuple(
    number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None
)
_PATIENCE_SECONDS = 10.0  # a closing terminal sends two signals at once: the second must not end the saving

_received: list[tuple[int, float]] = []


def turn_signals_into_interrupts() -> None:
    """From now on these signals raise KeyboardInterrupt in the main thread; one that is ignored (nohup) stays so."""
    for number in SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _stop)


def begin() -> None:
    """A program begins: it has not been stopped."""
    _received.clear()


def note(number: int) -> bool:
    """Remember a signal, also for code that handles signals by itself.

    Returns:
        Whether it is a wish of its own: the first, another Ctrl-C, or one that comes much later.
    """
    now = time.monotonic()
    is_new = not _received or number == signal.SIGINT or now - _received[-1][1] > _PATIENCE_SECONDS
    if is_new:
        _received.append((number, now))
    return is_new


def stop_requested() -> bool:
    """Whether a signal came since the program began."""
    return bool(_received)


def exit_code() -> int:
    """The exit code of a program that was stopped."""
    return 128 + (_received[0][0] if _received else signal.SIGINT)


def _stop(number: int, frame: FrameType | None) -> None:
    if note(number):
        raise KeyboardInterrupt
