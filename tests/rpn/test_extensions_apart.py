"""The files of the paper know no extension: criterion and network hand them in."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import objectness.rpn

ROOM = Path(objectness.rpn.__file__).parent
MAY_IMPORT_EXTENSIONS = {"criterion.py", "network.py", "settings.py"}
EXTENSIONS = "objectness.rpn.extensions"


def imported(path: Path) -> set[str]:
    """Modules that a file imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports by a relative name"
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("name", sorted(path.name for path in ROOM.glob("*.py")))
def test_a_file_of_the_paper_imports_no_extension(name: str) -> None:
    found = {module for module in imported(ROOM / name) if module.startswith(EXTENSIONS)}
    assert bool(found) == (name in MAY_IMPORT_EXTENSIONS)


@pytest.mark.parametrize("path", sorted((ROOM / "extensions").glob("*.py")), ids=lambda path: path.name)
def test_an_extension_is_handed_in_and_calls_neither_criterion_nor_network(path: Path) -> None:
    assert not imported(path) & {"objectness.rpn.criterion", "objectness.rpn.network"}


def test_the_walk_sees_imports_inside_functions(tmp_path: Path) -> None:
    file = tmp_path / "late.py"
    file.write_text(f"def late():\n    from {EXTENSIONS} import atss\n    import {EXTENSIONS}.oln\n")
    assert imported(file) == {EXTENSIONS, f"{EXTENSIONS}.atss", f"{EXTENSIONS}.oln"}
