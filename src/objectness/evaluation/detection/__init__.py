"""Average precision of named boxes as COCO and Pascal VOC define it, intervals, and where recall is lost."""

from objectness.evaluation.detection.report import PrecisionReport, average_precision, precision_report

__all__ = ["PrecisionReport", "average_precision", "precision_report"]
