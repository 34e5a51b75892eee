from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from objectness import stopping


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Signals that pytest itself heeds stay as they are."""
    before = {number: signal.getsignal(number) for number in stopping.SIGNALS}
    stopping.begin()
    stopping.heed()
    yield
    stopping.begin()
    for number, handler in before.items():
        signal.signal(number, handler)


def kill(*numbers: int) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_kill_is_ctrl_c_with_an_exit_code_of_its_own(number: int, code: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        kill(number)
    assert stopping.exit_code() == code


def test_ctrl_c_ends_with_130() -> None:
    with pytest.raises(KeyboardInterrupt):
        kill(signal.SIGINT)
    assert stopping.exit_code() == 130


def test_whether_a_signal_came_is_known() -> None:
    assert not stopping.is_wished()
    with pytest.raises(KeyboardInterrupt):
        kill(signal.SIGINT)
    assert stopping.is_wished()


def test_the_second_signal_of_a_closing_terminal_does_not_end_the_saving() -> None:
    with pytest.raises(KeyboardInterrupt):
        kill(signal.SIGHUP)
    kill(signal.SIGTERM, signal.SIGHUP)
    assert stopping.exit_code() == 129


def test_a_kill_much_later_is_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        kill(signal.SIGTERM)
    monkeypatch.setattr(stopping, "_PATIENCE_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        kill(signal.SIGTERM)


def test_what_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stopping.heed()
    kill(signal.SIGHUP)
