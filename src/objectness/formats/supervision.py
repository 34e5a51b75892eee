"""supervision ``Detections``, in memory, from proposals and detections and back; only the first needs supervision.

Files go through CSV, whose reader knows the columns of supervision's CSVSink.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.detections import Detections
from objectness.errors import InputError
from objectness.formats.core.classes import FileClass, KnownClasses, counted_ids
from objectness.formats.core.labelled import to_detection_set
from objectness.formats.core.parsed import ImageBuilder, ParsedFile, to_proposal_set
from objectness.formats.core.spec import need_module
from objectness.proposal_set import ImageId, ProposalSet, as_set
from objectness.proposals import Proposals


def to_detections(
    proposals: Proposals | Detections,
    *,
    logits: NDArray[np.float32] | None = None,
    levels: NDArray[np.int64] | None = None,
) -> Any:
    """The boxes of one photograph as ``supervision.Detections``; proposals are of the class 0, "object".

    Logits and levels go into ``data`` ("objectness_logit", "level"), size and file into ``metadata``
    ("source_shape", "path").

    Raises:
        InputError: supervision is not installed.
    """
    need_module("supervision", "supervision", "Making Detections")
    import supervision

    count = len(proposals)
    names = proposals.names if isinstance(proposals, Detections) else ["object"] * count
    data: dict[str, Any] = {"class_name": np.array(names, dtype=np.str_)}
    if logits is not None:
        data["objectness_logit"] = logits
    if levels is not None:
        data["level"] = levels
    metadata: dict[str, Any] = {}
    if min(proposals.size_hw) > 0:
        metadata["source_shape"] = proposals.size_hw
    if proposals.source is not None:
        metadata["path"] = proposals.source
    return supervision.Detections(
        xyxy=proposals.boxes_xyxy,
        confidence=proposals.scores,
        class_id=proposals.labels if isinstance(proposals, Detections) else np.zeros(count, dtype=int),
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


def from_named_detections(
    detections: Any,
    class_names: Sequence[str] | None = None,
    size_hw: tuple[int, int] | None = None,
    source: str | None = None,
) -> Detections:
    """The same with classes.

    Args:
        detections: What also has ``class_id`` ``(N,)``, positions in ``class_names``.
        class_names: Names of the classes; without them its ``data["class_name"]``, where equal ids have equal names,
            and "class 3" for an id that no box has.
        size_hw: As of :func:`from_detections`.
        source: As of :func:`from_detections`.

    Raises:
        InputError: it has no such boxes or classes.
    """
    given = getattr(detections, "class_id", None)
    if given is None:
        raise InputError("These Detections have no class_id: take them as proposals.")
    labels = np.asarray(given, dtype=np.int64)
    names = tuple(class_names if class_names is not None else _names(detections, labels))
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
        raise InputError(f"A class_id of these Detections is {labels.max()}, but there are {len(names)} class names.")
    parsed = _parsed(detections, 1, size_hw, source, labels)
    classes = tuple(FileClass(position=position) for position in range(len(names)))
    found = to_detection_set(
        "Detections", replace(parsed, classes=classes), KnownClasses(names, counted_ids(len(names)))
    )
    return found[1]


def _names(detections: Any, labels: NDArray[np.int64]) -> list[str]:
    """The names that the boxes carry, by class id."""
    words = (getattr(detections, "data", None) or {}).get("class_name")
    names = [f"class {label}" for label in range(int(labels.max(initial=-1)) + 1)]
    for label, word in zip(labels.tolist(), [] if words is None else words, strict=False):
        if 0 <= label < len(names):
            names[label] = str(word)
    return names


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
    found = to_proposal_set("Detections", _parsed(detections, image_id, size_hw, source))
    return found, found[image_id]


def _parsed(
    detections: Any,
    image_id: ImageId,
    size_hw: tuple[int, int] | None,
    source: str | None,
    labels: NDArray[np.int64] | None = None,
) -> ParsedFile:
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
        classes=labels,
        **{name: None if values is None else np.asarray(values, dtype=np.float64) for name, values in extra.items()},
    )
    return ParsedFile((builder.finish(),))
