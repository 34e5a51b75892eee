"""supervision ``Detections``, in memory, from proposals and back; only the first needs supervision.

Files go through CSV, whose reader knows the columns of supervision's CSVSink.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError
from objectness.formats.core.parsed import ImageBuilder, ParsedFile, to_proposal_set
from objectness.formats.core.spec import need_module
from objectness.proposal_set import ImageId, ProposalSet, as_set
from objectness.proposals import Proposals


def to_detections(
    proposals: Proposals, *, logits: NDArray[np.float32] | None = None, levels: NDArray[np.int64] | None = None
) -> Any:
    """The proposals of one photograph as ``supervision.Detections`` of the class 0, "object".

    Logits and levels go into ``data`` ("objectness_logit", "level"), size and file into ``metadata``
    ("source_shape", "path").

    Raises:
        InputError: supervision is not installed.
    """
    need_module("supervision", "supervision", "Making Detections")
    from supervision import Detections

    count = len(proposals)
    data: dict[str, Any] = {"class_name": np.array(["object"] * count)}
    if logits is not None:
        data["objectness_logit"] = logits
    if levels is not None:
        data["level"] = levels
    metadata: dict[str, Any] = {}
    if min(proposals.size_hw) > 0:
        metadata["source_shape"] = proposals.size_hw
    if proposals.source is not None:
        metadata["path"] = proposals.source
    return Detections(
        xyxy=proposals.boxes_xyxy,
        confidence=proposals.scores,
        class_id=np.zeros(count, dtype=int),
        data=data,
        metadata=metadata,
    )


def from_detections(detections: Any, size_hw: tuple[int, int] | None = None, source: str | None = None) -> Proposals:
    """The boxes of ``supervision.Detections`` (of any detector), best first; classes, masks, tracks are dropped.

    Args:
        detections: What has ``xyxy`` ``(N, 4)`` and ``confidence`` ``(N,)`` or None; without, the order counts.
        size_hw: (height, width) of the photograph; default: its ``metadata["source_shape"]``, else unknown.
        source: The photograph's file; default: its ``metadata["path"]``.

    Raises:
        InputError: it has no such boxes, or one that is not finite.
    """
    return _one(detections, 1, size_hw, source)[1]


def to_detections_by_image(proposals: Mapping[Any, Proposals]) -> dict[ImageId, Any]:
    """Image id -> ``supervision.Detections``."""
    found = as_set(proposals)
    return {
        image_id: to_detections(image, logits=found.logits.get(image_id), levels=found.levels.get(image_id))
        for image_id, image in found.items()
    }


def from_detections_by_image(detections: Mapping[ImageId, Any]) -> ProposalSet:
    """The other way round, with logits and levels where ``data`` has them."""
    images: dict[ImageId, Proposals] = {}
    logits: dict[ImageId, NDArray[np.float32]] = {}
    levels: dict[ImageId, NDArray[np.int64]] = {}
    for image_id, given in detections.items():
        found, images[image_id] = _one(given, image_id, None, None)
        logits.update({image_id: found.logits[image_id]} if image_id in found.logits else {})
        levels.update({image_id: found.levels[image_id]} if image_id in found.levels else {})
    return ProposalSet(images, logits, levels)


def _one(
    detections: Any, image_id: ImageId, size_hw: tuple[int, int] | None, source: str | None
) -> tuple[ProposalSet, Proposals]:
    boxes = np.asarray(getattr(detections, "xyxy", None))
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"Detections need boxes 'xyxy' of shape (N, 4); {type(detections).__name__} has none.")
    metadata, data = getattr(detections, "metadata", None) or {}, getattr(detections, "data", None) or {}
    shape = size_hw or metadata.get("source_shape")
    builder = ImageBuilder(
        image_id, source or metadata.get("path"), None if shape is None else (int(shape[0]), int(shape[1]))
    )
    extra = {"logits": data.get("objectness_logit"), "levels": data.get("level")}
    builder.extend(
        boxes.astype(np.float64),
        getattr(detections, "confidence", None),
        **{name: None if values is None else np.asarray(values, dtype=np.float64) for name, values in extra.items()},
    )
    found = to_proposal_set("Detections", ParsedFile((builder.finish(),)))
    return found, found[image_id]
