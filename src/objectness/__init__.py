"""Region proposals: the boxes of a photograph that may hold an object.

    >>> import objectness
    >>> propose = objectness.load()
    >>> proposals = propose("photo.jpg")
    >>> proposals.boxes_xyxy, proposals.scores

Nothing heavy is imported here: names are resolved on first use, and proposing never needs PyTorch.
Libraries that would send reports of their use are kept from it (see :mod:`objectness.telemetry`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from objectness import telemetry
from objectness.version import __version__

if TYPE_CHECKING:
    from objectness.errors import InputError
    from objectness.inference.loading import load
    from objectness.inference.proposer import Proposer
    from objectness.proposals import Proposals

__all__ = ["InputError", "Proposals", "Proposer", "__version__", "load"]

telemetry.switch_off()  # here, as nothing of ours can import a library before it

_HOME = {
    "InputError": "objectness.errors",
    "Proposals": "objectness.proposals",
    "Proposer": "objectness.inference.proposer",
    "load": "objectness.inference.loading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'objectness' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
