"""Whether an ONNX file holds all of its weights."""

from __future__ import annotations

import mmap
import os
import re
from pathlib import Path

from objectness.errors import InputError
from objectness.untrusted import regular_file

# A string field 1 (tag 0x0a) "location"; protobuf also takes numbers written longer than they need be.
_EXTERNAL = re.compile(rb"(?:\x0a|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)location")


def require_own_weights(model: Path | bytes, where: str) -> None:
    """Refuse a file whose weights lie in other files: it could name any file of this machine.

    ``objectness export`` writes one file. The key "location" of external data is looked for as protobuf spells it.
    """
    if isinstance(model, bytes):
        found = _EXTERNAL.search(model)
    else:
        with regular_file(model).open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                found = _EXTERNAL.search(content)
    if found is not None:
        raise InputError(f"{where}: keeps its weights in other files, which are not opened; export it as one file.")
