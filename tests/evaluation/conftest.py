from __future__ import annotations

from collections.abc import Callable

import pytest

from objectness.datasets.records import Record
from objectness.evaluation.measurement import measure
from objectness.evaluation.results import MethodResult, Options, Results
from objectness.proposals import Proposals


@pytest.fixture(scope="session")
def make_results() -> Callable[..., Results]:
    """A results of named proposals on records in one line."""

    def make(
        records: list[Record],
        ks: tuple[int, ...] = (1, 2),
        class_names: tuple[str, ...] = ("cat", "dog"),
        options: Options | None = None,
        **methods: dict[int, Proposals],
    ) -> Results:
        results = tuple(MethodResult(name, measure(found, records, ks), found) for name, found in methods.items())
        return Results("somewhere", records, class_names, results, options or Options(draws=50))

    return make
