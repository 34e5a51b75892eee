"""Tiles and scales by the public interface."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import objectness
from objectness.engines import RankedBoxes
from objectness.engines.map_selection import candidates_of_maps
from objectness.errors import InputError
from objectness.inference.proposer import Outcome, Proposer
from objectness.inference.tiling import settings
from objectness.inference.tiling.choice import choose
from objectness.inference.tiling.result import TileProgress
from objectness.inference.tiling.settings import TileSettings


class SmallModel:
    """An engine of the small network; in one piece it proposes the whole image."""

    device = "cpu"

    def __init__(self, network: Any) -> None:
        self.description = network.description
        self._network = network

    def propose(self, pixels: NDArray[np.uint8], **_: Any) -> RankedBoxes:
        height, width = pixels.shape[:2]
        return RankedBoxes(np.array([[0, 0, width, height]], np.float32), np.array([0.5], np.float32))

    def dense(self, threads: int | None = None) -> Any:
        return self._network


@pytest.fixture
def model(small_network: Any) -> SmallModel:
    return SmallModel(small_network())


@pytest.fixture
def large(photograph: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that counts as large."""
    monkeypatch.setattr(settings, "LARGE_PIXELS", 20_000)
    Image.fromarray(photograph).save(tmp_path / "large.png")
    yield tmp_path / "large.png"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.png"]


def only(outcomes: Iterator[Outcome]) -> Outcome:
    (outcome,) = outcomes
    return outcome


def test_a_large_image_is_tiled_by_itself(model: SmallModel, large: Path, photograph: NDArray[np.uint8]) -> None:
    propose = Proposer(model)
    small = photograph[:80]
    first, second, third = propose.stream([small, large, small])
    assert first.tiling is third.tiling is None
    assert len(first.proposals or ()) == 1
    assert second.error is None
    assert second.tiling is not None
    assert second.proposals is not None
    assert second.tiling.scales_hw == ((40, 55), (86, 117), (171, 233))
    assert (second.tiling.overlap, second.tiling.exact, second.tiling.missing) == (16, True, ())
    assert second.proposals.size_hw == (171, 233)
    assert second.proposals.source == str(large)
    assert 30 < len(second.proposals) <= 30 * 171 * 233 / (40 * 55) + 1
    assert (np.diff(second.proposals.scores) <= 0).all()
    again = propose(large)
    assert again.boxes_xyxy.tolist() == second.proposals.boxes_xyxy.tolist()
    for source in (photograph, Image.fromarray(photograph), large.read_bytes(), io.BytesIO(large.read_bytes())):
        assert propose(source).boxes_xyxy.tolist() == again.boxes_xyxy.tolist()  # type: ignore[call-overload]
    assert len(propose([large, small])[0]) == len(again)
    assert len(Proposer(model, top=9)(large)) == 9


def test_off_shrinks_as_before(model: SmallModel, large: Path) -> None:
    outcome = only(Proposer(model).tiled(tile="off").stream([large]))
    assert outcome.tiling is None
    assert len(outcome.proposals or ()) == 1


def test_one_scale_is_the_whole_image(model: SmallModel, small_network: Any, photograph: NDArray[np.uint8]) -> None:
    engine = small_network()
    engine.geometry = type(engine.geometry)(**vars(engine.geometry) | {"pre_nms_top_n": 10**6})
    engine.geometry = type(engine.geometry)(**vars(engine.geometry) | {"refinement": None})
    propose = Proposer(SmallModel(engine), top=500, nms=0.5).tiled(tile=64, overlap="exact", scales=1)
    outcome = only(propose.stream([photograph]))
    assert outcome.tiling is not None
    assert outcome.tiling.tiles > 10
    assert outcome.proposals is not None
    whole = candidates_of_maps(engine.maps(photograph), (171, 233), engine)
    expected = choose([((171, 233), whole)], (171, 233), nms=0.5, top=500, min_side=1.0, calibration=None)
    assert np.abs(outcome.proposals.boxes_xyxy - expected.boxes_xyxy).max() < 1e-4
    assert outcome.proposals.scores.tolist() == expected.scores.tolist()


