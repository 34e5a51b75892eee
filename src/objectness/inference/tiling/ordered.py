"""Windows are read one after another ahead of the work, several are worked on at once, results come in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")
Result = TypeVar("Result")


def in_order(
    items: Iterable[Item], read: Callable[[Item], Read], work: Callable[[Item, Read], Result], workers: int
) -> Generator[tuple[Item, Result], None, None]:
    """Each item and its result, in the order of the items.

    One thread reads, up to two items ahead; ``workers`` threads work. What is held at once is bounded by their number.
    When the caller stops early (and closes this), what is being worked on is finished and the rest is dropped.

    Raises:
        Exception: What ``read`` or ``work`` raise, in place of the item's result.
    """

    def worked(item: Item, waiting: Future[Read]) -> Result:
        return work(item, waiting.result())

    with (
        ThreadPoolExecutor(1, thread_name_prefix="objectness-read") as reader,
        ThreadPoolExecutor(workers, thread_name_prefix="objectness-tile") as pool,
    ):
        pending: deque[tuple[Item, Future[Read], Future[Result]]] = deque()
        try:
            for item in items:
                waiting = reader.submit(read, item)
                pending.append((item, waiting, pool.submit(worked, item, waiting)))
                if len(pending) > workers + 1:
                    done = pending.popleft()
                    yield done[0], done[2].result()
                    del done
            while pending:
                done = pending.popleft()
                yield done[0], done[2].result()
        finally:
            for _, waiting, working in reversed(pending):
                working.cancel()
                waiting.cancel()
