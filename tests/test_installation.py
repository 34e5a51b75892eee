"""Commands that install extras."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest

from objectness.installation import Extra, how_to_install

ROOT = Path(__file__).parents[1]
TEXTS = [
    ROOT / "README.md",
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "src").rglob("*.py"),
    *(ROOT / "src").rglob("*.md"),
]


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_tells_to_install_a_package_that_is_not_ours(text: Path) -> None:
    assert re.findall(r"pip install[^\n`]*\bobjectness(?:\[[\w,]*\])?['\"`\s]*$", text.read_text("utf-8"), re.M) == []
    assert "install 'objectness[" not in text.read_text("utf-8").replace('"', "'")


def test_every_extra_that_a_hint_names_exists() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(get_args(Extra)) <= set(known)
    named = {
        name for text in TEXTS for name in re.findall(r'pip install [^\n`]*"\.\[([\w,]+)\]"', text.read_text("utf-8"))
    }
    assert {part for name in named for part in name.split(",")} <= set(known)


def test_the_hint_names_the_folder_that_pip_installed_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "my clone"
    source.mkdir()
    source.joinpath("pyproject.toml").touch()
    written = SimpleNamespace(read_text=lambda name: json.dumps({"url": source.as_uri(), "dir_info": {}}))
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: written)
    assert how_to_install("train") == f'pip install ".[train]" in {source}'


@pytest.mark.parametrize("text", [None, "{}", "[]", "no JSON", '{"url": "https://example.com/objectness.whl"}'])
def test_without_such_a_folder_the_hint_says_which_one_is_meant(
    text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: SimpleNamespace(read_text=lambda name: text))
    assert how_to_install("tables") == 'pip install ".[tables]" in the source folder of objectness'


def test_a_package_that_is_only_on_the_path_has_a_hint_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.distribution", missing)
    assert how_to_install("openvino") == 'pip install ".[openvino]" in the source folder of objectness'
