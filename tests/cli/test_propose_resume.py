"""A run that is stopped or killed, and --resume; with the bundled model on small images that are seen in tiles."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from objectness.cli.propose_progress import Progress
from objectness.errors import InputError
from objectness.formats import read_proposals
from objectness.formats.coco_journal import Journal
from objectness.proposals import Proposals

Run = Callable[..., Result]
TILES = ("--tile", "256", "--overlap", "64", "--scales", "1", "--threads", "1")


@pytest.fixture
def run(run: Run) -> Run:
    for number, name in enumerate("abc"):
        pixels = np.random.default_rng(number).integers(0, 256, (10, 15, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((600, 400), Image.Resampling.BICUBIC).save(f"{name}.png")
    return partial(run, "propose")


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Stop at the n-th tile from now on, as Ctrl-C does; None lets runs go on to their ends."""
    usual = Progress.on_tile
    left: list[int | None] = [None]

    def on_tile(self: Progress, now: Any) -> None:
        usual(self, now)
        if left[0] is not None:
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "on_tile", on_tile)

    def after(tiles: int | None) -> None:
        left[0] = tiles

    return after


def _files(folder: str) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def _count_tiles(run: Run) -> int:
    tiles = json.loads(run("a.png", *TILES, "--json", "--no-pictures").stdout)["images"][0]["tiling"]["tiles"]
    assert tiles >= 6
    return int(tiles)


def test_a_stopped_image_goes_on_and_ends_as_if_it_had_not_been_stopped(
    run: Run, stop_after: Callable[[int | None], None]
) -> None:
    tiles = _count_tiles(run)
    assert run("a.png", *TILES, "--out", "whole").exit_code == 0
    stop_after(tiles - 1)
    stopped = run("a.png", *TILES, "--out", "o")
    assert stopped.exit_code == 130
    assert (
        f"Stopped in a.png after {tiles - 1} of {tiles} tiles: what was done so far was kept. "
        "The same command with --resume goes on from there."
    ) in " ".join(stopped.stdout.split())
    assert [Path(name).parts[0] for name in _files("o")] == ["proposals.unfinished"] * len(_files("o"))
    stop_after(tiles - 1)  # more than remain: what is done is not done again
    resumed = run("a.png", *TILES, "--out", "o", "--resume")
    assert resumed.exit_code == 0, resumed.stderr
    assert _files("o") == _files("whole")


def test_photographs_that_are_done_are_not_done_again(run: Run, stop_after: Callable[[int | None], None]) -> None:
    tiles = _count_tiles(run)
    assert run("a.png", "b.png", "c.png", *TILES, "--out", "whole").exit_code == 0
    stop_after(tiles + 2)
    stopped = run("a.png", "b.png", "c.png", *TILES, "--out", "o")
    assert stopped.exit_code == 130
    assert "Stopped in b.png after 2 of " in stopped.stdout
    assert list(read_proposals("o/proposals.json", "coco-results")) == [1]
    stop_after(2 * tiles + 1)  # the first photograph is not done again
    resumed = run("a.png", "b.png", "c.png", *TILES, "--out", "o", "--resume", "--json")
    assert resumed.exit_code == 0, resumed.stderr
    rows = json.loads(resumed.stdout)["images"]
    assert [row["seconds"] is None for row in rows] == [True, False, False]
    assert [len(row["boxes"]) == row["proposals"] > 0 for row in rows] == [True] * 3
    assert _files("o") == _files("whole")


def test_what_has_changed_is_done_again(run: Run, stop_after: Callable[[int | None], None]) -> None:
    tiles = _count_tiles(run)
    stop_after(tiles + 2)
    run("a.png", "b.png", *TILES, "--out", "o")
    Image.open("b.png").transpose(Image.Transpose.ROTATE_180).save("a.png")
    stop_after(None)
    assert run("a.png", "b.png", *TILES, "--out", "o", "--resume").exit_code == 0
    run("a.png", "b.png", *TILES, "--out", "whole")
    assert _files("o") == _files("whole")


