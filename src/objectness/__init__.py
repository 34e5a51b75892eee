"""Region proposals: the boxes of a photograph that may hold an object.

    >>> import objectness
    >>> propose = objectness.load()
    >>> proposals = propose("photo.jpg")
    >>> proposals.boxes_xyxy, proposals.scores

Each name has an example in docs/how-to/python.md. Nothing heavy is imported here: names are resolved on first use, and
PyTorch is needed for ``train`` and ``export_checkpoint`` alone.
Usage reports of libraries are switched off (see :mod:`objectness.telemetry`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from objectness import telemetry
from objectness.version import __version__

if TYPE_CHECKING:
    from objectness.datasets import load_dataset
    from objectness.detection_set import DetectionSet
    from objectness.detections import Detections
    from objectness.errors import InputError
    from objectness.evaluation.detection.run import evaluate_detections
    from objectness.evaluation.run_comparison import compare, evaluate
    from objectness.export.export_checkpoint import export_checkpoint
    from objectness.formats import read_detections, read_proposals, write_detections, write_proposals
    from objectness.inference.loading import load
    from objectness.inference.proposer import Proposer
    from objectness.proposal_set import ProposalSet
    from objectness.proposals import Proposals
    from objectness.training.train import train

__all__ = [
    "DetectionSet",
    "Detections",
    "InputError",
    "ProposalSet",
    "Proposals",
    "Proposer",
    "__version__",
    "compare",
    "evaluate",
    "evaluate_detections",
    "export_checkpoint",
    "load",
    "load_dataset",
    "read_detections",
    "read_proposals",
    "train",
    "write_detections",
    "write_proposals",
]

telemetry.switch_off()  # here, as nothing of ours can import a library before it

_HOME = {
    "DetectionSet": "objectness.detection_set",
    "Detections": "objectness.detections",
    "InputError": "objectness.errors",
    "ProposalSet": "objectness.proposal_set",
    "Proposals": "objectness.proposals",
    "Proposer": "objectness.inference.proposer",
    "compare": "objectness.evaluation.run_comparison",
    "evaluate": "objectness.evaluation.run_comparison",
    "evaluate_detections": "objectness.evaluation.detection.run",
    "export_checkpoint": "objectness.export.export_checkpoint",
    "load": "objectness.inference.loading",
    "load_dataset": "objectness.datasets",
    "read_detections": "objectness.formats",
    "read_proposals": "objectness.formats",
    "train": "objectness.training.train",
    "write_detections": "objectness.formats",
    "write_proposals": "objectness.formats",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'objectness' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
