"""A Faster R-CNN as one safetensors file, with settings, class names and a description inside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from objectness.detector.network import FasterRCNN
from objectness.detector.settings import DetectorSettings
from objectness.errors import InputError
from objectness.rpn.checkpoint import built_from, fill_from, read_description, write_checkpoint
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.settings import RPNSettings
from objectness.settings import from_dict, to_dict


def save_detector(path: Path, network: FasterRCNN, details: Mapping[str, Any]) -> None:
    """Write the weights with settings, class names and details inside; the file appears whole or not at all.

    Args:
        path: Ends in .safetensors.
        network: Its settings describe the file.
        details: Description of the file: name, recipe, data, mAP, ... (plain data).

    Raises:
        InputError: the place cannot be written to, or is full; an existing file stays as it is.
    """
    described = {
        "settings": to_dict(network.rpn.settings),
        "detector": {
            "settings": to_dict(network.settings),
            "class_names": list(network.class_names),
            "foreign_proposals": network.foreign_proposals,
        },
        "details": dict(details),
    }
    write_checkpoint(path, network, described)


def load_detector(path: Path, device: torch.device | str = "cpu") -> tuple[FasterRCNN, dict[str, Any]]:
    """The detector in ``path``, in evaluation mode on ``device``, and its details.

    Raises:
        InputError: missing, broken, or no detector of ours.
    """
    described = read_description(path)
    if "detector" not in described:
        raise InputError(
            f"{path} holds a Region Proposal Network, which names nothing: give a run of one of the recipes "
            "faster-rcnn, faster-rcnn-vgg16 and fast-rcnn, or train one from it."
        )
    parts = described["detector"]
    names, foreign = parts.get("class_names"), parts.get("foreign_proposals", False)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path} is damaged: its class names are no list of names; copy it again.")

    def build() -> FasterRCNN:
        rpn = RegionProposalNetwork(from_dict(RPNSettings, described["settings"]))
        settings = from_dict(DetectorSettings, parts.get("settings"))
        return FasterRCNN(rpn, settings, names, foreign_proposals=foreign is True)

    network = built_from(path, build)
    fill_from(path, network)
    return network.to(device).eval(), described["details"]


def is_detector(path: Path) -> bool:
    """Whether a checkpoint holds a detector; raises InputError as ``read_description``."""
    return "detector" in read_description(path)
