"""Results of a model on photographs with boxes: average recall, and the share of right proposals by score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness import boxes
from objectness.calibration import Calibration, Reliability, fit, reliability
from objectness.datasets import Dataset, Record, available_splits, load_dataset
from objectness.datasets.repair import without_endless_boxes
from objectness.engines import ProposalEngine
from objectness.errors import InputError
from objectness.evaluation.hits import hits_and_ignored
from objectness.inference.proposer import Proposer
from objectness.proposals import Proposals

_TOP = 1000  # proposals of a photograph: those that most never ask for count too
_MOST_IMAGES = 500


@dataclass(frozen=True, eq=False)
class Scored:
    """Proposals of a whole data set in one line.

    Attributes:
        scores: ``(N,)``.
        hits: ``(N,)``: overlaps an object at IoU >= 0.5.
        photographs: ``(N,)``: which photograph each belongs to.
    """

    scores: NDArray[np.float32]
    hits: NDArray[np.bool_]
    photographs: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A calibration and what it changes.

    Attributes:
        calibration: Fitted on all proposals.
        before: Reliability of the raw scores.
        after: Reliability when each half of the photographs is calibrated by the other half.
        photographs: How many were used.
        proposals: How many were used.
    """

    calibration: Calibration
    before: Reliability
    after: Reliability
    photographs: int
    proposals: int


def measured_records(dataset: Dataset, seed: int = 0) -> Sequence[Record]:
    """The records to measure on: all of them, or 500 drawn by chance."""
    if len(dataset) <= _MOST_IMAGES:
        return dataset.records
    chosen = np.random.default_rng(seed).permutation(len(dataset))[:_MOST_IMAGES]
    return [dataset.records[index] for index in sorted(chosen)]


def load_measured(path: Any, *, allow_outside: bool = False) -> Dataset:
    """The validation split of a data set, else its test split, else all of it.

    Raises:
        InputError: It cannot be read, or holds no box.
    """
    splits = available_splits(path, allow_outside=allow_outside)
    split = next((name for name in ("val", "test") if name in splits), None)
    dataset, _ = without_endless_boxes(load_dataset(path, split, allow_outside=allow_outside))
    if not any(len(record.boxes_xyxy) for record in dataset.records):
        raise InputError(f"{path}: has no boxes to measure on; give a data set with boxes.")
    return dataset


def propose_all(
    engine: ProposalEngine, records: Sequence[Record], track: Callable[[Iterable[Any]], Iterable[Any]]
) -> dict[int, Proposals]:
    """The best 1000 proposals of each photograph that can be read, by image id."""
    outcomes = Proposer(engine, top=_TOP).stream(record.path for record in records)
    found = {}
    for record, outcome in track(zip(records, outcomes, strict=True)):
        if outcome.proposals is not None:
            found[record.image_id] = outcome.proposals
    if records and not found:
        raise InputError(f"None of the {len(records)} photographs could be read: are they in {records[0].path.parent}?")
    return found


def score_hits(proposals: dict[int, Proposals], records: Sequence[Record]) -> Scored:
    """Scores and hits of all proposals, without those that evaluation ignores (see ``hits_and_ignored``)."""
    scores, hits, photographs = [], [], []
    for number, record in enumerate(records):
        found = proposals.get(record.image_id)
        if found is None:
            continue
        proposed, truth = found.boxes_xyxy.astype(np.float64), record.boxes_xyxy.astype(np.float64)
        hit, ignored = hits_and_ignored(boxes.iou(proposed, truth[~record.ignore]), proposed, truth[record.ignore])
        counts = ~ignored
        scores.append(found.scores[counts])
        hits.append(hit[counts])
        photographs.append(np.full(int(counts.sum()), number))
    return Scored(np.concatenate(scores), np.concatenate(hits), np.concatenate(photographs))


def calibrate(scored: Scored) -> Calibrated:
    """Fit on all photographs; judge with each half calibrated by the other.

    Raises:
        InputError: Too little to go by.
    """
    after = np.empty_like(scored.scores)
    for half in (0, 1):
        judged = scored.photographs % 2 == half
        after[judged] = fit(scored.scores[~judged], scored.hits[~judged])(scored.scores[judged])
    return Calibrated(
        fit(scored.scores, scored.hits),
        reliability(scored.scores, scored.hits),
        reliability(after, scored.hits),
        len(np.unique(scored.photographs)),
        len(scored.scores),
    )
