"""Tiles against the whole image, with the small network of ``conftest.py`` and with the bundled model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from objectness.engines import Candidates, EngineSettings
from objectness.engines.dense import DenseEngine
from objectness.engines.map_selection import candidates_of_maps
from objectness.errors import InputError
from objectness.images.windows.protocol import Rectangle, Window
from objectness.images.windows.whole import WholeReader
from objectness.inference.model_files import bundled_model, open_engine
from objectness.inference.tiling import features
from objectness.inference.tiling.grid import rows_of_tiles
from objectness.inference.tiling.journal import Journal
from objectness.inference.tiling.plan import Plan, ScalePlan
from objectness.inference.tiling.run import Scanned, scan_scales
from objectness.inference.tiling.scan import Counts

PHOTOS = Path(__file__).parents[3] / "examples" / "photos"
SIZES_HW = [(171, 233), (57, 219), (150, 61), (1, 233), (171, 1), (1, 1), (33, 40)]


def plan(engine: DenseEngine, *sizes_hw: tuple[int, int], tile: int = 64, overlap: int = 16) -> Plan:
    """Scales with the network's own numbers of boxes."""
    own = engine.geometry
    counts = Counts(own.pre_nms_top_n, 0 if own.refinement is None else own.refinement.boxes)
    stride = max(own.strides)
    scales = [ScalePlan(size_hw, rows_of_tiles(size_hw, tile, overlap, stride), counts) for size_hw in sizes_hw]
    return Plan(tuple(scales), 30, tile, overlap, exact=True)


def scan(engine: DenseEngine, pixels: NDArray[np.uint8], planned: Plan, **options: Any) -> Scanned:
    return scan_scales(WholeReader(pixels, "image"), engine, planned, **{"workers": 2} | options)


def assert_equal(found: Candidates, expected: Candidates, pixels: float = 0.0, score: float = 0.0) -> None:
    assert found.levels.tolist() == expected.levels.tolist()
    assert np.abs(found.scores - expected.scores).max(initial=0) <= score
    assert np.abs(found.boxes_xyxy - expected.boxes_xyxy).max(initial=0) <= pixels


@pytest.mark.parametrize("size_hw", SIZES_HW)
@pytest.mark.parametrize("refinement", [False, True])
def test_tiles_equal_the_whole(
    small_network: Any, photograph: NDArray[np.uint8], size_hw: tuple[int, int], refinement: bool
) -> None:
    """Boxes larger than a tile, equal scores at every border of the choice, images thinner than a cell."""
    engine = small_network(refinement=refinement)
    pixels = photograph[: size_hw[0], : size_hw[1]]
    expected = candidates_of_maps(engine.maps(pixels), size_hw, engine)
    ((_, found),) = scan(engine, pixels, plan(engine, size_hw)).scales
    assert_equal(found, expected, pixels=1e-4, score=1e-6)
    if size_hw == (171, 233):
        sides = found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]
        assert len(plan(engine, size_hw).scales[0].rows) == 5
        assert sides.max() > 64
        assert len(np.unique(found.scores)) < len(found.scores)


def test_too_little_overlap_is_not_exact(small_network: Any, photograph: NDArray[np.uint8]) -> None:
    """The test above can fail."""
    engine = small_network()
    expected = candidates_of_maps(engine.maps(photograph), (171, 233), engine)
    ((_, found),) = scan(engine, photograph, plan(engine, (171, 233), overlap=0)).scales
    assert np.abs(found.boxes_xyxy[:30] - expected.boxes_xyxy[:30]).max() > 1


