"""Figures of one or several detectors on one data set, as tables, plain values and a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

from objectness.evaluation.detection.report import PrecisionReport, precision_report
from objectness.evaluation.detection.results import NamedResults
from objectness.evaluation.detection.tables import tables
from objectness.evaluation.report.detection_files import PHOTOGRAPHS, write_detection_report
from objectness.evaluation.reporter import Reporter
from objectness.evaluation.tables import Table


@dataclass(frozen=True, eq=False)
class DetectionComparison:
    """Figures of one or several detectors on one data set.

    Attributes:
        results: Detections, matches and bootstrapped figures of each method.
        data: The data set as the user named it.
        split: Its split.
        words: Name of each method -> the method as the user named it.
        failed: Image file -> why it could not be used; its objects count as missed.
    """

    results: NamedResults
    data: str
    split: str
    words: Mapping[str, str]
    failed: Mapping[str, str]

    @cached_property
    def precision(self) -> dict[str, PrecisionReport]:
        """Name of each method -> its average precision: ``comparison.precision["mine"].ap``."""
        return {
            method.name: precision_report(method.matches, self.results.class_names) for method in self.results.methods
        }

    @cached_property
    def tables(self) -> dict[str, Table]:
        """Key -> table: "average-precision", "differences", "by-class", "lost" and so on."""
        return {table.key: table for table in tables(self.results)}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``json.dump``; several methods stand under "methods", a single one at the top."""
        methods = [
            {
                "name": method.name,
                "detections": self.words[method.name],
                "images_without_detections": sum(
                    not len(method.detections.get(record.image_id, ())) for record in self.results.records
                ),
                **self.precision[method.name].to_json(),
                "score": method.mistakes.point.score,
                "confusion": method.mistakes.confusion.tolist(),
            }
            for method in self.results.methods
        ]
        return {
            "data": self.data,
            "split": self.split,
            "classes": list(self.results.class_names),
            **(methods[0] if len(methods) == 1 else {"methods": methods}),
            "failed": [{"file": file, "error": error} for file, error in self.failed.items()],
            "tables": {key: table.to_json() for key, table in self.tables.items()},
        }

    def write_report(
        self, page: str | PathLike[str], *, photographs: int = PHOTOGRAPHS, reporter: Reporter | None = None
    ) -> list[Path]:
        """Write an HTML page, and beside it a CSV and a JSON file and a PNG of each chart.

        Args:
            page: The page, ``out.html``; files of the same names are replaced.
            photographs: Photographs with the most mistakes on the page, at most.
            reporter: For progress.

        Returns:
            The files, the page first.

        Raises:
            InputError: a place that cannot be written to.
        """
        with (reporter or Reporter()).progress("Drawing", photographs) as advance:
            return write_detection_report(Path(page), self.results, self.to_dict(), limit=photographs, on_image=advance)
