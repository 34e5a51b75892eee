"""Damaged files of every format: a reader gives proposals or one sentence, and nothing else.

In the suite a short run. For a long one, with other examples every time::

    OBJECTNESS_FUZZ_EXAMPLES=20000 python -m pytest tests/formats/test_fuzz.py
"""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import shutil
import warnings
from contextlib import suppress
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from objectness import formats
from objectness.errors import InputError, MissingContextError
from objectness.formats.core.image_lookup import index_images
from objectness.formats.core.safe_pickle import dump, load_plain
from objectness.formats.core.spec import Format
from objectness.formats.registry import all_formats, format_named, guess_source_format
from objectness.formats.validation import validate
from objectness.image_index import ImageIndex

EXAMPLES = int(os.environ.get("OBJECTNESS_FUZZ_EXAMPLES", "0"))
SHORT = settings(
    max_examples=EXAMPLES or 25,
    derandomize=not EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NAMES = [
    pytest.param(
        entry.name, marks=pytest.mark.skipif(bool(entry.needs) and find_spec(entry.needs[0]) is None, reason="")
    )
    for entry in all_formats()
]

TOKENS = [
    *(b"NaN", b"Infinity", b"-1", b"1e400", b"9" * 400, b"null", b"true", b'""', b"{}", b"[]", b'"', b",", b"\n"),
    *(b"\x00", b"\xff\xfe", b"\xc3\x28", b"[" * 3000, b'{"a":' * 3000, b"<!DOCTYPE a>", b"&a;", b"\x80\x04", b"."),
    *(
        b"cos\nsystem\n",
        b"\x8c\x02os\x8c\x06system\x93",
        b"r\xff\xff\xff\x7f",
        b"\x8e" + b"\xff" * 7 + b"\x00",
        b"0",
        b"2",
    ),
]
EDIT = st.tuples(
    st.sampled_from(["flip", "insert", "delete", "cut", "double", "token", "token"]),
    st.floats(0, 1),
    st.integers(0, 255),
    st.sampled_from(TOKENS),
)
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1e308, math.nan, math.inf, -math.inf, 2**53, 2**70, 10**400, 1e-320, 0.5, "7", ""),
    *("a.png", "\ud800", "x" * 300, "../../a", "\x00", [], {}, [[]], [None], {"a": []}, [1, 2, 3, 4], [0, 0, -1, -1]),
    *([math.nan] * 4, [1e200] * 4, ["1", "2", "3", "4"], {"box": 1}, b"bytes", (1, 2)),
]
CHANGE = st.tuples(st.floats(0, 1), st.sampled_from(["set", "set", "remove", "double"]), st.integers(0, len(ODD) - 1))


def edited(content: bytes, edits: list[Any]) -> bytes:
    for how, where, value, token in edits:
        at = int(where * len(content))
        match how:
            case "flip":
                content = content[:at] + bytes([value]) + content[at + 1 :]
            case "insert":
                content = content[:at] + bytes([value]) + content[at:]
            case "delete":
                content = content[:at] + content[at + 1 + value % 9 :]
            case "cut":
                content = content[:at]
            case "double":
                content = content[:at] + content[max(0, at - value) :]
            case _:
                content = content[:at] + token + content[at + value % 9 :]
    return content


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a document."""
    found: list[tuple[Any, Any]] = []
    todo = [value]
    while todo:
        item = todo.pop()
        for key in list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ():
            found.append((item, key))
            todo.append(item[key])
    return found


def changed(document: Any, changes: list[Any]) -> Any:
    for where, how, odd in changes:
        found = places(document)
        if not found:
            return deepcopy(ODD[odd])
        container, key = found[min(int(where * len(found)), len(found) - 1)]
        if how == "remove":
            del container[key]
        elif how == "double" and isinstance(container, list):
            container.insert(key, container[key])
        else:
            container[key] = deepcopy(ODD[odd])  # or it might come to contain itself
    return document


def files_of(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def survives(path: Path, source: Format, known: ImageIndex | None) -> None:
    """Read, repair, guess and validate: proposals in order, or ``InputError``."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for repair in (False, True):
            try:
                found = formats.read_proposals(path, source.name, image_index=known, repair=repair)
            except InputError as error:
                said = str(error)
                if not 10 < len(said) < 3000:
                    pytest.fail(f"no sentence: {said[:500]!r}")
            else:
                for image in found.values():
                    assert np.isfinite(image.boxes_xyxy).all()
                    assert np.isfinite(image.scores).all()
                    assert (np.diff(image.scores) <= 0).all()
        with suppress(MissingContextError):
            validate(path, source.name, image_index=known)
        with suppress(InputError):
            guess_source_format(path)


