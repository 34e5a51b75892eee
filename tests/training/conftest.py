from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objectness.settings import override
from objectness.training.recipes import small
from objectness.training.settings import RunSettings

PHOTO = Path(__file__).parents[2] / "examples" / "photos" / "coffee.jpg"

# A tiny convolutional network and tiny photographs: seconds, not minutes.
TINY = (
    "rpn.backbone.name=test_resnet",
    "rpn.backbone.pretrained=false",
    "rpn.backbone.strides=16",
    "rpn.backbone.pyramid_channels=0",
    "rpn.backbone.extra_levels=0",
    "rpn.head.channels=32",
    "rpn.anchors.sizes=24,48",
    "rpn.images.short_side=96",
    "rpn.images.long_side=160",
    "augment.crop=0",
    "loop.batch_size=2",
    "loop.workers=0",
    "loop.epochs=2",
    "schedule.warmup_steps=2",
)


@pytest.fixture
def tiny() -> Callable[..., RunSettings]:
    """Settings of a run of seconds; more overrides may follow."""
    return lambda *more: override(small(), [*TINY, *more])


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A COCO data set of windows of a real photograph: 6 to train on (one without boxes), 2 to validate."""
    photo = Image.open(PHOTO).convert("RGB")
    generator = np.random.default_rng(0)
    folder = tmp_path / "data"
    for split, count in (("train", 6), ("val", 2)):
        images, annotations = [], []
        (folder / split).mkdir(parents=True)
        for index in range(1, count + 1):
            left, top = (int(v) for v in generator.integers(0, 280, 2))
            top = min(top, 200)
            photo.crop((left, top, left + 160, top + 120)).save(folder / split / f"{index}.png")
            images.append({"id": index, "file_name": f"{index}.png", "width": 160, "height": 120})
            if index == 1 and split == "train":
                continue
            for x, y in ((10, 12), (80, 50)):
                box = [x, y, 30 + 6 * index, 40]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": index,
                        "category_id": 1,
                        "bbox": box,
                        "area": 1200,
                        "iscrowd": 0,
                    }
                )
        document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
        (folder / f"instances_{split}.json").write_text(json.dumps(document))
    return folder
