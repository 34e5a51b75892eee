"""How many objects the proposals find: recall, by the COCO definition. Never sees a model."""

from objectness.evaluation.recall import RecallReport, average_recall

__all__ = ["RecallReport", "average_recall"]
