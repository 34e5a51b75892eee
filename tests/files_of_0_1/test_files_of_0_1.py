"""Files of version 0.1: they load, propose, export and resume as the code that wrote them did (see README.md)."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import objectness
from objectness.settings import from_dict, merge
from objectness.training.settings import RunSettings

pytest.importorskip("torch")

HERE = Path(__file__).parent
PHOTO = HERE.parents[1] / "examples" / "photos" / "coffee.jpg"
EXPECTED = json.loads((HERE / "expected.json").read_text())
CHECKPOINTS = ["sampled", "aligned", "open-world"]


def unpacked(name: str, folder: Path) -> Path:
    """A file of version 0.1 as it was before it was packed."""
    target = folder / Path(name).name
    target.write_bytes(gzip.decompress((HERE / f"{name}.gz").read_bytes()))
    return target


def assert_proposes(path: Path, expected: dict[str, Any]) -> None:
    found = objectness.load(str(path), top=10)(PHOTO)
    np.testing.assert_allclose(found.scores, expected["scores"], atol=2e-5)
    np.testing.assert_allclose(found.boxes_xyxy, expected["boxes_xyxy"], atol=0.05)


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_a_checkpoint_proposes_the_same_boxes(kind: str, tmp_path: Path) -> None:
    assert_proposes(unpacked(f"{kind}.safetensors", tmp_path), EXPECTED[kind])


def test_an_exported_model_proposes_the_same_boxes(tmp_path: Path) -> None:
    assert_proposes(unpacked("open-world.onnx", tmp_path), EXPECTED["open-world.onnx"])


@pytest.mark.slow
def test_a_checkpoint_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import jaxtyping

    from objectness.export.export_model import export_model

    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # export traces with symbols, which are no ints

    checkpoint = unpacked("open-world.safetensors", tmp_path)
    report = export_model(checkpoint, tmp_path / "exported.onnx")
    assert_proposes(report.target, EXPECTED["open-world.onnx"])


def test_names_of_weights_outside_timm(tmp_path: Path) -> None:
    """The paper's own backbones name their weights themselves."""
    import torch
    from safetensors.torch import save_file

    from objectness.rpn.checkpoint import load_network

    shapes = json.loads((HERE / "weights_of_paper_zf.json").read_text())
    weights = {name: torch.full(shape, float(index)) for index, (name, shape) in enumerate(shapes.items())}
    settings = json.loads((HERE / "settings_of_paper_zf.json").read_text())
    described = {"format": 1, "settings": settings, "details": {}}
    save_file(weights, tmp_path / "zf.safetensors", metadata={"objectness": json.dumps(described)})
    network, _ = load_network(tmp_path / "zf.safetensors")
    assert sorted(float(value.flatten()[0]) for value in network.state_dict().values()) == list(range(len(shapes)))


@pytest.mark.slow
def test_a_run_is_resumed_to_the_same_losses(tmp_path: Path) -> None:
    from objectness.training import run

    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("best.safetensors", "last.safetensors", "last.state.safetensors"):
        unpacked(f"run/{name}", folder)
    shutil.copy(HERE / "run" / "results.csv", folder)
    config = json.loads((HERE / "run" / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "data": str(_data(tmp_path / "data"))}))
    assert_proposes(folder / "last.safetensors", EXPECTED["run"])

    rows = run.resume(folder).rows
    for row, expected in zip(rows, EXPECTED["resumed run"], strict=True):
        assert {key: row[key] for key in expected} == pytest.approx(expected, rel=2e-3)


def test_a_file_of_settings() -> None:
    settings = merge(RunSettings(), json.loads((HERE / "settings.json").read_text()))
    rpn = settings.rpn
    assert (settings.recipe, settings.optimizer.lr) == ("two-stage", 0.25)
    assert (rpn.head.tower_convolutions, rpn.match.atss_top_k, rpn.refinement.grid, rpn.oln.negatives_per_positive) == (
        2,
        5,
        2,
        3,
    )
    assert (rpn.task_aligned.alpha, rpn.task_aligned.beta, rpn.task_aligned.gamma) == (0.5, 4, 1.5)
    assert (rpn.localization_quality.use, rpn.loss.objective) == ("both", "task-aligned")
    assert (rpn.select.pre_nms_top_n, rpn.select.post_nms_top_n) == (11, 12)


def test_the_configuration_of_a_run() -> None:
    config = json.loads((HERE / "run" / "config.json").read_text())
    settings = from_dict(RunSettings, config["settings"])
    assert (settings.recipe, settings.rpn.loss.objective) == ("task-aligned", "task-aligned")
    assert settings.rpn.task_aligned.top_k == 3


def _data(folder: Path) -> Path:
    """The data set of the run: windows of a photograph, 4 to train on and 2 to validate."""
    photo = Image.open(PHOTO).convert("RGB")
    for split, count in (("train", 4), ("val", 2)):
        images, annotations = [], []
        (folder / split).mkdir(parents=True)
        for index in range(1, count + 1):
            left, top = 60 * index, 40 * index
            photo.crop((left, top, left + 160, top + 120)).save(folder / split / f"{index}.png")
            images.append({"id": index, "file_name": f"{index}.png", "width": 160, "height": 120})
            for x, y in ((10, 12), (80, 50)):
                box = {"bbox": [x, y, 30 + 6 * index, 40], "area": 1200, "iscrowd": 0}
                annotations.append({"id": len(annotations) + 1, "image_id": index, "category_id": 1, **box})
        document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
        (folder / f"instances_{split}.json").write_text(json.dumps(document))
    return folder
