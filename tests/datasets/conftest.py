"""Small data sets, made on the spot."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


class Making:
    """Files of the three layouts; a fixture, so that tests need no import from each other."""

    @staticmethod
    def image(path: Path, width: int = 40, height: int = 30, seed: int = 0, orientation: int | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
        image = Image.fromarray(pixels)
        exif = Image.Exif()
        if orientation:
            exif[0x0112] = orientation
        image.save(path, exif=exif)
        return path

    @staticmethod
    def voc_xml(
        file_name: str, *boxes: Sequence[float], size: tuple[int, int] | None = (40, 30), name: str = "cell"
    ) -> str:
        """Boxes are xmin, ymin, xmax, ymax as they stand in the file; size is width, height."""
        stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
        corners = ("xmin", "ymin", "xmax", "ymax")
        objects = "".join(
            f"<object><name>{name}</name><difficult>1</difficult><bndbox>"
            + "".join(f"<{corner}>{value}</{corner}>" for corner, value in zip(corners, box, strict=True))
            + "</bndbox></object>"
            for box in boxes
        )
        return f"<annotation><filename>{file_name}</filename>{stated}{objects}</annotation>"

    @staticmethod
    def write(path: Path, text: str | bytes | Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
        return path


@pytest.fixture(scope="session")
def making() -> type[Making]:
    return Making


@pytest.fixture
def coco_json(tmp_path: Path) -> Callable[..., Path]:
    """Write a COCO file of 40 x 30 images a.png, b.png ... with boxes by image; the images exist."""

    def make(boxes: Sequence[Sequence[Sequence[float]]], name: str = "instances_train.json", **more: Any) -> Path:
        images = [
            {"id": 10 + i, "file_name": f"{chr(97 + i)}.png", "width": 40, "height": 30} for i in range(len(boxes))
        ]
        for index, image in enumerate(images):
            Making.image(tmp_path / "train" / str(image["file_name"]), seed=index)
        annotations = [
            {"id": 1, "image_id": 10 + i, "category_id": 3, "bbox": list(box)}
            for i, own in enumerate(boxes)
            for box in own
        ]
        categories = [{"id": 3, "name": "cat"}]
        document = {"images": images, "annotations": annotations, "categories": categories, **more}
        return Making.write(tmp_path / name, document)

    return make
