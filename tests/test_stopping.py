"""Signals end a program in one way. Each case is a process of its own: the one that runs the tests is not signalled."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = """
import os, signal
from objectness import stopping
for number in stopping.SIGNALS:
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
stopping.turn_signals_into_interrupts()
def stopped(*numbers):
    try:
        for number in numbers:
            os.kill(os.getpid(), number)
    except KeyboardInterrupt:
        return True
    return False
"""


def said(program: str) -> str:
    """What a program prints that begins by heeding signals."""
    done = subprocess.run([sys.executable, "-c", BEGIN + program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_a_kill_is_ctrl_c_with_an_exit_code_of_its_own(name: str, code: int) -> None:
    assert said(f"print(stopped(signal.{name}), stopping.exit_code())") == f"True {code}"


def test_whether_a_signal_came_is_known() -> None:
    assert (
        said("print(stopping.stop_requested(), stopped(signal.SIGINT), stopping.stop_requested())") == "False True True"
    )


def test_the_second_signal_of_a_closing_terminal_does_not_end_the_saving() -> None:
    program = "print(stopped(signal.SIGHUP), stopped(signal.SIGTERM, signal.SIGHUP), stopping.exit_code())"
    assert said(program) == "True False 129"


def test_a_kill_much_later_is_a_new_one() -> None:
    program = "print(stopped(signal.SIGTERM)); stopping._PATIENCE_SECONDS = 0.0; print(stopped(signal.SIGTERM))"
    assert said(program) == "True\nTrue"


def test_what_is_ignored_stays_so() -> None:
    program = (
        "signal.signal(signal.SIGHUP, signal.SIG_IGN); stopping.turn_signals_into_interrupts(); "
        "print(stopped(signal.SIGHUP))"
    )
    assert said(program) == "False"