@pytest.mark.parametrize("in_memory", [0, 10**9])
def test_workers_and_places_of_features_make_no_difference(
    small_network: Any, photograph: NDArray[np.uint8], in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = small_network()
    planned = plan(engine, (60, 80), (171, 233))
    first = scan(engine, photograph, planned, workers=1)
    monkeypatch.setattr(features, "MOST_BYTES_IN_MEMORY", in_memory)
    monkeypatch.setattr(features, "_READ_BYTES", 4000)
    second = scan(engine, photograph, planned, workers=5)
    for (size_hw, one), (other_hw, other) in zip(first.scales, second.scales, strict=True):
        assert size_hw == other_hw
        assert_equal(one, other)


class Damaged(WholeReader):
    """Nothing of rows 40 to 50 can be decoded."""

    def window(self, part: Rectangle) -> Window:
        window = super().window(part)
        top, bottom = max(part.y, 40), min(part.y + part.height, 50)
        if top >= bottom:
            return window
        window.pixels[top - part.y : bottom - part.y] = 128
        return Window(window.pixels, (Rectangle(40, 0, 10, 233),), "cut short")


def test_missing_parts_are_told_once(small_network: Any, photograph: NDArray[np.uint8]) -> None:
    engine = small_network()
    reader = Damaged(photograph, "image")
    found = scan_scales(reader, engine, plan(engine, (171, 233)), workers=2)
    assert found.missing == ((40, 0, 10, 233),)
    assert found.reason == "cut short"
    assert len(found.scales[0][1].scores)


class Stopped(Exception):  # noqa: N818
    pass


def stop_at(tile: int) -> Any:
    def on_tile(done: int, tiles: int, seconds_left: float | None) -> None:
        if done == tile:
            raise Stopped

    return on_tile


@pytest.mark.parametrize("tile", [1, 2, 3, 9, 20, 31, 36])
def test_a_stopped_run_goes_on(small_network: Any, photograph: NDArray[np.uint8], tile: int, tmp_path: Path) -> None:
    engine, source = small_network(), tmp_path / "image.png"
    Image.fromarray(photograph).save(source)
    planned = plan(engine, (60, 80), (171, 233))
    assert planned.tiles == 37
    expected = scan(engine, photograph, planned)
    journal = Journal(tmp_path / "journal", source, engine, planned, resume=False)
    with pytest.raises(Stopped):
        scan(engine, photograph, planned, journal=journal, on_tile=stop_at(tile))
    heard: list[int] = []
    journal = Journal(tmp_path / "journal", source, engine, planned, resume=True)
    found = scan(engine, photograph, planned, journal=journal, on_tile=lambda done, *_: heard.append(done))
    rows = [len(row) for scale in planned.scales for row in scale.rows]
    ends = [0, *np.cumsum(rows).tolist()]
    assert heard == list(range(max(end for end in ends if end <= tile) + 1, planned.tiles + 1))
    for (_, one), (_, other) in zip(found.scales, expected.scales, strict=True):
        assert_equal(one, other)
    journal.remove()
    assert not (tmp_path / "journal").exists()


_KILLED = """
import importlib.util, os, signal, sys
import numpy as np
from pathlib import Path
from PIL import Image

folder, tests = map(Path, sys.argv[1:])
def module(name):
    spec = importlib.util.spec_from_file_location(name, tests / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found
conftest, test_run = module("conftest"), module("test_run")
from objectness.inference.tiling.journal import Journal

engine, source = conftest.SmallNetwork(), folder / "image.png"
planned = test_run.plan(engine, (60, 80), (171, 233))
def on_tile(done, tiles, seconds_left):
    if done == 23:
        os.kill(os.getpid(), signal.SIGKILL)
journal = Journal(folder / "journal", source, engine, planned, resume=False)
test_run.scan(engine, np.asarray(Image.open(source)), planned, journal=journal, on_tile=on_tile)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_a_killed_run_goes_on(small_network: Any, photograph: NDArray[np.uint8], tmp_path: Path) -> None:
    engine, source = small_network(), tmp_path / "image.png"
    Image.fromarray(photograph).save(source)
    command = [sys.executable, "-c", _KILLED, str(tmp_path), str(Path(__file__).parent)]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    planned = plan(engine, (60, 80), (171, 233))
    heard: list[int] = []
    journal = Journal(tmp_path / "journal", source, engine, planned, resume=True)
    found = scan(engine, photograph, planned, journal=journal, on_tile=lambda done, *_: heard.append(done))
    assert heard[0] == 24 - (23 - 2) % 7
    for (_, one), (_, other) in zip(found.scales, scan(engine, photograph, planned).scales, strict=True):
        assert_equal(one, other)


@pytest.mark.parametrize(
    ("what", "sentence"),
    [("model", "with another model"), ("plan", "with other tiles, overlap"), ("run", "by another version")],
)
def test_another_run_is_not_gone_on_with(small_network: Any, what: str, sentence: str, tmp_path: Path) -> None:
    engine, source = small_network(), tmp_path / "image.png"
    source.write_bytes(b"image")
    planned = plan(engine, (171, 233))
    Journal(tmp_path / "journal", source, engine, planned, resume=False)
    Journal(tmp_path / "journal", source, engine, planned, resume=True)
    match what:
        case "run":
            next((tmp_path / "journal").glob("*/run.json")).write_bytes(b"{")
        case "model":
            engine.description = replace(engine.description, details={"weights_sha256": "1"})
        case _:
            planned = plan(engine, (171, 233), tile=80)
    with pytest.raises(InputError, match=f"image.png: what an earlier run left in .* {sentence}.*start without"):
        Journal(tmp_path / "journal", source, engine, planned, resume=True)
    Journal(tmp_path / "journal", source, engine, planned, resume=False)


def test_a_file_that_has_changed_is_begun_anew(
    small_network: Any, photograph: NDArray[np.uint8], tmp_path: Path
) -> None:
    engine, source = small_network(), tmp_path / "image.png"
    source.write_bytes(b"image")
    planned = plan(engine, (171, 233))
    journal = Journal(tmp_path / "journal", source, engine, planned, resume=False)
    with pytest.raises(Stopped):
        scan(engine, photograph, planned, journal=journal, on_tile=stop_at(20))
    assert Journal(tmp_path / "journal", source, engine, planned, resume=True).load()[0].rows
    source.write_bytes(b"another image")
    assert not Journal(tmp_path / "journal", source, engine, planned, resume=True).load()[0].rows


def test_a_damaged_journal(small_network: Any, photograph: NDArray[np.uint8], tmp_path: Path) -> None:
    engine, source = small_network(), tmp_path / "image.png"
    source.write_bytes(b"image")
    planned = plan(engine, (171, 233))
    journal = Journal(tmp_path / "journal", source, engine, planned, resume=False)
    with pytest.raises(Stopped):
        scan(engine, photograph, planned, journal=journal, on_tile=stop_at(20))
    state = journal.folder / "state.npz"
    state.write_bytes(state.read_bytes()[:-200])
    with pytest.raises(InputError, match="what an earlier run left there is damaged"):
        scan(engine, photograph, planned, journal=journal)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full disk at hand")  # noqa: PTH110
def test_a_full_disk_keeps_what_was_done(
    small_network: Any, photograph: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, source = small_network(), tmp_path / "image.png"
    source.write_bytes(b"image")
    planned = plan(engine, (171, 233))
    journal = Journal(tmp_path / "journal", source, engine, planned, resume=False)
    with pytest.raises(Stopped):
        scan(engine, photograph, planned, journal=journal, on_tile=stop_at(20))
    kept = (journal.folder / "state.npz").read_bytes()
    monkeypatch.setattr(Journal, "features_path", lambda self, scale: Path("/dev/full"))
    with pytest.raises(InputError, match="the disk is full; make room there"):
        scan(engine, photograph, planned, journal=journal)
    assert (journal.folder / "state.npz").read_bytes() == kept


def test_no_room_is_told_beforehand(
    small_network: Any, photograph: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "MOST_BYTES_IN_MEMORY", 0)
    monkeypatch.setattr(features, "_ROOM_LEFT", 10**18)
    engine = small_network()
    with pytest.raises(InputError, match=r"needs .* MB there for its features, and .* MB are free: make room"):
        scan(engine, photograph, plan(engine, (171, 233)))


@pytest.mark.slow
def test_the_bundled_model(tmp_path: Path) -> None:
    """With its second stage: exact with an overlap of its reach; near the corner only a part of it is needed."""
    engine = open_engine(bundled_model(), "the default model", EngineSettings(threads=1)).dense()
    pixels = np.asarray(Image.open(PHOTOS / "astronaut.jpg").convert("RGB").resize((1201, 653)))
    size_hw = (653, 1201)
    expected = candidates_of_maps(engine.maps(pixels), size_hw, engine)
    planned = plan(engine, size_hw, tile=1024, overlap=448)
    assert planned.tiles == 3
    ((_, found),) = scan(engine, pixels, planned).scales
    assert_equal(found, expected, pixels=0.01, score=1e-5)
