"""Ground truth in: COCO, Pascal VOC and YOLO, found by looking at the folder."""

from objectness.datasets.loading import available_splits, load_dataset
from objectness.datasets.records import Dataset, Problem, Record
from objectness.datasets.repair import repair
from objectness.datasets.splitting import hold_out

__all__ = ["Dataset", "Problem", "Record", "available_splits", "hold_out", "load_dataset", "repair"]
