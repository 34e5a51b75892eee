from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from objectness.errors import InputError
from objectness.images import open_upright

Run = Callable[..., Result]


def test_crops_and_their_list(run: Run, making: Any, tmp_path: Path) -> None:
    making.image(tmp_path / "photos" / "a.png", 160, 120, seed=1)
    making.image(tmp_path / "photos" / "b" / "a.jpg", 120, 160, seed=2, orientation=6)
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no photograph")
    done = run("crops", "photos", "--out", "out", "--top", 3, "--json")
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert [Path(one["file"]).name for one in document["failed"]] == ["broken.jpg"]
    listed = json.loads((tmp_path / "out" / "crops.json").read_text())
    assert document["crops"] == listed
    assert len(listed) == 6
    assert sorted(one["file"] for one in listed) == sorted(
        path.name for path in (tmp_path / "out").iterdir() if path.name != "crops.json"
    )
    for one in listed:
        x1, y1, x2, y2 = one["part"]
        pixels = np.asarray(Image.open(tmp_path / "out" / one["file"]))
        assert pixels.shape == (y2 - y1, x2 - x1, 3) == (one["height"], one["width"], 3)
        if one["photo"].endswith(".png"):  # upright pixels, and exactly these
            assert (pixels == open_upright(tmp_path / one["photo"])[y1:y2, x1:x2]).all()
        bx1, by1, bx2, by2 = one["box"]
        assert x1 <= bx1 < bx2 <= x2
        assert y1 <= by1 < by2 <= y2
    scores = [one["score"] for one in listed if one["image_id"] == 1]
    assert scores == sorted(scores, reverse=True)


def test_separate_squares_and_crops_of_before(run: Run, making: Any, tmp_path: Path) -> None:
    making.image(tmp_path / "a.png", 160, 120)
    assert run("crops", "a.png", "--top", 4).exit_code == 0
    done = run("crops", "a.png", "--top", 2, "--separate", 0, "--square", "--longest", 32, "--context", 1.2)
    assert done.exit_code == 0
    listed = json.loads((tmp_path / "crops" / "crops.json").read_text())
    assert 1 <= len(listed) <= 2
    assert all(max(one["width"], one["height"]) <= 32 for one in listed)
    left = 4 - len(listed)
    assert f"{left} crops of earlier runs in it are not listed." in " ".join(done.stdout.split())


def test_a_large_image_is_read_in_parts(run: Run, making: Any, tmp_path: Path) -> None:
    making.image(tmp_path / "a.png", 500, 400)
    done = run("crops", "a.png", "--tile", 320, "--scales", 1, "--top", 5, "--json")
    assert done.exit_code == 0, done.output
    photo = open_upright(tmp_path / "a.png")
    for one in json.loads(done.stdout)["crops"]:
        x1, y1, x2, y2 = one["part"]
        assert (np.asarray(Image.open(tmp_path / "crops" / one["file"])) == photo[y1:y2, x1:x2]).all()


@pytest.mark.parametrize(("side", "mode"), [(1, "RGB"), (40, "L"), (40, "P"), (40, "I;16"), (40, "CMYK")])
def test_odd_photographs(side: int, mode: str, run: Run, tmp_path: Path) -> None:
    name = "a.jpg" if mode == "CMYK" else "a.png"
    Image.new(mode, (side, side)).save(tmp_path / name)
    done = run("crops", name, "--json", "--top", 2)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["images"][0]["width"] == side


def test_a_stop_keeps_what_was_done(run: Run, making: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from objectness.drawing import saving

    for name in ("a.png", "b.png"):
        making.image(tmp_path / name, 160, 120)
    real = saving.save_picture
    saved: list[Path] = []

    def stop_at_the_fourth(picture: Any, path: Path, **options: Any) -> None:
        if len(saved) == 3:
            raise KeyboardInterrupt
        saved.append(path)
        real(picture, path, **options)

    monkeypatch.setattr(saving, "save_picture", stop_at_the_fourth)
    done = run("crops", "a.png", "b.png", "--top", 2)
    assert done.exit_code == 130
    listed = json.loads((tmp_path / "crops" / "crops.json").read_text())
    assert sorted(one["file"] for one in listed) == sorted(path.name for path in saved)
    assert "Stopped: what was done so far was kept." in done.stdout


def test_a_full_disk(run: Run, making: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(picture: Any, path: Path, **options: Any) -> None:
        raise InputError(f"{path} cannot be written (No space left on device).")

    making.image(tmp_path / "a.png", 160, 120)
    monkeypatch.setattr("objectness.drawing.saving.save_picture", full)
    done = run("crops", "a.png", "--top", 2)
    assert done.exit_code == 1
    assert "No space left on device" in done.stderr
    assert json.loads((tmp_path / "crops" / "crops.json").read_text()) == []


def test_wrong_use(run: Run, making: Any, tmp_path: Path) -> None:
    making.image(tmp_path / "a.png")
    (tmp_path / "taken").write_text("a file")
    done = run("crops", "a.png", "--out", "taken")
    assert done.exit_code == 2
    assert "--out taken: the folder cannot be made" in done.stderr
    making.image(tmp_path / "a.crop-001.png")
    done = run("crops", "a.png", "a.crop-001.png", "--out", ".", "--top", 1)
    assert done.exit_code == 1
    assert "a.crop-001.png is an input and would be overwritten" in done.stderr
