"""Training in one call."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import objectness
from objectness.errors import InputError

TINY = {"loop.steps": 1, "loop.batch_size": 2, "augment.crop": 64}
TINY |= {"rpn.images.short_side": 64, "rpn.images.long_side": 64}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    images = [{"id": i, "file_name": f"{i}.png", "width": 64, "height": 48} for i in range(1, 5)]
    boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": [8, 8, 40, 30]} for i in range(1, 5)]
    for i in range(1, 5):
        Image.fromarray(np.full((48, 64, 3), 50 * i, np.uint8)).save(tmp_path / f"{i}.png")
    document = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "thing"}]}
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    return tmp_path / "boxes.json"


@pytest.mark.slow
def test_a_run_is_one_call(data: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    run = objectness.train(
        data, recipe="small", weights="none", overrides=TINY, folder=tmp_path / "run", notify=notes.append
    )
    assert run.best_checkpoint == tmp_path / "run" / "best.safetensors"
    assert not run.interrupted
    settings = json.loads((run.folder / "config.json").read_text())["settings"]
    assert (settings["recipe"], settings["loop"]["steps"], settings["rpn"]["images"]["short_side"]) == ("small", 1, 64)
    assert any(note.startswith("Training on 3 photographs") for note in notes)
    assert len(objectness.load(run.folder, top=3)(tmp_path / "1.png")) <= 3
    with pytest.raises(InputError, match=r"run exists: name a new folder"):
        objectness.train(data, folder=run.folder)


def test_an_unknown_setting_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="epoch"):
        objectness.train(tmp_path / "nowhere", weights="none", overrides={"loop.epoch": 3})
