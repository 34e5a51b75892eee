"""What importing and asking for help may pull in."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "timm", "matplotlib", "onnxruntime", "cv2", "numpy")


HELP = """
from contextlib import redirect_stdout, suppress
from io import StringIO
from objectness.cli import app
with redirect_stdout(StringIO()), suppress(SystemExit):
    app(["--help"])
"""
ROOMS = "import objectness.datasets, objectness.evaluation, objectness.formats, objectness.drawing"
PROPOSE = """
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from PIL import Image
from objectness.cli import app
with TemporaryDirectory() as folder, redirect_stdout(StringIO()), suppress(SystemExit):
    Image.new("RGB", (40, 30)).save(f"{folder}/a.jpg")
    app(["propose", f"{folder}/a.jpg", "--out", f"{folder}/out"])
    assert Path(folder, "out", "proposals.json").exists()
"""
SETTINGS = "import objectness.rpn.settings, objectness.training.settings, objectness.training.recipes"


@pytest.mark.parametrize(
    ("code", "forbidden"),
    [
        ("import objectness", HEAVY),
        (HELP, HEAVY),
        ("import objectness; objectness.load, objectness.Proposer", ("torch", "timm", "matplotlib")),
        (ROOMS, ("torch", "onnxruntime")),
        (SETTINGS, ("torch",)),
        (PROPOSE, ("torch", "objectness.datasets", "objectness.image_index", "objectness.formats.core.known_images")),
        *(
            (f"import objectness.cli.{name}", ("torch", "timm", "matplotlib", "onnxruntime", "numpy"))
            for name in (
                *("propose", "train", "evaluate", "compare", "check", "convert", "validate", "data", "anchors"),
                *("benchmark", "export"),
            )
        ),
    ],
)
def test_light(code: str, forbidden: tuple[str, ...]) -> None:
    script = f"import sys\n{code}\nprint(*[name for name in {forbidden!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_public_page_is_sorted_and_true() -> None:
    import objectness

    assert list(objectness.__all__) == sorted(objectness.__all__)
    for name in objectness.__all__:
        assert getattr(objectness, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'propse'"):
        _ = objectness.propse
