"""Every Python block of the README and of docs/how-to is run."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from objectness.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]
BLOCKS = [
    pytest.param(
        block,
        id=f"{page.stem}-{number}",
        marks=[pytest.mark.slow] if "export_checkpoint(" in block or "faster-rcnn" in block else [],
    )
    for page in PAGES
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_block_runs(block: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if ("torch" in block or "objectness.train(" in block or "objectness.training" in block) and find_spec(
        "torch"
    ) is None:
        pytest.skip("this block is about training, which needs PyTorch")
    if "export_checkpoint(" in block:  # the exporter traces with sizes that are no numbers
        request.getfixturevalue("tracing")
    monkeypatch.chdir(ROOT)
    exec(compile(block, "block", "exec"), {})


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 2


def test_relative_links_lead_somewhere() -> None:
    for page in ROOT.glob("docs/**/*.md"):
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"
    for target in re.findall(r"\]\((?!http)([^)#]+)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), f"README.md: {target}"


def test_the_notice_names_every_photograph_and_the_model() -> None:
    notice = (ROOT / "NOTICE").read_text()
    files = [*(ROOT / "examples").rglob("*.jpg"), *(ROOT / "docs").rglob("*.jpg"), *(ROOT / "src").rglob("*.onnx")]
    assert len(files) >= 4
    for file in files:
        assert str(file.relative_to(ROOT)) in notice


def test_notice_and_card_count_the_training_photographs_alike() -> None:
    notice = (ROOT / "NOTICE").read_text()
    counts = {int(number): int(n) for number, n in re.findall(r"^ +(\d)  .*? (\d+)$", notice, flags=re.MULTILINE)}
    assert counts == {1: 702, 2: 289, 3: 641, 4: 392, 5: 200, 6: 109, 7: 6}
    assert (sum(counts.values()), sum(counts[n] for n in (1, 2, 3)), counts[3] + counts[6]) == (2339, 1632, 750)
    card = (ROOT / "src/objectness/models/README.md").read_text()
    table = {
        int(number): int(n) for number, n in re.findall(r"^\| (\d) \| [^|]+ \| (\d+) \|", card, flags=re.MULTILINE)
    }
    assert table == counts
    for text in (notice, card):
        assert all(said in text for said in ("1,632", "750", "641", "598 are neither", "COCO", "ImageNet"))


def test_the_training_photographs_have_the_licences_that_the_notice_says(shared_data: Path) -> None:
    images = json.loads((shared_data / "coco" / "instances_train.json").read_text())["images"]
    assert Counter(image["license"] for image in images) == {1: 702, 2: 289, 3: 641, 4: 392, 5: 200, 6: 109, 7: 6}


COMMANDS = [
    pytest.param(line, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, line in enumerate(
        re.findall(r"^(?:\.venv/bin/)?objectness ([a-z].*?)(?:\s+#.*)?$", page.read_text(), flags=re.MULTILINE)
    )
]


@pytest.mark.parametrize("line", COMMANDS)
def test_options_in_the_pages_are_those_of_the_commands(line: str) -> None:
    words = shlex.split(line.partition(" > ")[0].partition(" | ")[0])
    group = typer.main.get_command(app)
    context = group.make_context("objectness", list(words), resilient_parsing=True)
    command = group.get_command(context, words[0])  # type: ignore[attr-defined]
    assert command is not None
    rest = words[1:]
    if hasattr(command, "commands"):  # a command of commands, as data
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context(words[0], rest, parent=context)  # raises where an option or an argument is none of its own


def test_the_pages_have_commands() -> None:
    assert len(COMMANDS) > 30
