"""Recall of proposals in all its definitions, intervals and reports. Independent of models."""

from objectness.evaluation.measurement import Measurement, measure
from objectness.evaluation.recall import RecallReport, average_recall, recall_report

__all__ = ["Measurement", "RecallReport", "average_recall", "measure", "recall_report"]
