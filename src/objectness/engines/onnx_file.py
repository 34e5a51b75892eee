"""An ONNX file as bytes: what is refused in it, and what is opened for questions. Needs no protobuf library."""

from __future__ import annotations

import re
from pathlib import Path

from objectness.engines.graph import NMS_INPUT, TOP_INPUT
from objectness.errors import InputError
from objectness.files.untrusted import read_bytes

_MOST_BYTES = 2 << 30  # of a protobuf message
# A string field 1 (tag 0x0a) "location"; protobuf also takes numbers written longer than they need be.
_EXTERNAL = re.compile(rb"(?:\x0a|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)location")
_ELEMENT_TYPES = {NMS_INPUT: 1, TOP_INPUT: 7}  # float32 and int64, as ONNX numbers them


def read_model(model: Path | bytes, where: str) -> bytes:
    """The bytes of a model that holds all of its weights.

    ``objectness export`` writes one file. One that keeps weights in others could name any file of this machine: the
    key "location" of such weights is looked for as protobuf spells it.

    Raises:
        InputError: It cannot be read, is no regular file, or keeps its weights in other files.
    """
    content = model if isinstance(model, bytes) else read_bytes(model, _MOST_BYTES)
    if _EXTERNAL.search(content) is not None:
        raise InputError(f"{where}: keeps its weights in other files, which are not opened; export it as one file.")
    return content


def with_limits_as_inputs(content: bytes) -> bytes:
    """The same model, whose constants ``nms_iou`` and ``top`` may also be given as inputs.

    In the file they are plain constants, as any program that opens it warns of inputs that have a value. Protobuf
    joins messages that follow each other, so that two inputs of the graph can be appended.
    """
    if any(_is_input(content, name) or not _is_constant(content, name) for name in _ELEMENT_TYPES):
        return content  # of candidates, of an older version, or of somebody else
    return content + _field(7, b"".join(_field(11, _input(name, kind)) for name, kind in _ELEMENT_TYPES.items()))


def _is_constant(content: bytes, name: str) -> bool:
    """Whether a tensor (its name is field 8) is called so."""
    return _field(8, name.encode()) in content


def _is_input(content: bytes, name: str) -> bool:
    """Whether it is declared as an input, as versions up to 0.1.0 did."""
    return _input(name, _ELEMENT_TYPES[name]) in content


def _input(name: str, element_type: int) -> bytes:
    """A ``ValueInfoProto``: a tensor of one number."""
    shape = _field(1, b"\x08\x01")  # one axis, of length 1
    tensor = bytes([0x08, element_type]) + _field(2, shape)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _field(number: int, content: bytes) -> bytes:
    """A field of up to 127 bytes: tag, length, content."""
    return bytes([number << 3 | 2, len(content)]) + content
