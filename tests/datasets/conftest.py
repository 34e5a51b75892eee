"""Small data sets, made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def coco_json(tmp_path: Path, making: Any) -> Callable[..., Path]:
    """Write a COCO file of 40 x 30 images a.png, b.png ... with boxes by image; the images exist."""

    def make(boxes: Sequence[Sequence[Sequence[float]]], name: str = "instances_train.json", **more: Any) -> Path:
        images = [
            {"id": 10 + i, "file_name": f"{chr(97 + i)}.png", "width": 40, "height": 30} for i in range(len(boxes))
        ]
        for index, image in enumerate(images):
            making.image(tmp_path / "train" / str(image["file_name"]), seed=index)
        annotations = [
            {"id": 1, "image_id": 10 + i, "category_id": 3, "bbox": list(box)}
            for i, own in enumerate(boxes)
            for box in own
        ]
        categories = [{"id": 3, "name": "cat"}]
        document = {"images": images, "annotations": annotations, "categories": categories, **more}
        return making.write(tmp_path / name, document)

    return make
