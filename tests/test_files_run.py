"""How many files of the package run for one small job: what a reader follows from the command to its result.

A file counts where one of its functions is called. Bodies of modules and classes, lambdas, comprehensions and code that
dataclasses write do not count.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PHOTO = Path(__file__).parents[1] / "examples" / "photos" / "astronaut.jpg"

# The job runs in a process of its own, so that nothing is imported or cached before it.
_COUNTER = """
import inspect, json, sys, threading
from importlib.util import find_spec
from pathlib import Path

package = Path(find_spec("objectness").origin).parent
files = {}

def watch(frame, event, argument):
    code = frame.f_code
    if event == "call" and code.co_flags & inspect.CO_OPTIMIZED and not code.co_name.startswith("<"):
        path = Path(code.co_filename)
        if path.is_relative_to(package):
            files.setdefault(path.relative_to(package).as_posix(), set()).add(code.co_qualname)

def start():
    threading.setprofile(watch)
    sys.setprofile(watch)

def stop():
    sys.setprofile(None)
    threading.setprofile(None)
"""
_PRINT = """
stop()
print("\\n" + json.dumps({name: sorted(functions) for name, functions in sorted(files.items())}))
"""
_COMMAND = """
start()
from objectness.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
"""


def files_run(code: str, *arguments: str, folder: Path) -> dict[str, list[str]]:
    """Files of the package that run between ``start()`` and the end of ``code``, with their functions.

    Args:
        code: Python that calls ``start()``.
        arguments: ``sys.argv[1:]`` of the process.
        folder: Its working folder.
    """
    command = [sys.executable, "-c", _COUNTER + code + _PRINT, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def listed(files: dict[str, list[str]]) -> str:
    return "\n".join(f"{name}: {', '.join(functions)}" for name, functions in files.items())


@pytest.mark.slow
def test_propose(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    files = files_run(_COMMAND, "propose", str(PHOTO), folder=tmp_path)
    assert (tmp_path / "proposals" / "proposals.json").exists()
    assert "inference/proposer.py" in files
    assert len(files) <= 36, listed(files)


@pytest.mark.slow
def test_convert(tmp_path: Path) -> None:
    entry = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
    (tmp_path / "a.json").write_text(json.dumps([entry]))
    files = files_run(_COMMAND, "convert", "a.json", "b.pkl", "--to", "detectron2", folder=tmp_path)
    assert (tmp_path / "b.pkl").exists()
    assert len(files) <= 20, listed(files)


# One update of three, from the end of the first to the end of the second.
_UPDATE = """
from pathlib import Path
import numpy as np, torch
from objectness.datasets.records import Record
from objectness.rpn.network import build_network
from objectness.settings import override
from objectness.training.loop import Watcher, fit
from objectness.training.recipes import recipe
from objectness.training.rpn_task import rpn_task

torch.set_num_threads(1)
name, photo, *assignments = sys.argv[1:]
box = np.array([[10, 10, 300, 300]], np.float32)
record = Record(1, Path(photo), (512, 512), box, np.zeros(1, np.int64), np.zeros(1, bool), box[:, 2] * box[:, 3])
settings = override(recipe(name), assignments)

def count(step):
    start() if step.step == 1 else stop()

Path("run").mkdir()
fit(settings, build_network(settings.rpn)[0], rpn_task(), [record] * 3, [], Path("run"), {}, [Watcher(on_step=count)])
"""
_TINY = (
    "rpn.backbone.name=test_resnet",
    "rpn.backbone.pretrained=false",
    "rpn.images.short_side=96",
    "rpn.head.channels=16",
    "rpn.match.drop_cross_boundary=false",
    "loop.batch_size=1",
    "loop.accumulate=1",
    "loop.steps=3",
    "loop.workers=0",
    "loop.device=cpu",
    "augment.mosaic=0",
    "augment.crop=0",
)


@pytest.mark.parametrize(
    ("recipe", "most", "own"),
    [("paper-vgg16", 17, "rpn/faster_rcnn_loss.py"), ("task-aligned", 17, "rpn/extensions/task_aligned.py")],
)
@pytest.mark.slow
def test_training_update(recipe: str, most: int, own: str, tmp_path: Path) -> None:
    """From the pixels of a batch to new weights; reading the photograph and augmenting it are another story."""
    pytest.importorskip("torch")
    files = files_run(_UPDATE, recipe, str(PHOTO), *_TINY, folder=tmp_path)
    reading = ("images/", "training/data.py", "training/augment.py")
    files = {name: functions for name, functions in files.items() if not name.startswith(reading)}
    assert {own, "rpn/criterion.py", "rpn/network.py", "training/loop.py"} <= files.keys()
    assert len(files) <= most, listed(files)
