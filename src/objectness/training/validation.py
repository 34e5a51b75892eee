"""Average recall of a network on validation photographs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from objectness.datasets.records import Record
from objectness.evaluation import RecallReport, average_recall
from objectness.inference.proposer import Proposer
from objectness.inference.torch_engine import TorchEngine, describe_network
from objectness.proposals import Proposals
from objectness.rpn.network import RegionProposalNetwork
from objectness.training.settings import LoopSettings

VALIDATED_AT = (10, 100, 300, 1000)


def validation_records(records: Sequence[Record], settings: LoopSettings) -> Sequence[Record]:
    """All records, or as many as the settings allow, drawn by the seed."""
    if not settings.validate_images or settings.validate_images >= len(records):
        return records
    chosen = np.random.default_rng(settings.seed).permutation(len(records))[: settings.validate_images]
    return [records[index] for index in sorted(chosen)]


def validate(network: RegionProposalNetwork, records: Sequence[Record]) -> RecallReport:
    """AR at 10, 100, 300 and 1000, as ``objectness evaluate`` measures the checkpoint of the same weights."""
    return average_recall(propose_all(network, records, max(VALIDATED_AT)), records, VALIDATED_AT)


def propose_all(network: RegionProposalNetwork, records: Sequence[Record], top: int) -> dict[int, Proposals]:
    """Image id -> the best ``top`` proposals, photograph by photograph, as a proposer of the checkpoint finds them.

    In float32, whatever the network is trained in: rounded to bfloat16, scores tie and boxes move, and the recall is
    no longer that of the checkpoint. The network is left in evaluation mode.
    """
    propose = Proposer(TorchEngine(network, describe_network(network, {})), top=top)
    return {record.image_id: propose(record.path) for record in records}
