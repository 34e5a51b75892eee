"""How many objects the proposals find: recall in all its definitions, intervals, reports. Never sees a model."""

from objectness.evaluation.measurement import Measurement, measure
from objectness.evaluation.recall import RecallReport, average_recall, recall_report

__all__ = ["Measurement", "RecallReport", "average_recall", "measure", "recall_report"]
