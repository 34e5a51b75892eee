"""Objects that no proposal covers, each with the nearest proposal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from objectness.evaluation.hits import COVERED
from objectness.evaluation.measurement import Measurement
from objectness.proposals import Proposals


@dataclass(frozen=True, eq=False)
class Missed:
    """One object that none of the top k overlaps by IoU .5.

    Attributes:
        at: Its position in the measurement.
        image_id: Its image.
        number: Its position in the image's record.
        box_xyxy: ``(4,)`` the object.
        area: Annotated, square pixels.
        nearest_xyxy: ``(4,)`` the proposal that overlaps it most, or whose centre is nearest where none
            does; None where the image has no (finite) proposal.
        iou: Their overlap.
    """

    at: int
    image_id: int
    number: int
    box_xyxy: NDArray[np.float64]
    area: float
    nearest_xyxy: NDArray[np.float64] | None
    iou: float


def missed_mask(measured: Measurement, k: int) -> NDArray[np.bool_]:
    """Which objects ``(M,)`` no proposal of the top ``k`` (one of ``measured.ks``) covers by IoU .5."""
    mask: NDArray[np.bool_] = measured.best_iou[measured.ks.index(k)] < COVERED
    return mask


def missed(measured: Measurement, proposals: Mapping[int, Proposals], k: int) -> list[Missed]:
    """The missed objects, smallest first.

    Args:
        measured: Of these proposals.
        proposals: image id -> proposals.
        k: One of ``measured.ks``.
    """
    row = measured.ks.index(k)
    places = np.flatnonzero(missed_mask(measured, k))
    return [
        _missed(measured, proposals, k, row, at)
        for at in places[np.argsort(measured.areas[places], kind="stable")].tolist()
    ]


def _missed(measured: Measurement, proposals: Mapping[int, Proposals], k: int, row: int, at: int) -> Missed:
    image_id = int(measured.image_ids[measured.image_of[at]])
    box_xyxy = measured.boxes_xyxy[at]
    return Missed(
        at=at,
        image_id=image_id,
        number=int(measured.number[at]),
        box_xyxy=box_xyxy,
        area=float(measured.areas[at]),
        nearest_xyxy=_nearest(proposals.get(image_id), box_xyxy, k, int(measured.closest_rank[row, at])),
        iou=float(measured.best_iou[row, at]),
    )


def _nearest(found: Proposals | None, box_xyxy: NDArray[np.float64], k: int, rank: int) -> NDArray[np.float64] | None:
    if found is None:
        return None
    best = np.argsort(-found.scores, kind="stable")[:k]
    proposed: NDArray[np.float64] = found.boxes_xyxy[best].astype(np.float64)
    if rank >= 0:
        return np.array(proposed[rank])
    proposed = proposed[np.isfinite(proposed).all(axis=1)]
    if not len(proposed):
        return None
    away = (proposed[:, :2] + proposed[:, 2:]) / 2 - (box_xyxy[:2] + box_xyxy[2:]) / 2
    return np.array(proposed[np.hypot(away[:, 0], away[:, 1]).argmin()])
