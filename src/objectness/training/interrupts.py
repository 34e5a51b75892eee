"""Ctrl-C, a polite kill and a closed terminal, as a question that the loop asks."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from objectness import stopping


class Interrupt:
    """Ctrl-C (or a kill, or a closed terminal) asks the loop to stop after the running update; a second stops it."""

    def __init__(self) -> None:
        self._wanted = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        for number in stopping.SIGNALS:
            if signal.getsignal(number) is signal.SIG_IGN:  # nohup
                continue
            try:
                self._before[number] = signal.signal(number, self._ask)
            except ValueError:  # not the main thread: whoever runs us handles signals
                break
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def asked(self) -> bool:
        """Whether somebody wants the run to stop."""
        return self._wanted

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if stopping.note(number) and self._wanted:
            raise KeyboardInterrupt
        self._wanted = True
