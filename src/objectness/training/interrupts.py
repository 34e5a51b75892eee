"""Ctrl-C, a polite kill and a closed terminal, as a flag that the loop looks at."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from objectness import stopping


class Interrupt:
    """The first signal requests a stop after the running update; a second Ctrl-C stops at once.

    Attributes:
        requested: Whether the run should stop.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        for number in stopping.SIGNALS:
            if signal.getsignal(number) is signal.SIG_IGN:  # nohup
                continue
            try:
                self._before[number] = signal.signal(number, self._request)
            except ValueError:  # not the main thread: the caller handles signals
                break
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if stopping.note(number) and self.requested:
            raise KeyboardInterrupt
        self.requested = True
