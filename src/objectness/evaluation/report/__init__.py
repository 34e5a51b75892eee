"""A study as files: one HTML page, and CSV, JSON and PNG curves beside it."""

from objectness.evaluation.report.files import write_report

__all__ = ["write_report"]
