"""Imports: their weight, their direction, and no circle.

Direction: a module imports from its own floor and from lower ones. Every import statement counts, also those inside
functions and under ``TYPE_CHECKING``; in a file that calls ``import_module``, so does every string that names a module.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

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
        ("from objectness import *", ("torch", "timm", "matplotlib")),
        (ROOMS, ("torch", "onnxruntime")),
        (SETTINGS, ("torch",)),
        (
            PROPOSE,
            (
                "torch",
                "objectness.datasets",
                "objectness.image_index",
                "msgspec",
                "objectness.formats.core.image_lookup",
            ),
        ),
        *(
            (f"import objectness.cli.{name}", ("torch", "timm", "matplotlib", "onnxruntime", "numpy"))
            for name in (
                *(
                    "propose",
                    "detect",
                    "crops",
                    "train",
                    "evaluate",
                    "compare",
                    "check",
                    "convert",
                    "validate",
                    "data",
                    "anchors",
                ),
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


SOURCE = Path(__file__).parents[1] / "src"

# From the ground up; a module may import from its own floor and from the floors below. A package stands for all of its
# modules but those that have a line of their own. Single modules on one floor may import each other, packages may not.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "arguments", "installation", "telemetry", "stopping", "version", "models"),
    ("files", "settings"),
    ("rpn.settings", "rpn.extensions.settings", "detector.settings"),  # free of PyTorch: saved settings are read above
    ("proposals", "proposal_set", "detections", "detection_set", "nms_index", "boxes", "calibration"),
    ("images",),
    ("image_index", "image_spelling"),
    ("datasets",),
    ("formats", "drawing"),
    ("engines",),
    ("rpn",),
    ("detector",),
    ("inference",),
    ("evaluation", "speed"),
    ("autoanchor",),
    ("training",),
    ("export",),
    ("",),  # objectness/__init__.py
    ("cli",),
    ("__main__",),
)
# Imports that are still to be mended. Each must be there and be wrong, or it is taken out of this list.
FLOOR_OF = {place: number for number, floor in enumerate(FLOORS) for place in floor}


def modules() -> dict[str, Path]:
    """Module names below ``objectness`` (its own is "") and their files."""
    found = {}
    for file in sorted((SOURCE / "objectness").rglob("*.py")):
        parts = file.relative_to(SOURCE / "objectness").with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(name: str, text: str, known: dict[str, Path]) -> set[str]:
    """Names of our own modules that the statements of one module import."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=aliases):
                targets = [alias.name for alias in aliases]
            case ast.ImportFrom(module=str(module), names=aliases, level=0):
                members = (f"{module}.{alias.name}" for alias in aliases)
                targets = [member if _below(member) in known else module for member in members]
            case ast.ImportFrom():
                raise AssertionError(f"{name}: relative imports are not used here")
            case ast.Constant(value=str(words)) if "import_module" in text:
                targets = [words]
            case _:
                continue
        found |= {_below(target) for target in targets if _below(target) in known}
    return found - {name}


def _below(target: str) -> str | None:
    """The name of a module below ``objectness``, None for modules of others."""
    top, _, rest = target.partition(".")
    return rest if top == "objectness" else None


def place(name: str) -> str:
    """The longest line of the table that a module belongs to."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in FLOOR_OF:
            return ".".join(parts[:length])
    raise KeyError(f"{name} has no floor: give it one in FLOORS")


def goes_up(importer: str, imported: str) -> bool:
    here, there = place(importer), place(imported)
    return FLOOR_OF[there] > FLOOR_OF[here] or (
        FLOOR_OF[there] == FLOOR_OF[here] and here != there and _is_package(here) and _is_package(there)
    )


def _is_package(name: str) -> bool:
    return (SOURCE / "objectness" / name.replace(".", "/")).is_dir()


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    known = modules()
    return {name: imports(name, file.read_text(encoding="utf-8"), known) for name, file in known.items()}


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {file.parent for file in (SOURCE / "objectness").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_no_import_points_to_a_higher_floor(graph: dict[str, set[str]]) -> None:
    upward = {(name, other) for name, others in graph.items() for other in others if goes_up(name, other)}
    assert upward == set()


def test_no_circle_of_modules(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import objectness.boxes", {"boxes"}),
        ("from objectness import boxes", {"boxes"}),
        ("from objectness.boxes import iou, nms", {"boxes"}),
        ("from objectness.rpn import settings, network", {"rpn.settings", "rpn.network"}),
        ("def f():\n    from objectness.formats import read", {"formats"}),
        ("if TYPE_CHECKING:\n    from objectness.proposals import Proposals", {"proposals"}),
        ("HOME = {'Proposals': 'objectness.proposals'}\nimport_module(HOME['Proposals'])", {"proposals"}),
        ("import numpy, objectness_extra\nnote = 'see objectness.proposals'", set()),
    ],
)
def test_every_way_to_import_is_seen(text: str, found: set[str]) -> None:
    assert imports("cli.check", text, modules()) == found


@pytest.mark.parametrize(
    ("name", "other", "up"),
    [
        ("boxes", "nms_index", False),  # single modules of one floor
        ("formats.csv_rows", "drawing.pen", True),  # packages of one floor
        ("formats.csv_rows", "formats.core.parsed", False),
        ("images.opening", "datasets.coco", True),
        ("engines.settings", "rpn.network", True),
        ("engines.settings", "rpn.settings", False),
        ("rpn.settings", "rpn.network", True),
        ("cli.check", "", False),
        ("export.metadata", "", True),
    ],
)
def test_up_and_down(name: str, other: str, up: bool) -> None:
    assert goes_up(name, other) is up


def test_the_library_does_not_speak_of_options_of_the_command_line() -> None:
    import objectness

    root = Path(objectness.__file__).parent
    found = []
    for file in root.rglob("*.py"):
        if file.relative_to(root).parts[0] == "cli":
            continue
        tree = ast.parse(file.read_text())
        documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        found += [
            f"{file.relative_to(root)}:{node.lineno}: {node.value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation
            if re.search(r"(^|[^\w-])--[a-z]", node.value)
        ]
    assert found == []
