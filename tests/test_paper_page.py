"""docs/paper.md names settings with their values, and files with functions and classes: all of them are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from objectness.settings import describe, override
from objectness.training.recipes import paper_vgg16

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "paper.md").read_text()
PLACES = sorted(set(re.findall(r"`([\w/]+\.py): ([\w.]+)`", PAGE)))
SETTINGS = sorted(set(re.findall(r"`((?:rpn|detector|optimizer|schedule|loop|augment)\.[\w.]+=[^`]+)`", PAGE)))


def defined(path: Path) -> set[str]:
    """Functions, classes and methods of a file, methods as Class.method."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{item.name}" for item in node.body if isinstance(item, ast.FunctionDef)}
    return names


@pytest.mark.parametrize(("file", "name"), PLACES)
def test_a_place_exists(file: str, name: str) -> None:
    assert name in defined(ROOT / "src" / "objectness" / file)


@pytest.mark.parametrize("assignment", SETTINGS)
def test_a_setting_has_the_value_of_the_papers_recipe(assignment: str) -> None:
    assert assignment.partition("=")[0] in dict(describe(paper_vgg16()))
    assert override(paper_vgg16(), [assignment]) == paper_vgg16()


def test_every_setting_of_matching_sampling_and_loss_in_the_paper_is_named() -> None:
    for key in ("rpn.match.positive_iou", "rpn.sample.size", "rpn.loss.box_weight", "rpn.select.nms_iou"):
        assert any(assignment.startswith(f"{key}=") for assignment in SETTINGS)
    assert len(PLACES) > 30
    assert len(SETTINGS) > 25


def test_other_settings_on_the_page_are_valid() -> None:
    changes = re.findall(r"`--set ([^`]+)`", PAGE)
    assert len(changes) == 3
    for change in changes:
        override(paper_vgg16(), change.split())


def test_no_line_of_the_page_names_a_file_without_a_place() -> None:
    bare = re.findall(r"`([\w/]+\.py)`", PAGE)
    for file in bare:
        assert (ROOT / file).exists() or (ROOT / "src" / "objectness" / file).exists(), file
