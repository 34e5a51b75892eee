"""Proposals for the training of a detector: from files of any format, or made once by an RPN and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from objectness.datasets.records import Record
from objectness.errors import InputError
from objectness.files.atomic_write import replacing_bytes
from objectness.formats import read_proposals
from objectness.image_index import ImageIndex, IndexedImage
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.settings import SelectSettings
from objectness.training.splits import Splits
from objectness.training.validation import propose_all

Boxes = dict[int, NDArray[np.float32]]


def read_given(files: Sequence[Path], splits: Splits, notify: Callable[[str], None]) -> tuple[Boxes, Boxes]:
    """The proposals of the photographs for training and of those for validation, best first, in their pixels.

    Args:
        files: One for both, or one for each.
        splits: The photographs.
        notify: Called with sentences on what was left out or is missing.

    Raises:
        InputError: a file that cannot be read or has no proposals for them; one file for photographs whose ids are
            not unique.
    """
    training, validation = splits.training.records, splits.validation.records
    if len(files) == 1 and {one.image_id for one in training} & {one.image_id for one in validation}:
        raise InputError(
            f"The images for training and for validation have ids in common, so {files[0]} cannot hold the proposals "
            "of both: give two files, the one for training first.",
            arguments=("proposals",),
        )
    found = (_read(files[0], training, "training", notify), _read(files[-1], validation, "validation", notify))
    if not any(len(boxes) for boxes in found[0].values()):
        raise InputError(f"{files[0]} has no proposals for the photographs that are trained on.")
    return found


def _read(path: Path, records: Sequence[Record], what: str, notify: Callable[[str], None]) -> Boxes:
    images = (IndexedImage(one.image_id, one.path, one.size_hw, one.own_id) for one in records)
    proposals = read_proposals(path, image_index=ImageIndex(tuple(images), f"the photographs for {what}"))
    own = {record.image_id for record in records}
    boxes = {image_id: found.boxes_xyxy for image_id, found in proposals.items() if image_id in own}
    missing = sum(not len(boxes.get(image_id, ())) for image_id in own)
    if missing:
        notify(f"{path}: {missing} of {len(own)} photographs for {what} have no proposals.")
    return boxes


def proposals_of(
    network: RegionProposalNetwork, records: Sequence[Record], select: SelectSettings, file: Path
) -> Boxes:
    """The proposals of an RPN, read from ``file`` where they were made before, else made and written there.

    Args:
        network: Left in evaluation mode.
        records: The photographs.
        select: How many.
        file: Ends in .safetensors.

    Raises:
        InputError: a file that is broken or cannot be written; a photograph that can no longer be read.
    """
    if file.exists():
        return _load(file, records)
    own = network.settings
    network.settings = replace(own, select=select)
    try:
        found = propose_all(network, records, select.post_nms_top_n)
    finally:
        network.settings = own
    boxes = {image_id: proposals.boxes_xyxy for image_id, proposals in found.items()}
    _save(file, boxes)
    return boxes


def _save(file: Path, boxes: Mapping[int, NDArray[np.float32]]) -> None:
    arrays = {
        "image_ids": np.array(list(boxes), dtype=np.int64),
        "counts": np.array([len(some) for some in boxes.values()], dtype=np.int64),
        "boxes_xyxy": np.concatenate([*boxes.values(), np.zeros((0, 4), dtype=np.float32)]),
    }
    with replacing_bytes(file) as opened:
        opened.write(save(arrays))


def _load(file: Path, records: Sequence[Record]) -> Boxes:
    try:
        arrays = load_file(file)
        ends = np.cumsum(arrays["counts"])[:-1]
        boxes = dict(zip(arrays["image_ids"].tolist(), np.split(arrays["boxes_xyxy"], ends), strict=True))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise InputError(f"{file} cannot be read ({error}): remove it, and it is made again.") from None
    if missing := {record.image_id for record in records} - boxes.keys():
        raise InputError(f"{file} has no proposals of image {min(missing)}: remove it, and it is made again.")
    return boxes
