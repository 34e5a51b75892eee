"""Photographs of a stream, the next one read while the network looks at this one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Read = TypeVar("Read")


def read_ahead(sources: Iterable[Given], read: Callable[[Given], Read]) -> Generator[Read, None, None]:
    """What ``read`` makes of each source, in order; it runs in a thread, one source ahead.

    What ``sources`` raises comes after the results of what it gave.
    """
    failures: list[Exception] = []

    def taken() -> Iterator[Given]:
        try:
            yield from sources
        except Exception as error:
            failures.append(error)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="objectness-read") as reader:
        waiting = None
        for source in taken():
            following = reader.submit(read, source)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()
    if failures:
        raise failures[0]
