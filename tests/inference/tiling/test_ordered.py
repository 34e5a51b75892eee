from __future__ import annotations

import threading
import time
from itertools import islice

import pytest

from objectness.inference.tiling.ordered import in_order


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_order(workers: int) -> None:
    def work(item: int, read: int) -> int:
        time.sleep(0.002 * (item % 3))
        return item + read

    assert list(in_order(range(20), lambda item: 100 * item, work, workers)) == [(n, 101 * n) for n in range(20)]


def test_little_is_held_at_once() -> None:
    lock, held, most = threading.Lock(), [0], [0]

    def read(item: int) -> int:
        with lock:
            held[0] += 1
            most[0] = max(most[0], held[0])
        return item

    for _ in in_order(range(40), read, lambda item, seen: item, 2):
        time.sleep(0.001)
        held[0] -= 1
    assert most[0] <= 4


@pytest.mark.parametrize("where", ["read", "work"])
def test_an_error_ends_it(where: str) -> None:
    def fail_at(place: str, item: int) -> int:
        if place == where and item == 3:
            raise ValueError("no more")
        return item

    found = in_order(range(9), lambda n: fail_at("read", n), lambda n, read: fail_at("work", n), 2)
    assert [item for item, _ in islice(found, 3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no more"):
        next(found)


def test_an_early_stop_drops_the_rest() -> None:
    done = []
    for item, _ in in_order(range(100), lambda n: n, lambda n, read: done.append(n), 1):
        if item == 2:
            break
    assert len(done) < 10
