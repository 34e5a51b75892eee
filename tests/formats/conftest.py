"""A small set of proposals with everything that a set can have, and the data set it is for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objectness.proposal_set import ProposalSet
from objectness.proposals import Proposals


@dataclass(frozen=True)
class Sample:
    """Three images, 64 x 48, 64 x 48 and 30 x 20: two proposals, none, one."""

    proposals: ProposalSet
    data: Path
    photos: Path


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return made_sample(tmp_path_factory.mktemp("sample"))


def made_sample(folder: Path) -> Sample:
    photos = folder / "photos"
    photos.mkdir()
    sizes = {7: ("a.png", (48, 64)), 3: ("b.png", (48, 64)), 12: ("c.png", (20, 30))}
    boxes = {7: [[1.25, 2.5, 4.75, 8], [0, 0, 64, 48]], 3: [], 12: [[10.1, 5.3, 29.9, 19.7]]}
    logits = {7: [2.0, -1.5], 3: [], 12: [0.25]}
    images, rows = {}, []
    for image_id, (name, (height, width)) in sizes.items():
        Image.new("RGB", (width, height)).save(photos / name)
        scores = 1 / (1 + np.exp(-np.array(logits[image_id], dtype=np.float64)))
        images[image_id] = Proposals(
            np.array(boxes[image_id], dtype=np.float32).reshape(-1, 4), scores, (height, width), str(photos / name)
        )
        rows.append({"id": image_id, "file_name": name, "width": width, "height": height})
    (folder / "photos" / "truth.json").write_text(json.dumps({"images": rows, "annotations": [], "categories": []}))
    found = ProposalSet(
        images,
        {7: np.array(logits[7]), 12: np.array(logits[12])},
        {7: np.array([2, 5]), 12: np.array([3])},
        {"model": "small", "code": "1.0 é"},
    )
    return Sample(found, photos / "truth.json", photos)
