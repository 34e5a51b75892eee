"""Training of a detector, for the loop: jointly with its RPN or on given proposals; mAP; its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from objectness.datasets.records import Record
from objectness.detections import Detections
from objectness.detector.checkpoint import save_detector
from objectness.detector.criterion import DetectorLossOutput, detector_criterion
from objectness.detector.network import FasterRCNN
from objectness.evaluation.detection.report import average_precision
from objectness.inference.detector import Detector
from objectness.inference.torch_detector import TorchDetector
from objectness.rpn.criterion import criterion
from objectness.rpn.outputs import Outputs
from objectness.training.data import Batch
from objectness.training.task import BatchLoss, Measured, Task

METRIC = "mAP"
Boxes = Mapping[int, NDArray[np.float32]]

_NONE = np.zeros((0, 4), dtype=np.float32)
_NAMES = ("class", "class box")


def joint_task() -> Task[FasterRCNN]:
    """Approximate joint training (paper, section 3.2): the losses of RPN and detector are summed up."""

    def loss(network: FasterRCNN, outputs: Outputs, batch: Batch, generator: torch.Generator) -> BatchLoss:
        proposing = criterion(network.rpn, outputs, batch.targets, generator).loss
        naming = detector_criterion(network, outputs, batch.targets, batch.class_ids, generator)
        parts = {"objectness": proposing.objectness, "box": proposing.box}
        return _batch_loss(naming, parts)

    return Task(("objectness", "box", *_NAMES), METRIC, loss, lambda net, some: measure(net, some), save_detector)


def fast_rcnn_task(training: Boxes, validation: Boxes | None) -> Task[FasterRCNN]:
    """Training of the detector alone, on proposals that were made before (Fast R-CNN).

    Args:
        training: Boxes by image id, in pixels of the photograph.
        validation: The same for validation; None for those of the network's own RPN.
    """

    def loss(network: FasterRCNN, outputs: Outputs, batch: Batch, generator: torch.Generator) -> BatchLoss:
        naming = detector_criterion(
            network, outputs, batch.targets, batch.class_ids, generator, proposals=batch.proposals
        )
        return _batch_loss(naming, {})

    def validate(network: FasterRCNN, records: Sequence[Record]) -> Measured:
        return measure(network, records, validation)

    return Task(_NAMES, METRIC, loss, validate, save_detector, training)


def measure(network: FasterRCNN, records: Sequence[Record], proposals: Boxes | None = None) -> Measured:
    """Measure mAP on photographs, as COCO defines it; the network is left in evaluation mode.

    Args:
        network: Whose class names are those of the records.
        records: Photographs and ground truth.
        proposals: Boxes by image id; None for those of the network's own RPN.
    """
    report = average_precision(detect_all(network, records, proposals), records, network.class_names)
    columns = {METRIC: report.ap, "AP50": report.ap_at_iou[0.5], "AP75": report.ap_at_iou[0.75]}
    sizes = {f"mAP {size}": report.ap_by_size[size] for size in ("small", "medium", "large")}
    return Measured(report.ap, columns | sizes, report.to_json())


def detect_all(network: FasterRCNN, records: Sequence[Record], proposals: Boxes | None = None) -> dict[int, Detections]:
    """Image id -> detections, photograph by photograph, as a detector of the checkpoint finds them.

    In float32, whatever the network is trained in. The network is left in evaluation mode.
    """
    detect = Detector(TorchDetector(network, {}))
    if proposals is None:
        return {record.image_id: detect(record.path) for record in records}
    count = network.settings.select.proposals
    return {record.image_id: detect(record.path, proposals.get(record.image_id, _NONE)[:count]) for record in records}


def _batch_loss(naming: DetectorLossOutput, parts: Mapping[str, Tensor]) -> BatchLoss:
    named = dict(zip(_NAMES, (naming.loss.classification, naming.loss.box), strict=True))
    return BatchLoss({**parts, **named}, [one.rois_xyxy for one in naming.rois], [one.sample for one in naming.rois])
