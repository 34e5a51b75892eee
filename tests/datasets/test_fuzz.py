"""Damaged and hostile data sets: reading, checking, mending and converting them end well or in one sentence.

``python tests/datasets/test_fuzz.py COUNT SEED`` tries many more cases than the test does, within 3 GB of memory.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from objectness.datasets import available_splits, load_dataset, repair
from objectness.datasets.checks import inspect
from objectness.datasets.conversion import convert
from objectness.errors import InputError

SECONDS = 10

COCO = {
    "images": [
        {"id": 1, "file_name": "a.png", "width": 16, "height": 12},
        {"id": 2, "file_name": "sub/b.png", "width": 16, "height": 12},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5.5], "area": 20, "iscrowd": 0},
        {"id": 2, "image_id": 2, "category_id": 2, "bbox": [0, 0, 16, 12], "area": 9, "iscrowd": 1, "ignore": 1},
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
}
XML = """<?xml version="1.0" encoding="utf-8"?><annotation><folder>x</folder><filename>a.png</filename>
<path>/x/a.png</path><size><width>16</width><height>12</height><depth>3</depth></size>
<object><name>cat</name><difficult>1</difficult>
<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>
</object></annotation>"""
YAML = "path: .\ntrain: images/train\nval: list.txt\ntest: [images/train]\nnc: 2\nnames: {0: cat, 1: dog}\n"
LABELS = "0 .5 .5 .25 .25\n1 0.1 0.1 0.2 0.1 0.2 0.2\n0 .5 .5 .4 .4 .9\n"

# Pieces that break readers: numbers that are none, names that are none, and what the formats themselves mean by more.
PIECES = [
    *("NaN", "Infinity", "-1", "0", "1e999", "1" + "0" * 30, "1" + "0" * 400, "9" * 5000, "true", "null", '"1"', "1.5"),
    *("[" * 2000, "{" * 2000, '{"a":' * 2000, "[]", "{}", '""', "\\ud800", "\\u0000", "\x00", "\ufeff", "\u2028", "\r"),
    *("../", "/dev/zero", "../../../../etc/hostname", "/", "..", ".", "http://[", "s3://b/a%20b.png", "C:\\a.png", "~"),
    *("&a ", "*a", "<<: *a", "!!bool x", "!!timestamp y", "!!binary z", "!!int q", "!!python/object:os.system x", "? "),
    *(
        "- - - ",
        "? [a]: b",
        "!!set {a, a}",
        "!!omap [a: 1]",
        "---\n",
        "%YAML 9.9\n",
        ": ",
        "| ",
        "> ",
        "\t",
        "#",
        "'",
        '"',
    ),
    *("<", ">", "</annotation>", "<object>", "&amp;", "&#0;", "&#xD800;", "<!DOCTYPE a>", "<![CDATA[", "<?xml?>"),
    *("0x10", "1_000", "12:30:45", "2024-01-01", "+.inf", "-.nan", "0 1 1 1 1\n", "nan nan nan nan nan\n", "a b c\n"),
    *(
        "\U0001f600",
        "é",
        "İ",
        "\x85",
        "%20",
        "%00",
        "%ff",
        " 1",
        " -1",
        ",",
        ";",
        "train: x\n",
        "val: 3\n",
        "kpt_shape: 1\n",
    ),
]


def make(root: Path, layout: str, rng: random.Random) -> list[Path]:
    """A small sound data set; the files that a mutation may change."""
    image = root / "a.png"
    if layout == "coco":
        (root / "sub").mkdir()
        files = [
            _write(root / "instances_train.json", json.dumps(COCO)),
            _write(root / "instances_val.json", json.dumps(COCO)),
        ]
        places = [image, root / "sub" / "b.png"]
    elif layout == "voc":
        sets = root / "ImageSets" / "Main"
        files = [_write(root / "Annotations" / "a.xml", XML), _write(sets / "train.txt", "a\nb c 1\n")]
        files += [
            _write(root / "Annotations" / "b c.xml", XML.replace("a.png", "b c.png")),
            _write(sets / "val.txt", "a\n"),
        ]
        places = [root / "JPEGImages" / "a.png", root / "JPEGImages" / "b c.png"]
    else:
        files = [_write(root / "data.yaml", YAML), _write(root / "list.txt", "images/train/a.png\n./images/b.png\n")]
        files += [_write(root / "labels" / "train" / "a.txt", LABELS), _write(root / "labels" / "b.txt", LABELS)]
        places = [root / "images" / "train" / "a.png", root / "images" / "b.png"]
    for number, place in enumerate(places):
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 12), (number, 9, 9)).save(place)
    return files + (places if rng.random() < 0.1 else [])


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def mutate(content: bytes, rng: random.Random) -> bytes:
    """A few changes: pieces put in or in the place of a word, bytes flipped, parts cut, doubled or exchanged."""
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        at = rng.randrange(len(content) + 1)
        end = min(len(content), at + rng.choice((1, 1, 2, 5, 20, 80)))
        piece = rng.choice(PIECES).encode("utf-8", "surrogatepass")
        match rng.randrange(6):
            case 0:
                content = content[:at] + piece + content[at:]
            case 1:  # in the place of a value or a word
                words = _words(content)
                start, stop = rng.choice(words) if words else (at, end)
                content = content[:start] + piece + content[stop:]
            case 2:
                content = content[:at] + bytes(rng.randrange(256) for _ in range(end - at)) + content[end:]
            case 3:
                content = content[:at] + content[end:]
            case 4:
                content = content[:end] + content[at:end] * rng.choice((1, 3, 50)) + content[end:]
            case _:
                other = rng.randrange(len(content) + 1)
                content = content[:at] + content[other : other + 20] + content[end:]
    return content


def _words(content: bytes) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(rb'"[^"]*"|[\w./-]+', content)]


def try_one(layout: str, rng: random.Random) -> str:
    """One damaged data set through everything that reads it; what happened."""
    root = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        (root / "set").mkdir()
        victim = rng.choice(make(root / "set", layout, rng))
        victim.write_bytes(mutate(victim.read_bytes(), rng))
        try:
            splits = available_splits(root / "set")
            dataset = load_dataset(root / "set", rng.choice((None, *splits)))
            inspect(dataset)
            target = rng.choice(("coco", "voc", "yolo"))
            written = convert(root / "set", root / "out", target)
            for split, count in written.boxes.items():
                read = load_dataset(root / "out", None if split == "all" else split)
                found = sum(len(record.boxes_xyxy) for record in read.records)
                if sum(written.images.values()) and not any(
                    "missing" in s or "no images that" in s for s in written.changes
                ):
                    assert found == count, f"{found} boxes came back of {count}"
            repair(dataset)
        except InputError as error:
            sentence = str(error)
            assert sentence.strip(), "a sentence without words"
            assert "\n" not in sentence, f"no single sentence: {sentence!r}"
            return "sentence"
        return "read"
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["coco", "voc", "yolo"])
def test_damaged_data_sets_end_in_a_sentence(layout: str) -> None:
    rng = random.Random(7)
    outcomes = [try_one(layout, rng) for _ in range(30)]
    assert set(outcomes) == {"read", "sentence"}


def _many(count: int, seed: int) -> int:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))

    def stop(*_: Any) -> None:
        raise TimeoutError(f"no end after {SECONDS} s")

    signal.signal(signal.SIGALRM, stop)
    bad: dict[str, int] = {}
    outcomes = {"read": 0, "sentence": 0}
    for number in range(seed, seed + count):
        layout = ("coco", "voc", "yolo")[number % 3]
        signal.alarm(SECONDS)
        try:
            outcomes[try_one(layout, random.Random(number))] += 1
        except Exception:
            last = traceback.format_exc().strip().splitlines()
            key = " | ".join(line.strip() for line in (*last[-3:-1], last[-1]))[:300]
            bad[key] = bad.get(key, 0) + 1
            if bad[key] == 1:
                print(f"seed {number} {layout}: {key}", flush=True)
        finally:
            signal.alarm(0)
    print(f"{count} cases from {seed}: {outcomes}, {sum(bad.values())} bad of {len(bad)} kinds", flush=True)
    return len(bad)


if __name__ == "__main__":
    sys.exit(_many(int(sys.argv[1]), int(sys.argv[2])))
