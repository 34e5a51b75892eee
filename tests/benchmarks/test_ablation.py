"""An ablation of seconds: both networks through one loop, nothing done twice, classes held out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from objectness.errors import InputError

torch = pytest.importorskip("torch")
checkpoints = pytest.importorskip("objectness.training.checkpoints")
jaxtyping = pytest.importorskip("jaxtyping")

SMALL = (
    "rpn.backbone.name=test_resnet",
    "rpn.backbone.pyramid_channels=16",
    "rpn.head.channels=16",
    "rpn.images.short_side=64",
    "rpn.images.long_side=96",
    "loop.workers=0",
    "loop.batch_size=2",
    "loop.epoch_images=2",
    "loop.epochs=2",
)


@pytest.fixture(scope="module", autouse=True)
def shapes_unchecked() -> Iterator[None]:
    """The loop is annotated for our network; torchvision's has the same methods."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def ablation(benchmarks: None) -> ModuleType:
    return import_module("ablation")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Bright squares (class dog) and bars (class vase) on noise: 4 photographs to train on, 2 to measure."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        (tmp_path / split).mkdir()
        images, annotations = [], []
        for index in range(1, count + 1):
            pixels = generator.integers(0, 80, (64, 96, 3), dtype=np.uint8)
            for category, (x, y, w, h) in ((1, (8, 8, 24, 24)), (2, (50 + index, 4, 12, 50))):
                pixels[y : y + h, x : x + w] = 230
                box = {"bbox": [x, y, w, h], "area": w * h, "iscrowd": 0}
                annotations.append({"id": len(annotations) + 1, "image_id": index, "category_id": category, **box})
            Image.fromarray(pixels).save(tmp_path / split / f"{index}.png")
            images.append({"id": index, "file_name": f"{index}.png", "width": 96, "height": 64})
        classes = [{"id": 1, "name": "dog"}, {"id": 2, "name": "vase"}]
        document = {"images": images, "annotations": annotations, "categories": classes}
        (tmp_path / f"instances_{split}.json").write_text(json.dumps(document))
    return tmp_path


@pytest.fixture
def budget(ablation: ModuleType) -> Any:
    return ablation.Budget(4, 64, None, ("voc",), 0, SMALL)


@pytest.mark.slow
def test_both_are_trained_measured_and_not_repeated(
    ablation: ModuleType, data: Path, budget: Any, tmp_path: Path
) -> None:
    split = ablation.read_data(data, "val", budget)
    assert split.seen == {"dog"}
    assert sum(len(record.boxes_xyxy) for record in split.training.records) == 4
    assert len(split.sizes) == 4
    told: list[str] = []
    results = [
        ablation.train_and_measure(row, 0, budget, split, tmp_path / "out", told.append)
        for row in ("ours", "torchvision")
    ]
    for row, result in zip(("ours", "torchvision"), results, strict=True):
        assert (result.row, result.images) == (row, 2)
        assert set(result.ar) == {str(k) for k in ablation.KS}
        # Two objects of each kind: what is found of all is the mean of what is found of each.
        apart = [result.ar_by_seen[part]["1000"] for part in ("seen", "unseen")]
        assert result.ar["1000"] == pytest.approx(sum(apart) / 2)
        assert ablation.finished(row, 0, split, tmp_path / "out") == result
    said = len(told)
    config = ablation.folder_of("ours", 0, tmp_path / "out") / "config.json"
    older = json.loads(config.read_text())
    del older["settings"]["loop"]["patience"]  # trained before there was such a setting
    config.write_text(json.dumps(older))
    assert ablation.train_and_measure("ours", 0, budget, split, tmp_path / "out", told.append) == results[0]
    assert len(told) == said
    with pytest.raises(InputError, match="other settings"):
        ablation.train_and_measure("ours", 0, replace(budget, crop=96), split, tmp_path / "out", told.append)


@pytest.mark.slow
def test_a_stopped_training_goes_on_to_the_same_figures(
    ablation: ModuleType, data: Path, budget: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = ablation.read_data(data, "val", budget)
    whole = ablation.train_and_measure("torchvision", 0, budget, split, tmp_path / "whole", lambda line: None)
    save = checkpoints.save_state

    def fail(*given: Any) -> None:
        save(*given)
        raise KeyboardInterrupt  # as if the machine went down after the first epoch

    monkeypatch.setattr(checkpoints, "save_state", fail)
    with pytest.raises(KeyboardInterrupt):
        ablation.train_and_measure("torchvision", 0, budget, split, tmp_path / "broken", lambda line: None)
    monkeypatch.setattr(checkpoints, "save_state", save)
    resumed = ablation.train_and_measure("torchvision", 0, budget, split, tmp_path / "broken", lambda line: None)
    assert replace(resumed, seconds=0) == replace(whole, seconds=0)


def test_anchors_fit_the_boxes(ablation: ModuleType, data: Path, budget: Any) -> None:
    split = ablation.read_data(data, "val", budget)
    # Every box is (8, 8, 32, 32). The square of 32 px around the cell corner (24, 24) holds it: 576 / 1024 is above .50
    # and .55 only, and no other size on that corner or on (16, 16) does better.
    assert 32 in split.sizes
    assert "some anchor fits 0.200, mean IoU of the best anchor 0.562" in split.reach
