from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objectness.errors import InputError
from objectness.evaluation import progress_cache
from objectness.evaluation.run_methods import Progress, run
from objectness.proposals import Proposals


@pytest.fixture
def records(make_record, tmp_path: Path):
    """Three photographs; the second is broken."""
    for name in ("a", "c"):
        Image.new("RGB", (64, 48)).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    return [make_record(number, name=str(tmp_path / f"{name}.png")) for number, name in enumerate("abc", start=1)]


def whole(image: np.ndarray) -> Proposals:
    height, width = image.shape[:2]
    return Proposals(np.array([[0, 0, width, height]]), np.array([0.5]), (height, width))


@pytest.mark.parametrize("read_ahead", [True, False])
def test_broken_photographs_take_no_other_with_them(records, read_ahead: bool) -> None:
    done, failed, seen = {"w": Progress()}, {}, []
    run({"w": whole}, records, done, failed, read_ahead=read_ahead, on_image=lambda: seen.append(1))
    assert list(done["w"].proposals) == list(done["w"].seconds) == [1, 3]
    assert done["w"].proposals[1].boxes_xyxy.tolist() == [[0, 0, 64, 48]]
    assert list(failed) == [str(records[1].path)]
    assert len(seen) == 3


def test_no_photographs() -> None:
    failed: dict[str, str] = {}
    run({"w": whole}, [], {"w": Progress()}, failed, read_ahead=True)
    assert failed == {}


def test_what_is_done_is_not_done_again(records) -> None:
    calls = []

    def counted(image: np.ndarray) -> Proposals:
        calls.append(1)
        return whole(image)

    done = {"w": Progress({1: whole(np.zeros((48, 64, 3)))}, {1: 0.25})}
    run({"w": counted}, records, done, {}, read_ahead=False)
    assert len(calls) == 1
    assert done["w"].seconds[1] == 0.25


def test_methods_take_turns_and_a_stop_keeps_what_is_done(records) -> None:
    order = []

    def told(name: str):
        def propose(image: np.ndarray) -> Proposals:
            order.append(name)
            if len(order) == 4:
                raise KeyboardInterrupt
            return whole(image)

        return propose

    done = {"one": Progress(), "two": Progress()}
    with pytest.raises(KeyboardInterrupt):
        run({"one": told("one"), "two": told("two")}, records, done, {}, read_ahead=False)
    assert order == ["one", "two", "one", "two"]
    assert (list(done["one"].proposals), list(done["two"].proposals)) == ([1, 3], [1])


ABOUT = {"method": "w", "top": 5}
PROGRESS = Progress(
    {7: Proposals([[0, 0, 1, 2], [3, 4, 5, 6]], [0.9, 0.1], (48, 64)), 8: Proposals([], [], (10, 20))},
    {7: 0.5, 8: 0.25},
)


class TestKeeping:
    def test_there_and_back(self, tmp_path: Path) -> None:
        progress_cache.save(tmp_path / "new" / "w.npz", PROGRESS, ABOUT)
        back = progress_cache.load(tmp_path / "new" / "w.npz", ABOUT)
        assert back is not None
        assert back.seconds == {7: 0.5, 8: 0.25}
        assert back.proposals[7].boxes_xyxy.tolist() == [[0, 0, 1, 2], [3, 4, 5, 6]]
        assert back.proposals[7].scores.tolist() == [np.float32(0.9), np.float32(0.1)]
        assert (len(back.proposals[8]), back.proposals[8].size_hw) == (0, (10, 20))
        assert [file.name for file in (tmp_path / "new").iterdir()] == ["w.npz"]

    def test_nothing(self, tmp_path: Path) -> None:
        progress_cache.save(tmp_path / "w.npz", Progress(), ABOUT)
        assert progress_cache.load(tmp_path / "w.npz", ABOUT) == Progress()

    def test_made_with_something_else(self, tmp_path: Path) -> None:
        progress_cache.save(tmp_path / "w.npz", PROGRESS, ABOUT)
        assert progress_cache.load(tmp_path / "w.npz", {**ABOUT, "top": 6}) is None

    @pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 and then nothing"])
    def test_damaged_or_missing(self, tmp_path: Path, content: bytes) -> None:
        assert progress_cache.load(tmp_path / "none.npz", ABOUT) is None
        (tmp_path / "w.npz").write_bytes(content)
        assert progress_cache.load(tmp_path / "w.npz", ABOUT) is None

    def test_cut_short(self, tmp_path: Path) -> None:
        progress_cache.save(tmp_path / "w.npz", PROGRESS, ABOUT)
        whole_file = (tmp_path / "w.npz").read_bytes()
        for length in range(0, len(whole_file) - 1, 97):
            (tmp_path / "w.npz").write_bytes(whole_file[:length])
            assert progress_cache.load(tmp_path / "w.npz", ABOUT) is None

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="cannot be written"):
            progress_cache.save(tmp_path / "file" / "w.npz", PROGRESS, ABOUT)
