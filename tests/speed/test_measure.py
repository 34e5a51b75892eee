from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from objectness.engines import Candidates, ModelDescription, RankedBoxes
from objectness.engines.candidates import select
from objectness.errors import InputError
from objectness.inference.proposer import Proposer, Timed
from objectness.proposals import Proposals
from objectness.speed import measure
from objectness.speed.measure import peak_memory, time_models


class Counting:
    """An engine that proposes ``count`` boxes and writes its name down each time it looks at a photograph."""

    def __init__(self, name: str, count: int, seen: list[str]) -> None:
        self.description = ModelDescription(name, short_side=20, long_side=30)
        self._count, self._seen = count, seen

    def candidates(self, pixels: np.ndarray) -> Candidates:
        self._seen.append(self.description.name)
        left = np.arange(self._count, dtype=np.float32)
        boxes = np.stack([left, np.zeros_like(left), left + 1, np.full_like(left, 5)], axis=1)
        return Candidates(boxes, np.full(self._count, 0.5, np.float32), np.zeros(self._count, np.int64))

    def propose(self, pixels: np.ndarray, **limits: Any) -> RankedBoxes:
        return select(self.candidates(pixels), pixels.shape[:2], **limits)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(2)]
    for path in paths:
        Image.new("RGB", (30, 20), "teal").save(path)
    return paths


def test_models_take_turns_and_the_first_round_does_not_count(photos: list[Path]) -> None:
    seen: list[str] = []
    rounds: list[int] = []

    def track(items: Iterable[Any]) -> Iterable[Any]:
        for item in items:
            rounds.append(item)
            yield item

    models = [Proposer(Counting("three", 3, seen)), Proposer(Counting("none", 0, seen))]
    timings = time_models(models, photos, 2, track)
    assert rounds == [0, 1, 2]
    assert seen == (["three"] * 4 + ["none"] * 4) * 3  # two photographs one by one, then as a stream
    assert [timing.proposals for timing in timings] == [3, 0]


def test_medians_by_hand(photos: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """One photograph: reading takes 1, 2, 9 and the network 5, 4, 1 after a round of 100 that does not count."""
    parts = iter([(100.0, 100.0), (1.0, 5.0), (2.0, 4.0), (9.0, 1.0)])

    class Told:
        def timed(self, photo: Path) -> Any:
            nothing = Proposals(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), (20, 30))
            return Timed(nothing, *next(parts))

        def stream(self, photos: list[Path]) -> list[Path]:
            return photos

    times = iter([0.0, 0.0, 3.0, 0.0, 4.0, 0.0, 8.0])  # when a stream began and, but in the first round, ended
    monkeypatch.setattr(measure, "perf_counter", lambda: next(times))
    (timing,) = time_models([Told()], photos[:1], 3)  # type: ignore[list-item]
    assert (timing.total, timing.reading, timing.network) == (6000, 2000, 4000)
    assert timing.in_a_stream == 4000


def test_a_photograph_that_cannot_be_read_is_named(photos: list[Path]) -> None:
    photos[1].write_bytes(b"no image")
    with pytest.raises(InputError, match=r"1\.png: is not an image"):
        time_models([Proposer(Counting("any", 1, []))], photos, 1)


def test_memory_grows_by_what_is_held() -> None:
    """In a process of its own, as the peak of this one lies behind us."""
    script = """
from objectness.speed.measure import peak_memory
before = peak_memory()
held = b"x" * 200_000_000
print(-1 if before is None else peak_memory() - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    grown = int(done.stdout)
    if grown == -1:
        pytest.skip("this system does not tell")
    assert 150_000_000 < grown < 260_000_000


def test_memory_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_file", lambda path: False)  # no /proc
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows: importing it fails
    assert peak_memory() is None
