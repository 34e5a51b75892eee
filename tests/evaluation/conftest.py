from __future__ import annotations

from collections.abc import Callable

import pytest

from objectness.datasets.records import Record
from objectness.evaluation.comparison import Options, Result, Study
from objectness.evaluation.measurement import measure
from objectness.proposals import Proposals


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Study]:
    """A study of named proposals on records in one line."""

    def make(
        records: list[Record],
        ks: tuple[int, ...] = (1, 2),
        class_names: tuple[str, ...] = ("cat", "dog"),
        options: Options | None = None,
        **methods: dict[int, Proposals],
    ) -> Study:
        results = tuple(Result(name, measure(found, records, ks), found) for name, found in methods.items())
        return Study("somewhere", records, class_names, results, options or Options(draws=50))

    return make