@pytest.fixture(scope="module")
def valid(sample: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A valid file of each format."""
    folder = tmp_path_factory.mktemp("valid")
    written = {}
    for entry in all_formats():
        if entry.needs is None or find_spec(entry.needs[0]):
            written[entry.name] = folder / entry.name / f"proposals{entry.suffixes[0] if entry.suffixes else ''}"
            formats.write_proposals(written[entry.name], sample.proposals, entry.name)
    return written


@pytest.fixture(scope="module")
def known(sample: Any) -> ImageIndex | None:
    return index_images(data=sample.data)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


def copied(original: Path, place: Path) -> Path:
    """The valid files of one format, in a place where they may be damaged."""
    target = place / original.parent.name
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(original.parent, target)
    return target / original.name


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@SHORT
@given(edits=st.lists(EDIT, min_size=1, max_size=6), which=st.integers(0, 9), told=st.booleans())
def test_changed_bytes(
    name: str, valid: dict[str, Path], known: ImageIndex, place: Path, edits: list[Any], which: int, told: bool
) -> None:
    path = copied(valid[name], place)
    files = files_of(path.parent)
    file = files[which % len(files)]
    file.write_bytes(edited(file.read_bytes(), edits))
    survives(path, format_named(name), known if told else None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["coco-results", "coco", "label-studio", "fiftyone", "geojson", "huggingface", "sam"])
@SHORT
@given(changes=st.lists(CHANGE, min_size=1, max_size=5), which=st.integers(0, 9), told=st.booleans())
def test_changed_json(
    name: str, valid: dict[str, Path], known: ImageIndex, place: Path, changes: list[Any], which: int, told: bool
) -> None:
    path = copied(valid[name], place)
    files = files_of(path.parent)
    file = files[which % len(files)]
    document = changed(json.loads(file.read_text()), changes)
    file.write_text(json.dumps(document, default=repr))
    survives(path, format_named(name), known if told else None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["detectron2", "detectron1", "mmdet3", "mmdet2"])
@SHORT
@given(
    changes=st.lists(CHANGE, min_size=1, max_size=5),
    protocol=st.integers(0, 5),
    ours=st.booleans(),
    told=st.booleans(),
)
def test_changed_pickles(
    name: str,
    valid: dict[str, Path],
    known: ImageIndex,
    place: Path,
    changes: list[Any],
    protocol: int,
    ours: bool,
    told: bool,
) -> None:
    document = changed(load_plain(valid[name]), changes)
    path = place / "proposals.pkl"
    if ours:
        buffer = io.BytesIO()
        dump(buffer, document, 4)
        path.write_bytes(buffer.getvalue())
    else:
        path.write_bytes(pickle.dumps(document, protocol=protocol))
    survives(path, format_named(name), known if told else None)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not installed")
@SHORT
@given(
    name=st.sampled_from(["image_id", "x1", "y2", "score", "logit", "level", "rank", "path", "width", "height"]),
    values=st.lists(
        st.sampled_from([None, 0, 1, -1, 1.5, math.nan, math.inf, "a", "7", 2**40, b"b", True]), max_size=3
    ),
    beside=st.booleans(),
)
def test_changed_parquet(
    name: str, values: list[Any], beside: bool, valid: dict[str, Path], known: ImageIndex, place: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = copied(valid["parquet"], place)
    file = path.with_suffix(".images.parquet") if beside else path
    table = pq.read_table(file)
    try:
        column = pa.array([*values, *[None] * (3 - len(values))])
    except (pa.ArrowException, OverflowError):
        return
    present = name in table.column_names
    table = table.drop_columns([name]) if present else table
    pq.write_table(table.append_column(name, column) if values else table, file)
    survives(path, format_named("parquet"), known)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("scipy") is None, reason="SciPy, which writes the odd files, is not installed")
@pytest.mark.parametrize("name", ["selective-search", "hosang"])
@SHORT
@given(
    key=st.sampled_from(["boxes", "scores", "images"]),
    value=st.sampled_from(
        [
            *(0.0, np.nan, "text", np.zeros((2, 3)), np.zeros((0, 0)), np.full((1, 4), np.inf), np.ones((1, 4)) * 1j),
            np.array([["a"], [1]], dtype=object),
            np.array([["x"], ["y"], ["z"]], dtype=object),
            {"a": 1},
            np.zeros((3, 4), bool),
        ]
    ),
)
def test_changed_mat(name: str, key: str, value: Any, valid: dict[str, Path], known: ImageIndex, place: Path) -> None:
    from scipy.io import loadmat, savemat

    path = copied(valid[name], place)
    file = files_of(path)[0]
    found = {key: item for key, item in loadmat(file).items() if not key.startswith("__")}
    savemat(file, {**found, key: value})
    survives(path, format_named(name), known)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "content", [b"", b"\x00", b"\xff\xfe", b"[]", b"{}", b"null", b"\x80\x04N.", b"<a/>", b"x" * 99]
)
def test_other_files(name: str, content: bytes, known: ImageIndex, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    survives(path, format_named(name), known)


@pytest.mark.parametrize("name", NAMES)
def test_no_file_and_a_folder(name: str, known: ImageIndex, tmp_path: Path) -> None:
    source = format_named(name)
    for path in (tmp_path / "missing", tmp_path, tmp_path / ("x" * 300), tmp_path / "a\x00b"):
        survives(path, source, known)
        with pytest.raises(InputError):
            formats.read_proposals(path, name, image_index=known)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_valid_is_read(name: str, valid: dict[str, Path], known: ImageIndex) -> None:
    assert formats.read_proposals(valid[name], name, image_index=known).count == 3
