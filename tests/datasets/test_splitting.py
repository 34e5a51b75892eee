from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from objectness.cli import app
from objectness.datasets import load_dataset
from objectness.datasets.splitting import STRATA, split
from objectness.errors import InputError

SHARES = {"train": 0.7, "val": 0.2, "test": 0.1}


@pytest.mark.parametrize("name", ["bccd", "aquarium", "coco"])
def test_real_data_keeps_its_shares(shared_data: Path, name: str) -> None:
    dataset = load_dataset(shared_data / name)
    found = split(dataset, SHARES)
    totals = {stratum: sum(counts[stratum] for counts in found.strata.values()) for stratum in STRATA}
    for part, share in SHARES.items():
        for stratum, total in totals.items():
            assert found.strata[part][stratum] == pytest.approx(share * total, abs=max(2, 0.01 * total)), (
                part,
                stratum,
            )
    ids = [record.image_id for records in found.parts.values() for record in records]
    assert sorted(ids) == sorted(record.image_id for record in dataset.records)


def test_by_seed(shared_data: Path) -> None:
    dataset = load_dataset(shared_data / "aquarium")

    def members(seed: int) -> list[int]:
        return [record.image_id for record in split(dataset, SHARES, seed).parts["val"]]

    assert members(1) == members(1) != members(2)


def test_identical_files_stay_together(tmp_path: Path, making: Any) -> None:
    for number in range(12):
        making.image(tmp_path / "JPEGImages" / f"{number:02}.png", seed=number)
        making.write(tmp_path / "Annotations" / f"{number:02}.xml", making.voc_xml(f"{number:02}.png", (1, 1, 20, 20)))
    for copy, original in ((12, 3), (13, 3), (14, 7)):
        shutil.copy(tmp_path / "JPEGImages" / f"{original:02}.png", tmp_path / "JPEGImages" / f"{copy}.png")
        making.write(tmp_path / "Annotations" / f"{copy}.xml", making.voc_xml(f"{copy}.png", (1, 1, 20, 20)))
    dataset = load_dataset(tmp_path)
    for seed in range(20):
        found = split(dataset, {"train": 0.5, "val": 0.3, "test": 0.2}, seed)
        part = {record.path.stem: name for name, records in found.parts.items() for record in records}
        assert part["03"] == part["12"] == part["13"]
        assert part["07"] == part["14"]
        assert found.duplicates == 3
        assert all(found.parts.values())


def test_few_images(coco_json: Callable[..., Path]) -> None:
    dataset = load_dataset(coco_json([[[0, 0, 9, 9]], [], [[0, 0, 20, 20]]]))
    found = split(dataset, {"train": 0.8, "val": 0.1, "test": 0.1})
    assert {name: len(records) for name, records in found.parts.items()} == {"train": 1, "val": 1, "test": 1}
    with pytest.raises(InputError, match="has 3 different images, too few for 4 parts"):
        split(dataset, dict.fromkeys("abcd", 0.25))


@pytest.mark.parametrize("shares", [{"train": 1.0}, {"train": 0.9, "val": 0.2}, {"train": 1.1, "val": -0.1}, {}])
def test_wrong_shares(coco_json: Callable[..., Path], shares: dict[str, float]) -> None:
    dataset = load_dataset(coco_json([[], []]))
    with pytest.raises(InputError, match="shares must be above 0 and add up to 1"):
        split(dataset, shares)


class TestCommand:
    def test_split(self, coco_json: Callable[..., Path], tmp_path: Path) -> None:
        source = coco_json([[[0, 0, 9, 9]]] * 10)
        words = ["data", "split", source, tmp_path / "out", "--val", "0.2", "--test", "0", "--to", "yolo", "--json"]
        result = CliRunner().invoke(app, list(map(str, words)))
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        assert document["images"] == {"train": 8, "val": 2}
        assert document["strata"]["val"] == {"small": 2, "medium": 0, "large": 0, "images": 2}
        assert document["duplicates"] == 0
        assert len(load_dataset(tmp_path / "out", "val")) == 2
        result = CliRunner().invoke(app, ["data", "split", str(source), str(tmp_path / "other"), "--seed", "3"])
        assert "Wrote" in result.stdout
        assert "8 in train, 1 in val, 1 in test" in result.stdout
        assert (tmp_path / "other" / "annotations" / "instances_test.json").is_file(), "the layout it came in"

    @pytest.mark.parametrize(
        ("words", "images"),
        [
            (["--train", ".8", "--val", ".2"], {"train": 8, "val": 2}),
            (["--train", ".5", "--val", ".2"], {"train": 5, "val": 2, "test": 3}),
            (["--train", ".7", "--val", ".2", "--test", ".1"], {"train": 7, "val": 2, "test": 1}),
        ],
    )
    def test_the_test_part_is_what_the_others_leave(
        self, coco_json: Callable[..., Path], tmp_path: Path, words: list[str], images: dict[str, int]
    ) -> None:
        source = coco_json([[[0, 0, 9, 9]]] * 10)
        result = CliRunner().invoke(app, ["data", "split", str(source), str(tmp_path / "out"), *words, "--json"])
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["images"] == images

    def test_more_than_everything(self, coco_json: Callable[..., Path], tmp_path: Path) -> None:
        words = [str(coco_json([[], []])), str(tmp_path / "out"), "--train", ".8", "--val", ".5"]
        result = CliRunner().invoke(app, ["data", "split", *words])
        assert result.exit_code == 2
        assert "must be above 0 and add up to 1" in result.stderr

    def test_duplicates_are_told(self, coco_json: Callable[..., Path], tmp_path: Path) -> None:
        source = coco_json([[], [], [], []])
        shutil.copy(tmp_path / "train" / "a.png", tmp_path / "train" / "b.png")
        result = CliRunner().invoke(app, ["data", "split", str(source), str(tmp_path / "out"), "--images", "leave"])
        assert result.exit_code == 0, result.output
        assert "1 images have the same bytes as another; each lies in the part of the one it repeats." in result.stderr

    def test_convert(self, coco_json: Callable[..., Path], tmp_path: Path) -> None:
        source = coco_json([[[0.5, 0, 9, 9]], []])
        result = CliRunner().invoke(app, ["data", "convert", str(source), str(tmp_path / "out"), "--to", "voc"])
        assert result.exit_code == 0, result.output
        assert result.stdout == f"Wrote {tmp_path / 'out'} (voc): 2 images (2 in all), 1 boxes.\n"
        assert "1 boxes were rounded to whole pixels" in result.stderr
        assert np.array_equal(load_dataset(tmp_path / "out").records[0].boxes_xyxy, [[0, 0, 10, 9]])

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["convert", "nowhere", "out", "--to", "voc"], "nowhere does not exist"),
            (["split", "nowhere", "out"], "nowhere does not exist"),
            (["convert", "nowhere", "out"], "Missing option '--to'"),
        ],
    )
    def test_wrong_use(self, words: list[str], says: str) -> None:
        result = CliRunner().invoke(app, ["data", *words])
        assert result.exit_code == 2
        assert says in result.stderr
