"""Report of a conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from objectness.formats.core.spec import Format
    from objectness.proposal_set import ProposalSet


@dataclass(frozen=True)
class Conversion:
    """Report of a conversion.

    Attributes:
        source_format: The format that was read.
        target_format: The format that was written.
        proposals: The set that was written; without the classes of its boxes.
        notes: Contents that were left out, made up or added, in sentences.
        lacking: Ids and order that only a data set could have given, in sentences.
        losses: Contents that the target cannot hold, in sentences.
    """

    source_format: Format
    target_format: Format
    proposals: ProposalSet
    notes: tuple[str, ...]
    lacking: tuple[str, ...]
    losses: tuple[str, ...]
