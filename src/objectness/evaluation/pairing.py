"""Whose proposals are they: bring the images of a proposals file and of a data set together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from objectness.datasets.records import Record
from objectness.errors import InputError
from objectness.proposals import Proposals


def pair_by_name(proposals: Mapping[int, Proposals], records: Sequence[Record]) -> dict[int, Proposals]:
    """Give proposals the image ids of the data set, going by file name where the proposals know theirs.

    Proposals made without the ground truth carry running numbers, which may by chance be the ids of other
    photographs. Where no name at all occurs in the data set (its files were renamed or converted) the ids are
    taken as they are.

    Raises:
        InputError: some photographs are in the data set and others are not, or two have the name of one
            record.
    """
    by_id = {record.image_id: record for record in records}
    times = Counter(record.path.name for record in records)
    by_name = {record.path.name: record.image_id for record in records if times[record.path.name] == 1}
    targets: dict[int, int] = {}
    strangers: list[str] = []
    known = 0
    for image_id, found in proposals.items():
        name = PurePath(found.source).name if found.source else None
        own = by_id.get(image_id)
        if name is None or (own is not None and own.path.name == name):
            targets[image_id] = image_id
            known += name is not None
        elif name in by_name:
            targets[image_id] = by_name[name]
            known += 1
        else:
            targets[image_id] = image_id
            strangers.append(name)
    if strangers and known:
        more = f" (and for {len(strangers) - 1} more)" if len(strangers) > 1 else ""
        raise InputError(
            f"There are proposals for {strangers[0]}{more}, which the data set does not have: "
            "measure them on the data set and the split that they were made for."
        )
    taken: dict[int, int] = {}
    for image_id, target in targets.items():
        if target in taken:
            raise InputError(
                f"The proposals of images {taken[target]} and {image_id} are both for "
                f"{by_id[target].path.name}: keep one of them."
            )
        taken[target] = image_id
    return {target: proposals[image_id] for target, image_id in taken.items()}
