"""Proposals of any image ids under the ids of a data set's records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from objectness.datasets.records import Record
from objectness.formats.core.image_lookup import index_records, require_all
from objectness.image_index import ImageReference
from objectness.proposals import Proposals


def pair(proposals: Mapping[Any, Proposals], records: Sequence[Record]) -> dict[int, Proposals]:
    """Give proposals the image ids of the records, going by file name where the proposals know theirs, else by id.

    Raises:
        InputError: it is not clear which photograph is meant; two are for one, or some for none of the records.
    """
    references = [ImageReference(image_id, found.source) for image_id, found in proposals.items()]
    places = require_all(index_records(records), references)
    return {records[place].image_id: found for place, found in zip(places, proposals.values(), strict=True)}
