"""Whose proposals are they: bring the images of a set of proposals and of a data set together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from objectness.datasets.records import Record
from objectness.errors import InputError
from objectness.image_index import ImageIndex, Named
from objectness.proposals import Proposals


def pair(proposals: Mapping[Any, Proposals], records: Sequence[Record]) -> dict[int, Proposals]:
    """Give proposals the image ids of the records, going by file name where the proposals know theirs, else by id.

    Raises:
        InputError: it is not clear which photograph is meant; two are for one, or some for none of the records.
    """
    asked = [Named(image_id, found.source) for image_id, found in proposals.items()]
    match = ImageIndex(Named(record.own_id, str(record.path)) for record in records).match(asked)
    if match.doubt:
        raise InputError(f"It is not clear which photograph is meant: {match.doubt}.")
    strangers = [one.label for one, place in zip(asked, match.places, strict=True) if place is None]
    if strangers:
        more = f" and {len(strangers) - 1} more of {len(asked)} images" if len(strangers) > 1 else ""
        raise InputError(
            f"There are proposals for {strangers[0]}{more}, which the data set does not have: "
            "measure them on the data set and the split that they were made for (all, if for several)."
        )
    return {
        records[place].image_id: found
        for found, place in zip(proposals.values(), match.places, strict=True)
        if place is not None
    }
