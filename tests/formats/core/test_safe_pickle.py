from __future__ import annotations

import collections
import io
import os
import pickle
import pickletools
import sys
import time
import tracemalloc
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from objectness.errors import InputError
from objectness.formats.core.arrays import table, vector
from objectness.formats.core.safe_pickle import dump, load_plain


def written(folder: Path, content: bytes) -> Path:
    path = folder / "a.pkl"
    path.write_bytes(content)
    return path


class Opener:
    """When it is unpickled, a file appears."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path), "w")


class Shell(Opener):
    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


class Evaluated(Opener):
    def __reduce__(self) -> Any:
        return eval, (f"open({str(self.path)!r}, 'w')",)


@pytest.mark.parametrize("hostile", [Opener, Shell, Evaluated])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("hidden", [False, True])
def test_nothing_is_executed(tmp_path: Path, hostile: type[Opener], protocol: int, hidden: bool) -> None:
    bait = tmp_path / "bait"
    document: Any = hostile(bait)
    if hidden:
        document = {"boxes": [np.zeros((1, 4)), document], "ids": [1], "objectness_logits": [np.zeros(1)]}
    path = written(tmp_path, pickle.dumps(document, protocol=protocol))
    with pytest.raises(InputError, match="nothing in it was executed: it names"):
        load_plain(path)
    assert not bait.exists()
    pickle.loads(path.read_bytes())  # the bait itself works
    assert bait.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'touch bait'\ntR.",
        b"(S'touch bait'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'touch bait'\no.",  # OBJ
        b"\x80\x02cbuiltins\neval\nU\x11open('bait', 'w')\x85\x81.",  # NEWOBJ
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0atouch bait\x85R.",  # STACK_GLOBAL
        b"\x80\x02cnumpy\nndarray\nN(U\x01a\x85tb.",  # changing the class itself
        b"\x80\x02\x82\x01.",  # an extension
        b"\x80\x02X\x01\x00\x00\x00aQ.",  # an object outside
        b"\x80\x02cnumpy\nload\nX\x01\x00\x00\x00a\x85R.",
        b"\x80\x02cnumpy.core.multiarray\nfromfile\nX\x01\x00\x00\x00a\x85R.",
        b"\x80\x04\x8c\x05numpy\x8c\x10core.sys.modules\x93.",  # a path through a module
        b"\x80\x02]cnumpy\nndarray\n\x85R.",  # calls a list
        b"\x80\x02K\x05)\x81.",  # makes something out of a number
        b"\x80\x02X\x01\x00\x00\x00a}b.",  # changes text
    ],
)
def test_hand_made_attacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"a\.pkl is (not read|no pickle)"):
        load_plain(written(tmp_path, content))
    assert [file.name for file in tmp_path.iterdir()] == ["a.pkl"]


def test_long_names_are_cut(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_plain(written(tmp_path, b"\x80\x02c" + b"o" * 9000 + b"\nsystem\n."))
    assert len(str(caught.value)) < 400


def test_tensors_are_told(tmp_path: Path) -> None:
    content = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R."
    with pytest.raises(InputError, match=r"holds PyTorch tensors .*: save them as NumPy arrays"):
        load_plain(written(tmp_path, content))


def test_attacks_leave_no_trace_in_us(tmp_path: Path) -> None:
    """A BUILD on our stand-in class must not change it for the next file."""
    content = b"\x80\x02cnumpy\nndarray\nN}X\x05\x00\x00\x00stateNs\x86b."
    with pytest.raises(InputError, match="changes something that is no array"):
        load_plain(written(tmp_path, content))
    good = written(tmp_path, pickle.dumps(np.arange(3)))
    assert load_plain(good).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x80\x02]r\xff\xff\xff\x7f.", None),  # the number of a memory is no claim: it is an empty list
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\x00\x00abc.", "is no pickle"),  # text of 2^48 bytes
        (b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f].", None),  # a frame that is longer than the file
        (b"(" * 100_000 + b".", "is no pickle"),
        (b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".", "nested too deeply"),
    ],
)
def test_false_claims_and_deep_nesting(tmp_path: Path, content: bytes, said: str | None) -> None:
    path = written(tmp_path, content)
    if said is None:
        assert load_plain(path) == []
    else:
        with pytest.raises(InputError, match=said):
            load_plain(path)


_TWICE = b"2\x86"  # the top of the stack once more, and both as a pair


@pytest.mark.parametrize(
    ("content", "said"),
    [
        # A dictionary and a set look into what they are given: 2^60 steps, or deeper than the stack of C.
        (b"\x80\x02})" + _TWICE * 60 + b"Ns.", None),
        (b"\x80\x04\x8f()" + _TWICE * 60 + b"\x90.", "unfolds|nested"),
        (b"\x80\x04()" + _TWICE * 60 + b"\x91.", "unfolds|nested"),
        (b"\x80\x02cbuiltins\nset\n])" + _TWICE * 60 + b"a\x85R.", "unfolds|nested"),
        (b"\x80\x02ccollections\nOrderedDict\n]])" + _TWICE * 60 + b"aNaa\x85R.", None),
        (b"\x80\x02(" + b")" + _TWICE * 60 + b"Nd.", None),
        # Numbers of a million digits as keys, again and again.
        (b"\x80\x02}\x8b\xa0\x86\x01\x00" + b"\x7f" * 100_000 + b"q\x000" + b"h\x00Ns" * 50_000 + b".", "digits"),
        (b"L" + b"9" * 4000 + b"L\n.", "digits"),
        (b"I0x" + b"f" * 900_000 + b"\n.", "digits"),
        # One byte in the file, a hundred in memory.
        (b"\x80\x02" + b"(" * 30_000 + b".", "far more parts"),
        (b"\x80\x04N" + b"\x94" * 30_000 + b".", "far more parts"),
        (b"\x80\x02(" + b"]" * 30_000 + b"l.", "far more parts"),
        (b"\x80\x02]q\x00(" + b"h\x00" * 50_000 + b"e.", None),  # a list of itself
        (b"\x80\x02N(Ne.", "adds to something that is no list"),
        (b"\x80\x02]NNs.", "adds to something that is no dictionary"),
        # An array without contents whose sides a reader would count.
        (
            b"\x80\x02cnumpy\nndarray\n(J\xff\xff\xff\x7fK\x00\x86cnumpy\ndtype\nU\x02f4\x85RU\x00tR.",
            "impossible shape",
        ),
    ],
)
def test_a_few_bytes_neither_hang_nor_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str | None
) -> None:
    monkeypatch.setattr("objectness.formats.core.safe_pickle._PARTS", 1000)
    path = written(tmp_path, content)
    start = time.perf_counter()
    if said is None:
        load_plain(path)
    else:
        with pytest.raises(InputError, match=said):
            load_plain(path)
    assert time.perf_counter() - start < 5


def test_a_deep_tuple_as_a_key_does_not_end_the_process(tmp_path: Path) -> None:
    assert load_plain(written(tmp_path, b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"Ns.")) == {}


def test_keys_that_are_no_words_are_left_out(tmp_path: Path) -> None:
    document = {"a": 1, (1, 2): 2, 3: 4, 2**60: 5, None: 6, b"b": 7, 1.5: 8}
    assert load_plain(written(tmp_path, pickle.dumps(document))) == {"a": 1, 3: 4}
    assert sorted(load_plain(written(tmp_path, pickle.dumps({3, 4})))) == [3, 4]
    assert load_plain(written(tmp_path, pickle.dumps(frozenset({3}), protocol=4))) == [3]


def test_sharing_does_not_explode(tmp_path: Path) -> None:
    document: list[Any] = []
    for _ in range(20):
        document = [document, document]
    got = load_plain(written(tmp_path, pickle.dumps(document)))
    assert got[0] is got[1]
    for _ in range(20):
        document = [document, document]
    with pytest.raises(InputError, match="unfolds"):
        load_plain(written(tmp_path, pickle.dumps(document)))
    endless: list[Any] = [1]
    endless.append(endless)
    assert load_plain(written(tmp_path, pickle.dumps(endless))) == [1, None]


ARRAYS = [
    np.arange(8, dtype=np.float32).reshape(2, 4),
    np.arange(6, dtype=">f8").reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.empty((0, 4), dtype=np.float32),
    np.array([1, 2, 3], dtype=np.int64),
    np.array(["a", "bc"]),
    np.array([True, False]),
    np.arange(8)[::2],
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_as_numpy_writes_them(tmp_path: Path, array: np.ndarray, protocol: int) -> None:
    got = load_plain(written(tmp_path, pickle.dumps({"a": array}, protocol=protocol)))["a"]
    np.testing.assert_array_equal(got, array)
    assert got.dtype == array.dtype


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
@pytest.mark.parametrize("protocol", [2, 4])
def test_arrays_as_we_write_them(tmp_path: Path, array: np.ndarray, protocol: int) -> None:
    buffer = io.BytesIO()
    dump(buffer, [array], protocol)
    for got in (load_plain(written(tmp_path, buffer.getvalue()))[0], pickle.loads(buffer.getvalue())[0]):
        np.testing.assert_array_equal(got, array)
        assert got.dtype == array.dtype
    names = {
        argument
        for code, argument, _ in pickletools.genops(buffer.getvalue())
        if code.name in ("GLOBAL", "SHORT_BINUNICODE")
    }
    assert not any("_core" in str(name) for name in names), "NumPy 1 does not have it"
    pickle.loads(buffer.getvalue())[0].flags.writeable = True


def test_plain_values(tmp_path: Path) -> None:
    document = {
        "a": (1, 2.5, None, True, "é"),
        "b": np.float32(1.5),
        "c": collections.OrderedDict(x=[1]),
        "d": {3},
        "e": np.array([None, [1, 2]], dtype=object),
    }
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        got = load_plain(written(tmp_path, pickle.dumps(document, protocol=protocol)))
        assert got == {"a": (1, 2.5, None, True, "é"), "b": 1.5, "c": {"x": [1]}, "d": [3], "e": [None, [1, 2]]}


def test_python_2(tmp_path: Path) -> None:
    """Text and array contents as bytes of eight bits, as the first Detectron wrote them."""
    content = (
        b"(dp0\nS'ids'\np1\n(lp2\nI7\nasS'boxes'\np3\n(lp4\ncnumpy.core.multiarray\n_reconstruct\np5\n"
        b"(cnumpy\nndarray\np6\n(I0\ntp7\nS'b'\np8\ntp9\nRp10\n(I1\n(I1\nI4\ntp11\ncnumpy\ndtype\np12\n"
        b"(S'u1'\np13\nI0\nI1\ntp14\nRp15\n(I3\nS'|'\np16\nNNNI-1\nI-1\nI0\ntp17\nbI00\n"
        b"S'\\x01\\x02\\xff\\x04'\np18\ntp19\nbas."
    )
    got = load_plain(written(tmp_path, content))
    assert got["ids"] == [7]
    assert got["boxes"][0].tolist() == [[1, 2, 255, 4]]


def test_mmengine_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("mmengine.structures.instance_data")

    class InstanceData:
        pass

    InstanceData.__module__, InstanceData.__qualname__ = package.__name__, "InstanceData"
    package.InstanceData = InstanceData  # type: ignore[attr-defined]
    for name in ("mmengine", "mmengine.structures"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, package.__name__, package)
    found = InstanceData()
    found.__dict__ = {"_data_fields": {"bboxes"}, "bboxes": np.ones((1, 4)), "scores": np.array([0.5])}
    for protocol in (2, 4):
        got = load_plain(written(tmp_path, pickle.dumps({"a/b.jpg": found}, protocol=protocol)))["a/b.jpg"]
        assert got["bboxes"].tolist() == [[1, 1, 1, 1]]
        assert got["scores"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("shape", "dtype", "content"),
    [
        ((2, 4), "f4", b"1234"),
        ((2**40,), "f4", b""),
        ((-1,), "f4", b""),
        ((1,), "O", b"12345678"),
        ((1,), "V8", b"12345678"),
    ],
)
def test_arrays_that_lie(tmp_path: Path, shape: Any, dtype: str, content: bytes) -> None:
    class Lying:
        def __reduce__(self) -> Any:
            return np.ndarray, (shape, Fault(), bytearray(content))

    class Fault:
        def __reduce__(self) -> Any:
            return np.dtype, (dtype, False, True)

    globals().update(Lying=Lying, Fault=Fault)
    with pytest.raises(InputError, match="is not read, and nothing in it was executed"):
        load_plain(written(tmp_path, pickle.dumps(Lying(), protocol=2)))


def test_tables_and_vectors(tmp_path: Path) -> None:
    assert table(tmp_path, [], 4, "boxes").shape == (0, 4)
    assert table(tmp_path, np.empty((0, 5)), 4, "boxes").shape == (0, 4)
    assert table(tmp_path, [[1, 2, 3, 4]], 4, "boxes").tolist() == [[1, 2, 3, 4]]
    assert vector(tmp_path, np.array([[1], [2]]), 2, "scores").tolist() == [1, 2]
    for bad in ([[1, 2]], [1, 2, 3, 4], "text", [["a", "b", "c", "d"]], [[1], [1, 2]], np.ones((1, 4)) * 1j):
        with pytest.raises(InputError, match="has the shape"):
            table(tmp_path, bad, 4, "boxes")
    with pytest.raises(InputError, match="holds 1 values for 2 boxes"):
        vector(tmp_path, [1], 2, "scores")


def repeated(depth: int, width: int) -> list[Any]:
    """A list that holds the same list ``width`` times, which holds the same list ..."""
    value: list[Any] = [1.0] * width
    for _ in range(depth):
        value = [value] * width
    return value


_CALLS = b"cbuiltins\nlist\n(h\x00tR"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x80\x05\x96" + (3 << 30).to_bytes(8, "little") + b".", "Ran out of input"),  # room for 3 GB of nothing
        (pickle.dumps(repeated(7, 14)), "unfolds"),
        (pickle.dumps([np.zeros((1000, 5))] * 4000), "unfolds"),
        (b"\x80\x02(" + b"N" * 9000 + b"tq\x000(" + _CALLS * 3000 + b"l.", "unfolds"),
    ],
)
def test_a_small_file_does_not_fill_the_memory(tmp_path: Path, content: bytes, said: str) -> None:
    assert len(content) < 100_000
    path = written(tmp_path, content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=said):
            load_plain(path)
        assert tracemalloc.get_traced_memory()[1] < 300e6
    finally:
        tracemalloc.stop()


def test_images_may_share_what_they_have_in_common(tmp_path: Path) -> None:
    shared = np.arange(5.0)[None]
    found = load_plain(written(tmp_path, pickle.dumps([shared] * 500, protocol=5)))
    assert len(found) == 500
    assert all(item.tolist() == [[0, 1, 2, 3, 4]] for item in found)


def test_bytearrays_of_the_newest_protocol(tmp_path: Path) -> None:
    assert load_plain(written(tmp_path, pickle.dumps(bytearray(b"abc"), protocol=5))) == b"abc"


def test_the_private_part_of_pickle_is_the_one_that_was_read() -> None:
    """A Python with further instructions must be read again: each of them may reach further."""
    known = {ord(instruction.code) for instruction in pickletools.opcodes}
    assert pickle.HIGHEST_PROTOCOL == 5
    assert set(pickle._Unpickler.dispatch) <= known  # type: ignore[attr-defined]
    assert len(known) == 68
