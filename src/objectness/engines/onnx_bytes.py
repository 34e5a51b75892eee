"""Parts of an ONNX file without a protobuf library: the network of an exported graph alone, and its constants.

An exported graph ends in a ``Loop`` that turns maps into boxes, image by image. Where only the maps are wanted, the
same file serves: the maps become the outputs, and every node, constant and input that they do not need is left out.
Field numbers are those of onnx.proto (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError

_GRAPH = 7  # of a model
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 11, 12, 13  # of a graph
_NODE_INPUT, _NODE_OUTPUT, _ATTRIBUTE = 1, 2, 5  # of a node
_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS = 6, 11
_DIMS, _DATA_TYPE, _TENSOR_NAME, _RAW_DATA = 1, 2, 8, 9  # of a tensor
_VALUE_NAME = 1
_FLOAT = 1  # an element type
_MOST_DEPTH = 16  # of graphs inside graphs
_MOST_VARINT_BYTES = 10
_MESSAGE = 2  # a wire type: a length, and as many bytes
_WIDTHS = {1: 8, 5: 4}  # of the wire types for numbers of fixed width


class Field(NamedTuple):
    """A field of a protobuf message: its number, its content, and all its bytes. A number's content is itself."""

    number: int
    content: memoryview | int
    whole: memoryview


def fields(message: memoryview) -> Iterator[Field]:
    """The fields of a message, in their order.

    Raises:
        ValueError: The message is cut, or is none.
    """
    start = 0
    while start < len(message):
        key, at = _varint(message, start)
        number, kind = key >> 3, key & 7
        content: memoryview | int
        if kind == 0:
            content, end = _varint(message, at)
        else:
            if kind == _MESSAGE:
                length, at = _varint(message, at)
            elif kind in _WIDTHS:
                length = _WIDTHS[kind]
            else:
                raise ValueError(f"a field of the unknown wire type {kind}")
            end = at + length
            if end > len(message):
                raise ValueError("a field goes on beyond the end")
            content = message[at:end]
        yield Field(number, content, message[start:end])
        start = end


def network_alone(model: bytes, outputs: Sequence[str], where: str, keep: str) -> bytes:
    """The same model with other outputs, of values that it has, and without all that they do not need.

    Args:
        model: An ONNX file.
        outputs: Names of values of its graph; ``float32`` each.
        where: The file, for messages.
        keep: Name of the only input that stays.

    Raises:
        InputError: The file is damaged, or has no value of such a name.
    """
    try:
        own = list(fields(memoryview(model)))
        graph = _joined(own)
        kept, needed = _needed([field for field in graph if field.number == _NODE], outputs)
        parts, known = [node.whole for node in kept], {name for node in kept for name in node.outputs}
        for field in graph:
            if field.number in (_NODE, _OUTPUT, _VALUE_INFO):
                continue
            if field.number in (_INITIALIZER, _INPUT):
                name = _name(_message(field), _TENSOR_NAME if field.number == _INITIALIZER else _VALUE_NAME)
                if name not in needed if field.number == _INITIALIZER else name != keep:
                    continue
                known.add(name)
            parts.append(field.whole)
    except ValueError as error:
        raise _damaged(where, error) from None
    missing = [name for name in outputs if name not in known]
    if missing:
        raise InputError(
            f"{where}: its graph has no value named {missing[0]}, as the graphs of `objectness export` have, so it "
            "runs on whole images only; export it again."
        )
    rest = b"".join(field.whole for field in own if field.number != _GRAPH)
    ends = [_field(_OUTPUT, _float_value(name)) for name in outputs]
    return rest + _field(_GRAPH, b"".join([*parts, *ends]))


def float_constants(model: bytes, names: Sequence[str], where: str) -> dict[str, NDArray[np.float32]]:
    """The ``float32`` constants of these names that a model's graph has.

    Raises:
        InputError: The file is damaged.
    """
    found = {}
    try:
        for field in _joined(list(fields(memoryview(model)))):
            if field.number == _INITIALIZER and (name := _name(_message(field), _TENSOR_NAME)) in names:
                found[name] = _floats(_message(field))
    except ValueError as error:
        raise _damaged(where, error) from None
    return found


