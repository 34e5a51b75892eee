"""YAML from strangers: plain values, or one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from objectness.errors import InputError
from objectness.files.yaml_text import MOST_YAML_BYTES, load_yaml, parse_yaml


def test_plain_values() -> None:
    text = "train: &images images/train\nval: *images\nnames: [cat, no, 2024-01-01, 1.5, null]\nnc: 3\n"
    assert parse_yaml(text, "data.yaml") == {
        "train": "images/train",
        "val": "images/train",
        "names": ["cat", False, "2024-01-01", 1.5, None],
        "nc": 3,
    }
    assert parse_yaml("", "data.yaml") is None


@pytest.mark.parametrize(
    "text",
    [
        "nc: !!bool maybe",
        "nc: !!int many",
        "nc: !!float many",
        "nc: !!timestamp soon",
        "nc: !!binary '*'",
        "nc: !!python/object/apply:os.system [ls]",
        "nc: !unknown 3",
        "? [a, b]\n: c",
        "? {a: b}\n: c",
        "a: [",
        "a: *nothing",
        "a: &a [*a]",
        "\x00",
        "a: '\\ud800",
        "%YAML 9.9",
        "nc: " + "9" * 5000,
        "[" * 5000,
        "{a: " * 5000,
        "a: b\n---\nc: d",
        "<<: 3",
    ],
)
def test_what_is_no_plain_yaml_is_one_sentence(text: str) -> None:
    with pytest.raises(InputError, match=r"^data.yaml is not a YAML file that can be read \(.+\): correct it") as error:
        parse_yaml(text, "data.yaml")
    assert "\n" not in str(error.value)


def test_aliases_never_unfold() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    with pytest.raises(InputError, match="an alias stands for a list or a mapping, which is not read"):
        parse_yaml("\n".join([*lines, "names: *a8"]), "data.yaml")
    with pytest.raises(InputError, match="an alias stands for a list or a mapping, which is not read"):
        parse_yaml("a: &a {x: 1}\nb:\n  <<: [*a, *a]\n", "data.yaml")


def test_open_brackets_cost_no_time() -> None:
    assert parse_yaml("[" * 30 + "]" * 30, "data.yaml")
    with pytest.raises(InputError, match="brackets are nested too deeply"):
        parse_yaml("[" * 300 + "a, " * 100_000, "data.yaml")


def test_more_than_anybody_writes_is_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_bytes(b"#" * (MOST_YAML_BYTES + 1))
    with pytest.raises(InputError, match="larger than"):
        load_yaml(tmp_path / "data.yaml")