def test_progress_and_interruption(model: SmallModel, large: Path) -> None:
    heard: list[TileProgress] = []
    propose = Proposer(model).tiled(tile=64, on_tile=heard.append)
    expected = propose(large)
    assert [progress.done for progress in heard] == list(range(1, heard[0].tiles + 1))
    assert heard[0].source == large
    assert heard[-1].seconds_left == 0

    def stop(progress: TileProgress) -> None:
        if progress.done == 25:
            raise KeyboardInterrupt

    journal = large.parent / "journal"
    with pytest.raises(KeyboardInterrupt):
        propose.tiled(journal=journal, on_tile=stop)(large)
    heard.clear()
    found = propose.tiled(journal=journal, resume=True, on_tile=heard.append)(large)
    assert 15 < heard[0].done <= 25
    assert found.boxes_xyxy.tolist() == expected.boxes_xyxy.tolist()
    assert found.scores.tolist() == expected.scores.tolist()


def test_a_journal_is_of_files(model: SmallModel, photograph: NDArray[np.uint8], tmp_path: Path) -> None:
    propose = Proposer(model).tiled(tile=64, journal=tmp_path)
    with pytest.raises(InputError, match=r"^the array of shape \(171, 233, 3\): journal keeps what was done of a file"):
        propose(photograph)


def test_errors_name_the_image_once(model: SmallModel, large: Path) -> None:
    content = large.read_bytes()
    outcome = only(Proposer(model).tiled(tile=32, overlap=16).stream([large]))
    assert str(outcome.error).count("large.png") == 1
    assert "a tile must be at least 40" in str(outcome.error)
    large.write_bytes(content[:3000])
    outcome = only(Proposer(model).stream([large]))
    assert outcome.error is not None
    assert str(outcome.error).count("large.png") == 1
    large.write_bytes(content)
    with pytest.raises(InputError, match="max_pixels"):
        Proposer(model, max_pixels=30_000)(large)


def test_thorough(model: SmallModel, photograph: NDArray[np.uint8], tmp_path: Path) -> None:
    propose = Proposer(model, thorough=True)
    outcome = only(propose.stream([photograph], keep_images=True))
    assert outcome.image is not None
    assert outcome.image.shape == photograph.shape
    assert outcome.tiling is not None
    assert outcome.tiling.scales_hw == ((29, 40), (40, 55), (57, 78), (80, 109))
    assert outcome.tiling.exact
    assert len(outcome.proposals or ()) <= 30


def test_size(model: SmallModel, photograph: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    propose = model.propose
    monkeypatch.setattr(model, "propose", lambda pixels, **rest: seen.append(pixels.shape[:2]) or propose(pixels))
    assert Proposer(model, size=80)(photograph).boxes_xyxy.tolist() == [[0, 0, 233, 171]]
    Proposer(model, size=80)(photograph[:40])
    Proposer(model)(photograph)
    assert seen == [(80, 109), (24, 140), (40, 55)]


def test_a_large_size_is_seen_in_tiles(model: SmallModel, photograph: NDArray[np.uint8]) -> None:
    outcome = next(Proposer(model, size=2000).stream([photograph]))
    assert outcome.tiling is not None
    assert outcome.tiling.scales_hw == ((2000, 2725),)
    assert outcome.tiling.tiles == 6
    whole = Proposer(model, size=2000, tiles=TileSettings("off"))
    assert next(whole.stream([photograph])).tiling is None


@pytest.mark.parametrize("size", [0, -1, 1.5, True, 10**6, "448"])
def test_odd_sizes(model: SmallModel, size: Any) -> None:
    with pytest.raises(InputError, match=r"^size is .*, but must be a whole number of pixels") as error:
        Proposer(model, size=size)
    assert error.value.arguments == ("size",)


def test_load_takes_the_same() -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(InputError, match=r"^tile is 0, but must be"):
        objectness.load(tile=0)
    with pytest.raises(InputError, match=r"^overlap is 'all', but must be"):
        objectness.load().tiled(overlap="all")  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_bundled_model_thoroughly() -> None:
    photo = Path(__file__).parents[3] / "examples" / "photos" / "astronaut.jpg"
    propose = objectness.load(thorough=True, top=100)
    outcome = only(propose.stream([photo]))
    assert outcome.tiling is not None
    assert [min(size_hw) for size_hw in outcome.tiling.scales_hw] == [320, 448, 640, 896]
    assert outcome.proposals is not None
    assert len(outcome.proposals) == 100
    assert 0.5 < outcome.proposals.scores[0] < 1
