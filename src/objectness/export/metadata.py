"""Description of an exported file: origin, input, thresholds, precision."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from objectness.engines.dense_geometry import REACH_KEY
from objectness.export.settings import ExportSettings
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.reach import reach_of
from objectness.rpn.settings import RPNSettings
from objectness.settings import to_dict
from objectness.version import __version__


def describe_export(
    network: RegionProposalNetwork, details: Mapping[str, Any], settings: ExportSettings
) -> dict[str, Any]:
    """The details of a checkpoint, with the input, thresholds and settings of the file: plain values for JSON."""
    own = portable(network.settings)
    return {
        **details,
        "version": __version__,
        "licence": settings.licence or details.get("licence") or "not stated",
        "precision": settings.precision,
        "suppression_inside": settings.nms,
        "input": {
            "pixels": "uint8 RGB (batch, height, width, 3), upright, 0 to 255; normalised inside",
            "resize": "bilinear, antialiased, to short_side unless the long side would pass long_side",
        },
        "strides": list(network.strides),
        REACH_KEY: reach_of(network),
        "anchors": to_dict(own.anchors),
        "thresholds": {**to_dict(own.select), "delta_clamp": own.head.delta_clamp},
        "weights_sha256": weights_hash(network),
        "measured": None,
        "calibration": None,
        "settings": to_dict(own),
    }


def weights_hash(network: nn.Module) -> str:
    """SHA-256 of names, types, shapes and values of the checkpoint's weights, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        values = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def portable(settings: RPNSettings) -> RPNSettings:
    """The settings without the folder that the first weights lay in: the file goes to other machines."""
    weights = settings.backbone.weights
    if weights is None:
        return settings
    return replace(settings, backbone=replace(settings.backbone, weights=Path(weights).name))
