"""Figures of one or several methods on one data set, as tables, plain values and a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

from objectness.evaluation.recall import RecallReport, recall_report
from objectness.evaluation.report import THUMBNAILS, write_report
from objectness.evaluation.reporter import Reporter
from objectness.evaluation.results import Results
from objectness.evaluation.tables import Table, tables


@dataclass(frozen=True, eq=False)
class Comparison:
    """Figures of one or several methods on one data set.

    Attributes:
        results: Proposals, measurements and bootstrapped figures of each method.
        data: The data set as the user named it.
        split: Its split.
        words: Name of each method -> the method as the user named it.
        failed: Image file -> why it could not be used; its objects count as missed.
        missing: Name of a method -> why it was left out: a package is not installed.
        stopped: One sentence where Ctrl-C ended a comparison early; else empty.
        notes: Sentences for the head of the report.
    """

    results: Results
    data: str
    split: str
    words: Mapping[str, str]
    failed: Mapping[str, str]
    missing: Mapping[str, str]
    stopped: str = ""
    notes: tuple[str, ...] = ()

    @cached_property
    def recall(self) -> dict[str, RecallReport]:
        """Name of each method -> its average recall: ``comparison.recall["default"].ar[100]``."""
        return {method.name: recall_report(method.measured) for method in self.results.methods}

    @cached_property
    def tables(self) -> dict[str, Table]:
        """Key -> table: "average-recall", "differences", "budget", "by-class", "recall-and-time" and so on."""
        return {table.key: table for table in tables(self.results)}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``json.dump``; several methods stand under "methods", a single one at the top."""
        methods = [
            {
                "name": method.name,
                "proposals": self.words[method.name],
                "images_without_proposals": int((method.measured.counts == 0).sum()),
                **self.recall[method.name].to_json(),
            }
            for method in self.results.methods
        ]
        return {
            "data": self.data,
            "split": self.split,
            **(methods[0] if len(methods) == 1 else {"methods": methods}),
            "at": self.results.at,
            "failed": [{"file": file, "error": error} for file, error in self.failed.items()],
            "missing": [{"method": name, "error": error} for name, error in self.missing.items()],
            "tables": {key: table.to_json() for key, table in self.tables.items()},
        }

    def write_report(
        self, page: str | PathLike[str], *, thumbnails: int = THUMBNAILS, reporter: Reporter | None = None
    ) -> list[Path]:
        """Write an HTML page, and beside it a CSV and a JSON file and a PNG of each chart.

        Args:
            page: The page, ``out.html``; files of the same names are replaced.
            thumbnails: Missed objects shown on the page, at most.
            reporter: For progress.

        Returns:
            The files, the page first.

        Raises:
            InputError: a place that cannot be written to.
        """
        with (reporter or Reporter()).progress("Drawing", thumbnails) as advance:
            return write_report(
                Path(page), self.results, self.to_dict(), limit=thumbnails, notes=self.notes, on_image=advance
            )
