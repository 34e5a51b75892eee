"""Average recall of a network on validation photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from objectness.datasets.records import Record
from objectness.engines import Ranked
from objectness.evaluation import RecallReport, average_recall
from objectness.images import open_fitted
from objectness.proposals import Proposals
from objectness.ranking import to_photograph
from objectness.rpn.network import RegionProposalNetwork
from objectness.training.settings import LoopSettings

VALIDATED_AT = (10, 100, 300, 1000)


def validation_records(records: Sequence[Record], settings: LoopSettings) -> Sequence[Record]:
    """All of them, or as many as the settings allow, drawn by the seed."""
    if not settings.validate_images or settings.validate_images >= len(records):
        return records
    chosen = np.random.default_rng(settings.seed).permutation(len(records))[: settings.validate_images]
    return [records[index] for index in sorted(chosen)]


def validate(
    network: RegionProposalNetwork, records: Sequence[Record], device: torch.device, amp: bool
) -> RecallReport:
    """AR at 10, 100, 300 and 1000."""
    return average_recall(propose_all(network, records, max(VALIDATED_AT), device, amp), records, VALIDATED_AT)


@torch.no_grad()
def propose_all(
    network: RegionProposalNetwork, records: Sequence[Record], top: int, device: torch.device, amp: bool
) -> dict[int, Proposals]:
    """Image id -> the best ``top`` proposals, photograph by photograph and without padding.

    The network comes back in training mode.
    """
    network.eval()
    select = replace(network.settings.select, after_nms=top)
    images = network.settings.images
    found: dict[int, Proposals] = {}
    for record in records:
        photo = open_fitted(record.path, images.short_side, images.long_side)
        seen_hw = (photo.pixels.shape[0], photo.pixels.shape[1])
        pixels = torch.from_numpy(photo.pixels).permute(2, 0, 1)[None].to(device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=amp):
            outputs = network(pixels.to(memory_format=torch.channels_last))
        selection = network.propose(outputs, [seen_hw], select)[0]
        ranked = Ranked(selection.boxes_xyxy.cpu().numpy(), selection.scores.cpu().numpy())
        found[record.image_id] = to_photograph(ranked, resized_hw=seen_hw, size_hw=photo.size_hw)
    network.train()
    return found