def test_a_tiled_image_that_changed_is_begun_anew(run: Run, stop_after: Callable[[int | None], None]) -> None:
    tiles = _count_tiles(run)
    stop_after(tiles - 1)
    run("a.png", *TILES, "--out", "o")
    Image.open("b.png").save("a.png")
    stop_after(None)
    assert run("a.png", *TILES, "--out", "o", "--resume").exit_code == 0
    run("a.png", *TILES, "--out", "whole")
    assert _files("o") == _files("whole")


def test_an_image_that_fails_in_its_first_tiles_leaves_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise InputError("a.png: damaged.")

    monkeypatch.setattr("objectness.inference.tiling.propose.scan_scales", fail)
    result = run("a.png", *TILES, "--out", "o")
    assert result.exit_code == 1
    assert "a.png: damaged." in result.stderr
    assert "unfinished" not in result.stdout
    assert not list(Path("o").rglob("*"))


def test_other_options_are_refused(run: Run, stop_after: Callable[[int | None], None]) -> None:
    stop_after(2)
    run("a.png", *TILES, "--top", "50")
    stop_after(None)
    result = run("a.png", *TILES, "--resume")
    assert result.exit_code == 2
    assert "is of a run with --top 50, and this one has its default: give the same options" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert run("a.png", *TILES, "--top", "50", "--resume").exit_code == 0
    assert not Path("proposals/proposals.unfinished").exists()


def test_a_stop_before_the_beginning_leaves_what_is_there(
    run: Run, stop_after: Callable[[int | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles = _count_tiles(run)
    stop_after(tiles + 2)
    run("a.png", "b.png", *TILES, "--out", "o")
    before = _files("o")
    stop_after(None)
    with monkeypatch.context() as patch:

        def stopped(self: Journal, image_id: int | str, found: Proposals) -> None:
            raise KeyboardInterrupt

        patch.setattr(Journal, "add", stopped)
        assert run("a.png", "b.png", *TILES, "--out", "o", "--resume").exit_code == 130
    assert _files("o") == before
    resumed = run("a.png", "b.png", *TILES, "--out", "o", "--resume", "--json")
    assert [row["seconds"] is None for row in json.loads(resumed.stdout)["images"]] == [True, False]


def test_nothing_to_go_on_with_is_a_beginning(run: Run) -> None:
    assert run("a.png", *TILES, "--out", "o", "--resume").exit_code == 0
    run("a.png", *TILES, "--out", "whole")
    assert _files("o") == _files("whole")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"options": 1'])
def test_a_damaged_state_is_one_sentence(run: Run, content: str) -> None:
    Path("o/proposals.unfinished").mkdir(parents=True)
    Path("o/proposals.unfinished/run.json").write_text(content)
    result = run("a.png", "--out", "o", "--resume")
    assert result.exit_code == 2
    assert "what an earlier run left there cannot be read; leave --resume out to begin anew." in result.stderr
    assert run("a.png", "--out", "o").exit_code == 0


KILLED = """
import os, signal, sys
from objectness.cli import app
from objectness.cli.propose_progress import Progress
usual, left = Progress.on_tile, int(sys.argv.pop(1))
def on_tile(self, now):
    global left
    usual(self, now)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
Progress.on_tile = on_tile
app()
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a kill that cannot be caught")
def test_a_killed_run_goes_on(run: Run) -> None:
    tiles = _count_tiles(run)
    words = ("propose", "a.png", "b.png", *TILES, "--out", "o")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tiles + 3), *words], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert Path("o/proposals.partial.json").is_file()
    assert run("a.png", "b.png", *TILES, "--out", "o", "--resume").exit_code == 0
    run("a.png", "b.png", *TILES, "--out", "whole")
    assert _files("o") == _files("whole")


FULL = """
import resource, sys
from objectness.cli import app
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv.pop(1))))
app()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of files")
@pytest.mark.parametrize("limit", [3_000, 200_000])
def test_no_room_is_one_sentence(run: Run, limit: int) -> None:
    words = ("propose", "a.png", *TILES, "--out", "o", "--top", "2000")
    done = subprocess.run([sys.executable, "-c", FULL, str(limit), *words], capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert "(File too large)" in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("objectness: ")]) == 1
