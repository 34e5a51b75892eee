from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from objectness.errors import InputError
from objectness.formats import coco_results, read_proposals
from objectness.formats.coco_journal import Journal
from objectness.proposals import Proposals

Make = Callable[..., Proposals]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_writes_what_the_format_writes(tmp_path: Path, make_proposals: Make) -> None:
    found = {
        7: make_proposals([[0, 0, 5.125, 5], [1, 2, 3, 4]]),
        "ä": make_proposals([]),
        9: make_proposals([[1, 1, 2, 2]]),
    }
    coco_results.write(tmp_path / "whole.json", found)
    journal = Journal(tmp_path / "a.json")
    for image_id, proposals in found.items():
        journal.add(image_id, proposals)
    assert journal.place(stopped=False) == tmp_path / "a.json"
    assert (tmp_path / "a.json").read_text() == (tmp_path / "whole.json").read_text()
    assert (tmp_path / "a.images.json").read_text() == (tmp_path / "whole.images.json").read_text()
    assert len(names(tmp_path)) == 4


def test_no_images_leave_no_file_and_an_older_one_stays(tmp_path: Path, make_proposals: Make) -> None:
    assert Journal(tmp_path / "a.json").place(stopped=False) is None
    assert names(tmp_path) == []
    coco_results.write(tmp_path / "a.json", {1: make_proposals([[0, 0, 1, 1]])})
    before = (tmp_path / "a.json").read_bytes()
    assert Journal(tmp_path / "a.json").place(stopped=False) is None
    assert names(tmp_path) == ["a.images.json", "a.json"]
    assert (tmp_path / "a.json").read_bytes() == before


def test_what_a_killed_program_had_found_is_a_whole_file(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from objectness.formats.coco_journal import Journal; import numpy as np\n"
        "from objectness.proposals import Proposals\n"
        "journal = Journal(pathlib.Path(sys.argv[1]))\n"
        "for number in range(50):\n"
        "    journal.add(number, Proposals(np.float32([[0, 0, number, 5]]), np.float32([.5]), (9, 99)))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.json")], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert names(tmp_path) == ["a.partial.images.json", "a.partial.json"]
    found = read_proposals(tmp_path / "a.partial.json", "coco-results")
    assert [found[number].boxes_xyxy[0, 2] for number in found] == list(range(50))
    Journal(tmp_path / "a.json").place(stopped=False)  # the next run lets it be
    assert names(tmp_path) == ["a.partial.images.json", "a.partial.json"]


def test_a_full_disk_leaves_the_images_before_it(tmp_path: Path, make_proposals: Make) -> None:
    process = os.fork()
    if process == 0:  # a limit of this process would stay
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        journal = Journal(tmp_path / "a.json")
        try:
            for number in range(100):
                journal.add(number, make_proposals([[0, 0, 5, 5]]))
        except InputError as error:
            journal.place(stopped=True)
            os._exit(0 if "a.json cannot be written (File too large)" in str(error) else 1)
        os._exit(2)
    assert os.waitpid(process, 0)[1] == 0
    found = read_proposals(tmp_path / "a.json", "coco-results")
    assert 10 < len(found) < 40
    assert all(len(proposals) == 1 for proposals in found.values())


def test_half_an_image_is_none(tmp_path: Path, make_proposals: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "a.json")
    journal.add(1, make_proposals([[0, 0, 5, 5]]))
    with monkeypatch.context() as patch:
        patch.setattr("objectness.formats.coco_journal.image_row", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            journal.add(2, make_proposals([[0, 0, 5, 5]]))
    journal.add(3, make_proposals([[0, 0, 6, 6]]))
    journal.place(stopped=False)
    assert list(read_proposals(tmp_path / "a.json", "coco-results")) == [1, 3]


def test_a_folder_in_its_place_is_found_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(InputError, match=r"a\.json cannot be written: a folder has this name"):
        Journal(tmp_path / "a.json")