def value_names(model: bytes, where: str) -> set[str]:
    """Names of the values that the nodes of a model's graph make; raises as ``float_constants``."""
    try:
        graph = _joined(list(fields(memoryview(model))))
        nodes = [_message(field) for field in graph if field.number == _NODE]
        return {_text(part) for node in nodes for part in fields(node) if part.number == _NODE_OUTPUT}
    except ValueError as error:
        raise _damaged(where, error) from None


class _Node(NamedTuple):
    """A node: its field in full, the names that it makes, and all that it or a graph inside it reads."""

    whole: memoryview
    outputs: frozenset[str]
    inputs: frozenset[str]


def _read_by(node: memoryview, depth: int = 0) -> Iterator[str]:
    """Names that a node reads, also in the graphs of its attributes; their own values are among them."""
    if depth > _MOST_DEPTH:
        raise ValueError("graphs are nested too deeply")
    for field in fields(node):
        if field.number == _NODE_INPUT:
            yield _text(field)
        elif field.number == _ATTRIBUTE:
            for part in fields(_message(field)):
                if part.number not in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                    continue
                for inner in fields(_message(part)):
                    if inner.number == _NODE:
                        yield from _read_by(_message(inner), depth + 1)
                    elif inner.number == _OUTPUT:  # it may hand on a value of the graph outside
                        yield _name(_message(inner), _VALUE_NAME)


def _needed(nodes: Sequence[Field], outputs: Sequence[str]) -> tuple[list[_Node], set[str]]:
    """The nodes that these values depend on, in their order, and every name that is read on the way."""
    read = []
    for field in nodes:
        message = _message(field)
        made = frozenset(_text(part) for part in fields(message) if part.number == _NODE_OUTPUT)
        read.append(_Node(field.whole, made, frozenset(_read_by(message))))
    makers = {name: place for place, node in enumerate(read) for name in node.outputs if name}
    waiting, needed, kept = list(outputs), set(outputs), set[int]()
    while waiting:
        place = makers.get(waiting.pop())
        if place is None or place in kept:
            continue
        kept.add(place)
        waiting += read[place].inputs - needed
        needed |= read[place].inputs
    return [read[place] for place in sorted(kept)], needed


def _joined(model: Sequence[Field]) -> list[Field]:
    """The fields of a model's graph; protobuf joins graphs that follow each other."""
    return [inner for field in model if field.number == _GRAPH for inner in fields(_message(field))]


def _floats(tensor: memoryview) -> NDArray[np.float32]:
    shape, kind, raw = [], 0, None
    for field in fields(tensor):
        if field.number == _DIMS:
            packed = field.content
            shape += [packed] if isinstance(packed, int) else _varints(packed)
        elif field.number == _DATA_TYPE and isinstance(field.content, int):
            kind = field.content
        elif field.number == _RAW_DATA:
            raw = _message(field)
    if kind != _FLOAT or raw is None or len(raw) != 4 * math.prod(shape):
        raise ValueError("a constant is no array of float32")
    return np.frombuffer(raw, "<f4").reshape(shape).astype(np.float32)


def _name(message: memoryview, number: int) -> str:
    """The text of a field of this number; empty without one."""
    return next((_text(field) for field in fields(message) if field.number == number), "")


def _text(field: Field) -> str:
    return str(_message(field), "utf-8")


def _message(field: Field) -> memoryview:
    if isinstance(field.content, memoryview):
        return field.content
    raise ValueError(f"a number where field {field.number} holds bytes")


def _varint(message: memoryview, start: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and the place behind it."""
    number = 0
    for place, byte in enumerate(message[start : start + _MOST_VARINT_BYTES]):
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, start + place + 1
    raise ValueError("a number is cut")


def _varints(message: memoryview) -> list[int]:
    numbers, at = [], 0
    while at < len(message):
        number, at = _varint(message, at)
        numbers.append(number)
    return numbers


def _field(number: int, content: bytes) -> bytes:
    """A field that holds bytes: tag, length, content."""
    return _as_varint(number << 3 | _MESSAGE) + _as_varint(len(content)) + content


def _as_varint(number: int) -> bytes:
    parts = bytearray()
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _float_value(name: str) -> bytes:
    """A ``ValueInfoProto``: a ``float32`` tensor of any shape."""
    return _field(1, name.encode()) + _field(2, _field(1, bytes([0x08, _FLOAT])))


def _damaged(where: str, error: ValueError) -> InputError:
    return InputError(f"{where}: is damaged, or no ONNX model ({str(error)[:200]}); export it again.")
