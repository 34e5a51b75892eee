"""Reading one photograph ahead."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from objectness.inference.read_ahead import read_ahead


def test_in_order_and_one_ahead() -> None:
    taken = []

    def sources() -> Iterator[int]:
        for number in range(4):
            taken.append(number)
            yield number

    results = read_ahead(sources(), lambda number: 10 * number)
    assert next(results) == 0
    assert taken == [0, 1]
    assert list(results) == [10, 20, 30]
    assert list(read_ahead([], str)) == []


def test_what_the_sources_raise_comes_after_their_results() -> None:
    def sources() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("no more")

    results = read_ahead(sources(), str)
    assert [next(results), next(results)] == ["1", "2"]
    with pytest.raises(OSError, match="no more"):
        next(results)
