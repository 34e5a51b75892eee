"""A comparison as files: one HTML page, and CSV, JSON and PNG curves beside it."""

from objectness.evaluation.report.files import THUMBNAILS, write_report

__all__ = ["THUMBNAILS", "write_report"]
