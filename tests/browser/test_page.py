"""The report in a real browser: it draws itself, and its filters work."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objectness.datasets.records import Record
from objectness.evaluation.measurement import measure
from objectness.evaluation.report import write_report
from objectness.evaluation.results import MethodResult, Options, Results

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

# What a user does, and what the page then shows, left in the document for the test to read.
STEPS = """
<pre id="told"></pre>
<script>
  const told = [];
  window.addEventListener("error", (event) => told.push("error: " + event.message));
  const form = document.getElementById("filters");
  const look = (name) => {
    const cards = [...document.querySelectorAll("#gallery .card")].map((card) => card.querySelector("p").textContent);
    told.push(`${name} | ${document.getElementById("count").textContent} | ${cards.join("; ")}`);
  };
  const set = (field, value) => {
    form.elements[field].value = value;
    form.elements[field].dispatchEvent(new Event("input", { bubbles: true }));
  };
  look("start");
  set("order", "large"); look("largest");
  set("class", "dog"); look("dogs");
  set("class", ""); set("method", "1"); look("second");
  set("method", "all"); look("all");
  set("method", "only"); look("only first");
  set("method", "0"); set("file", "b.png"); look("file");
  set("file", ""); set("near", "close"); look("close");
  set("near", ""); set("size", "medium"); look("medium");
  const box = document.querySelector("#gallery .object").getBoundingClientRect();
  const frame = document.querySelector("#gallery .frame").getBoundingClientRect();
  told.push("inside " + (box.width > 5 && box.left >= frame.left - 1 && box.right <= frame.right + 1));
  document.getElementById("told").textContent = told.join("\\n");
</script>
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, make_record: Callable[..., Record], make_proposals) -> Path:
    """Two methods on two photographs; objects: a small cat, a medium dog and a medium cat."""
    folder = tmp_path_factory.mktemp("page")
    for name in ("a", "b"):
        Image.fromarray(np.full((200, 300, 3), 90, np.uint8)).save(folder / f"{name}.png")
    records = [
        make_record(1, [[10, 10, 30, 30], [100, 50, 160, 110]], class_ids=[0, 1], name=str(folder / "a.png")),
        make_record(2, [[50, 50, 120, 120]], class_ids=[0], name=str(folder / "b.png")),
    ]
    methods = {
        "first": {1: make_proposals([[10, 10, 30, 18]])},
        "second": {1: make_proposals([[10, 10, 30, 30]]), 2: make_proposals([[50, 50, 120, 120]])},
    }
    results = tuple(MethodResult(name, measure(found, records, (1, 10)), found) for name, found in methods.items())
    results = Results("somewhere", records, ("cat", "dog"), results, Options(draws=20))
    return write_report(folder / "out.html", results, {})[0]


def chromium(page: Path, *words: str) -> str:
    profile = page.parent / "profile"
    quiet = ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync")
    quiet += ("disable-background-networking", "disable-component-update", f"user-data-dir={profile}")
    line = [CHROMIUM, *(f"--{word}" for word in quiet), *words, page.as_uri()]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.slow
def test_the_filters_work(page: Path) -> None:
    driven = page.with_name("driven.html")
    driven.write_text(page.read_text().replace("</body>", STEPS + "</body>"))
    told = re.search(r'<pre id="told">(.*?)</pre>', chromium(driven, "--dump-dom"), re.DOTALL)
    assert told is not None
    small, dog, cat = "cat, 20 × 20 px", "dog, 60 × 60 px", "cat, 70 × 70 px"
    assert told[1].splitlines() == [
        f"start | 3 of 3 | {small}; {dog}; {cat}",
        f"largest | 3 of 3 | {cat}; {dog}; {small}",
        f"dogs | 1 of 3 | {dog}",
        f"second | 1 of 3 | {dog}",
        f"all | 1 of 3 | {dog}",
        f"only first | 2 of 3 | {cat}; {small}",
        f"file | 1 of 3 | {cat}",
        f"close | 1 of 3 | {small}",
        f"medium | 2 of 3 | {cat}; {dog}",
        "inside true",
    ]


@pytest.mark.slow
def test_the_page_is_drawn(page: Path) -> None:
    picture = page.with_name("page.png")
    chromium(page, "--window-size=1200,3000", f"--screenshot={picture}")
    ink = np.asarray(Image.open(picture).convert("RGB")).astype(int)

    def pixels_like(colour: tuple[int, int, int]) -> int:
        return int((np.abs(ink - colour).sum(axis=2) < 12).sum())

    assert pixels_like((0, 114, 178)) > 300  # the first method's curves
    assert pixels_like((213, 94, 0)) > 300  # the second's
    assert pixels_like((90, 90, 90)) > 5000  # the photographs of missed objects
    assert pixels_like((255, 154, 46)) > 30  # a nearest proposal
