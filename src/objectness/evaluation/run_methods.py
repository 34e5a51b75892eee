"""Run methods on photographs, one photograph after another, and time them.

A method is a function from pixels to proposals: a network, a baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.datasets.records import Record
from objectness.errors import InputError, to_keep
from objectness.images import open_upright
from objectness.proposals import Proposals

Propose = Callable[[Any], Proposals]  # of pixels ``uint8 (H, W, 3)``; of a file too where it is named in ``by_file``


@dataclass
class Progress:
    """Progress of one method: complete at any moment, so that a stop loses nothing.

    Attributes:
        proposals: image id -> proposals.
        seconds: image id -> seconds from pixels to proposals.
    """

    proposals: dict[int, Proposals] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)


def run(
    methods: Mapping[str, Propose],
    records: Sequence[Record],
    done: Mapping[str, Progress],
    failed: dict[str, str],
    *,
    read_ahead: bool,
    on_image: Callable[[], None] = lambda: None,
    by_file: Container[str] = (),
) -> None:
    """Propose for every photograph with every method that has not yet done so.

    The methods take turns on each photograph, so that a machine that slows down for a while slows all of them,
    and so that after a stop all have seen the same photographs.

    Args:
        methods: Name -> method.
        records: The photographs.
        done: Name -> what has been done; it grows.
        failed: File -> why it could not be used; it grows.
        read_ahead: Read the next photograph meanwhile; quicker, but it disturbs the clock.
        on_image: Called after each photograph (for progress).
        by_file: Methods that take the file and read it themselves, as they do where proposals are made: a large JPEG
            is then decoded small. Their clock counts the reading.
    """
    waiting = [record for record in records if any(record.image_id not in done[name].proposals for name in methods)]
    for _ in range(len(records) - len(waiting)):
        on_image()
    unread: Iterator[tuple[Record, NDArray[np.uint8] | InputError | None]] = ((record, None) for record in waiting)
    for record, image in unread if all(name in by_file for name in methods) else _photographs(waiting, read_ahead):
        try:
            if isinstance(image, InputError):
                raise image
            for name, propose in methods.items():
                if record.image_id not in done[name].proposals:
                    start = perf_counter()
                    found = propose(record.path if name in by_file else image)
                    done[name].seconds[record.image_id] = perf_counter() - start
                    done[name].proposals[record.image_id] = found
        except InputError as error:
            failed[str(record.path)] = str(error)
        on_image()


def _photographs(
    records: Sequence[Record], read_ahead: bool
) -> Iterator[tuple[Record, NDArray[np.uint8] | InputError]]:
    if not read_ahead:
        yield from ((record, _read(record)) for record in records)
        return
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="objectness-read") as reader:
        waiting = reader.submit(_read, records[0]) if records else None
        for index, record in enumerate(records):
            assert waiting is not None
            image = waiting.result()
            if index + 1 < len(records):
                waiting = reader.submit(_read, records[index + 1])
            yield record, image


def _read(record: Record) -> NDArray[np.uint8] | InputError:
    try:
        return open_upright(record.path)
    except InputError as error:
        return to_keep(error)
