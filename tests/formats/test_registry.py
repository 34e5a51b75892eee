"""One file and one row for each format; names, counts and recognition follow from it."""

from __future__ import annotations

import pkgutil
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import objectness.formats
from objectness import formats
from objectness.formats.core.spec import Format
from objectness.formats.registry import NAMES, all_formats, file_suffixes, format_named, guess_source_format

ROOT = Path(__file__).parents[2]
COUNTS = {15: "fifteen", 16: "sixteen", 17: "seventeen", 18: "eighteen"}


def test_every_format_is_listed_under_its_name() -> None:
    modules = pkgutil.walk_packages(objectness.formats.__path__, "objectness.formats.")
    declared = [getattr(import_module(module.name), "FORMAT", None) for module in modules]
    assert {entry.name for entry in declared if isinstance(entry, Format)} == set(NAMES)
    assert [entry.name for entry in all_formats()] == list(NAMES)


def test_the_readme_counts_them() -> None:
    words = (ROOT / "README.md").read_text()
    assert words.count(f"{COUNTS[len(NAMES)]} formats") >= 1
    assert not any(f"{word} formats" in words for count, word in COUNTS.items() if count != len(NAMES))


@pytest.mark.parametrize(
    "name", ["coco-results", "coco", "label-studio", "geojson", "huggingface", "sam", "detectron2", "mmdet3"]
)
def test_a_file_is_recognised_without_the_code_of_any_format(name: str, sample: Any, tmp_path: Path) -> None:
    path = tmp_path / f"a{format_named(name).suffixes[0]}"
    formats.write_proposals(path, sample.proposals, name)
    list(all_formats())  # imported
    ran: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        ran.add(frame.f_globals.get("__name__", "")) if event == "call" else None

    sys.setprofile(note)
    try:
        found = guess_source_format(path)
    finally:
        sys.setprofile(None)
    assert found.name == name
    assert {module for module in ran if module.startswith("objectness.formats")} == {
        "objectness.formats.registry",
        "objectness.formats.core.sniffing",
    }


def test_files_that_are_known_before_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert format_named("coco-results").files(path) == (path, tmp_path / "a.images.json")
    assert format_named("coco").files(path) == (path,)
    assert format_named("yolo").files(tmp_path) == ()
    folders = {entry.name: entry.parts for entry in all_formats() if entry.is_folder}
    assert folders == {"yolo": (".txt", ".yaml", ".yml"), "hosang": (".mat",), "fiftyone": (".json",)}
    assert not any(entry.parts for entry in all_formats() if not entry.is_folder)
    assert {".pkl", ".mat", ".txt", ".geojson"} <= file_suffixes()
