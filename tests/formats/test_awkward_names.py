"""Awkward names through every format and back: each image gets its own proposals, or none are measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from objectness import formats
from objectness.datasets import load_dataset
from objectness.errors import InputError
from objectness.evaluation.measurement import measure
from objectness.evaluation.recall import recall_report
from objectness.formats.core.image_lookup import index_records
from objectness.formats.core.spec import Format
from objectness.formats.registry import all_formats
from objectness.proposal_set import ProposalSet
from objectness.proposals import Proposals

WIDTH, HEIGHT = 200, 160
GROUPS = {
    "plain": ["a.jpg", "b.jpg", "c.jpg"],
    "spaces": ["my photo.jpg", " first.jpg", "last .jpg", "two  blanks.jpg"],
    "commas and quotes": ["a,b.jpg", "a;b.jpg", 'q"uote.jpg', "it's.jpg"],
    "letters": ["caf\u00e9.jpg", "\u65e5\u672c.jpg", "\U0001f600.jpg", "u\u0308ber.jpg"],
    "dots": ["a.b.jpg", "a.c.jpg", "a.jpg", "a..jpg", ".x.jpg"],
    "one stem in two folders": ["x/a.jpg", "x/b.png", "y/a.png"],
    "one name in two folders": ["p/q/a.jpg", "r/q/a.jpg", "p/s/a.jpg"],
    "one stem": ["a.jpg", "a.png", "b.jpg"],
    "leading zeros": ["1.jpg", "01.jpg", "001.jpg", "10.jpg"],
    "numbers of others": ["2.jpg", "3.jpg", "1.jpg"],
    "marks of addresses": ["a#1.jpg", "a#2.jpg", "a%20b.jpg", "a b.jpg", "100%.jpg", "a?x=1.jpg", "a&b.jpg", "a+b.jpg"],
    "backslashes": ["a\\b.jpg", "c\\b.jpg", "b.jpg"],
    "cases": ["A.jpg", "a.JPG", "B.jpg"],
    "brackets": ["[x].jpg", "{y}.jpg", "(z).jpg", "a*b.jpg", "<t>.jpg"],
    "folders in names": ["b_a.jpg", "b/a.jpg", "c/a.jpg"],
}
# Formats that know images by id or by order alone get running numbers here that belong to others.
NAMELESS = {"detectron1", "detectron2", "mmdet2"}


def installed(entry: Format) -> bool:
    return entry.needs is None or find_spec(entry.needs[0]) is not None


def box(number: int) -> tuple[int, int, int, int]:
    """A box that overlaps none of another image by much: x, y, width, height."""
    return 10 * number, 5 * number, 12, 9


def data_set(root: Path, names: Sequence[str]) -> Path:
    """COCO, ids in another order than the names, one object an image."""
    images, annotations = [], []
    for number, name in enumerate(names):
        image_id = len(names) - number
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT)).save(root / "images" / name, format="PNG")
        images.append({"id": image_id, "file_name": name, "width": WIDTH, "height": HEIGHT})
        annotation = {"id": number + 1, "image_id": image_id, "category_id": 1, "bbox": box(number)}
        annotations.append({**annotation, "area": 108, "iscrowd": 0})
    (root / "annotations").mkdir()
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    (root / "annotations" / "instances.json").write_text(json.dumps(document))
    return root


def perfect(names: Sequence[str], root: Path) -> ProposalSet:
    """The objects as proposals, numbered from 1, as ``objectness propose`` does it for a folder."""
    images = {}
    for number, name in enumerate(names):
        x, y, width, height = box(number)
        found = Proposals([[x, y, x + width, y + height]], [0.5], (HEIGHT, WIDTH), str(root / "images" / name))
        images[number + 1] = found
    return ProposalSet(images)


def recall(path: Path, entry: Format, root: Path) -> float | None:
    """AR@10; None where measuring is refused."""
    records = load_dataset(root).records
    try:
        found = formats.read_proposals(path, entry.name, image_index=index_records(records))
    except InputError:
        return None
    value = recall_report(measure(found, records, (10,))).to_json()["ar"]["10"]
    assert isinstance(value, float)
    return value


def is_written(path: Path, proposals: ProposalSet, entry: Format) -> bool:
    """Whether the format can tell the images apart."""
    try:
        formats.write_proposals(path, proposals, entry.name)
    except InputError:
        return False
    return True


EACH = pytest.mark.parametrize(
    "entry",
    [
        pytest.param(
            entry, id=entry.name, marks=pytest.mark.skipif(not installed(entry), reason=f"needs {entry.needs}")
        )
        for entry in all_formats()
    ],
)


@pytest.mark.slow
@EACH
@pytest.mark.parametrize("group", GROUPS)
def test_each_image_gets_its_own(entry: Format, group: str, tmp_path: Path) -> None:
    names = GROUPS[group]
    root = data_set(tmp_path / "set", names)
    found = perfect(names, root)
    path = tmp_path / f"found{entry.suffixes[0] if entry.suffixes else ''}"
    if entry.name not in NAMELESS and is_written(path, found, entry):
        assert recall(path, entry, root) in (None, pytest.approx(1, abs=1e-6))
    given = ProposalSet({len(names) + 1 - number: one for number, one in found.items()})
    if is_written(path, given, entry):
        got = recall(path, entry, root)
        assert got in (None, pytest.approx(1, abs=1e-6))
        assert got is not None or group != "plain"
