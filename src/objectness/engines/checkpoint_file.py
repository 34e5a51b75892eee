"""The weights of a .safetensors checkpoint without PyTorch: enough to know whether an exported file is made of them."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

from objectness.errors import InputError
from objectness.files.untrusted import parse_json, read_bytes

_MOST_HEADER_BYTES = 100_000_000  # as the format says
_ELEMENT_TYPES = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I8": ("int8", 1),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}


def weights_digest(path: Path) -> str:
    """SHA-256 of names, types, shapes and values of a checkpoint's weights, by name.

    It is what ``objectness export`` writes into a file as ``weights_sha256``.

    Raises:
        InputError: It cannot be read, or is no .safetensors file of numbers.
    """
    content = memoryview(read_bytes(path, None))
    digest = hashlib.sha256()
    try:
        length = int.from_bytes(content[:8], "little")
        if length > min(_MOST_HEADER_BYTES, len(content) - 8):
            raise ValueError("its header is cut")
        header = parse_json(bytes(content[8 : 8 + length]), f"{path}: its header")
        for name, tensor in sorted(header.items()):
            if name != "__metadata__":
                _add(digest, name, tensor, content[8 + length :])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not a readable safetensors file ({str(error)[:200]}).") from None
    return digest.hexdigest()


def _add(digest: Any, name: str, tensor: dict[str, Any], values: memoryview) -> None:
    kind, size = _ELEMENT_TYPES[tensor["dtype"]]
    shape = tuple(tensor["shape"])
    start, end = tensor["data_offsets"]
    if not 0 <= start <= end <= len(values) or end - start != math.prod(shape) * size:
        raise ValueError(f"{name} lies outside the file")
    digest.update(f"{name} {kind} {shape}\n".encode())
    digest.update(values[start:end])
