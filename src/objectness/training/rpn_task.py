"""Training of a Region Proposal Network, for the loop: its criterion, average recall, its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from objectness.datasets.records import Record
from objectness.rpn.checkpoint import save_network
from objectness.rpn.criterion import Criterion, criterion
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.outputs import Outputs
from objectness.training.data import Batch
from objectness.training.task import BatchLoss, Measured, Task
from objectness.training.validation import validate

METRIC = "AR@100"


def rpn_task(criterion: Criterion = criterion) -> Task[RegionProposalNetwork]:
    """The task of an RPN; ``criterion`` computes the loss of a batch."""

    def loss(network: RegionProposalNetwork, outputs: Outputs, batch: Batch, generator: torch.Generator) -> BatchLoss:
        report = criterion(network, outputs, batch.targets, generator)
        parts = {"objectness": report.loss.objectness, "box": report.loss.box}
        return BatchLoss(parts, report.anchors_xyxy, report.samples)

    return Task(("objectness", "box"), METRIC, loss, _measured, save_network)


def _measured(network: RegionProposalNetwork, records: Sequence[Record]) -> Measured:
    recall = validate(network, records)
    columns = {f"AR@{k}": value for k, value in recall.ar.items()}
    by_size = {f"AR@100 {size}": by_k[100] for size, by_k in recall.ar_by_size.items() if size != "all"}
    return Measured(recall.ar[100], columns | by_size, recall.to_json())
