"""A checkpoint to one file that needs no PyTorch: pixels in, boxes and scores out, its description inside."""

from objectness.export.export_model import ExportReport, Sources, export_model
from objectness.export.settings import ExportSettings
from objectness.export.verification import Agreement

__all__ = ["Agreement", "ExportReport", "ExportSettings", "Sources", "export_model"]
