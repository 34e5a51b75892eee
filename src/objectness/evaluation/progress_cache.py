"""Keep what a method proposed and how long it took, so that a comparison that was stopped goes on."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from objectness.evaluation.run_methods import Progress
from objectness.files.atomic_write import replacing_bytes
from objectness.proposals import Proposals


def save(path: Path, progress: Progress, about: Mapping[str, object]) -> None:
    """Write a method's progress, whole or not at all.

    Args:
        path: An ``.npz`` file; its folder is made where it is missing.
        progress: Of one method.
        about: What it was made with (plain values); it is kept under another only if this is the same.

    Raises:
        InputError: the place cannot be written to.
    """
    found = list(progress.proposals.values())
    with replacing_bytes(path) as file:
        np.savez(
            file,
            about=np.array(json.dumps(about, sort_keys=True)),
            image_ids=np.array(list(progress.proposals), dtype=np.int64),
            seconds=np.array([progress.seconds[image_id] for image_id in progress.proposals], dtype=np.float64),
            sizes_hw=np.array([one.size_hw for one in found], dtype=np.int64).reshape(-1, 2),
            counts=np.array([len(one) for one in found], dtype=np.int64),
            boxes_xyxy=np.concatenate([np.zeros((0, 4), np.float32), *(one.boxes_xyxy for one in found)]),
            scores=np.concatenate([np.zeros(0, np.float32), *(one.scores for one in found)]),
        )


def load(path: Path, about: Mapping[str, object]) -> Progress | None:
    """Read a method's progress; None where there is none, or it was made with something else, or is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["about"]) != json.dumps(about, sort_keys=True):
                return None
            ends = np.cumsum(file["counts"])[:-1]
            parts = zip(
                file["image_ids"].tolist(),
                np.split(file["boxes_xyxy"], ends),
                np.split(file["scores"], ends),
                file["sizes_hw"].tolist(),
                strict=False,
            )
            proposals = {
                image_id: Proposals(boxes, scores, (size_hw[0], size_hw[1]))
                for image_id, boxes, scores, size_hw in parts
            }
            return Progress(proposals, dict(zip(file["image_ids"].tolist(), file["seconds"].tolist(), strict=True)))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
