"""MMDetection 3 ``proposals.pkl``: ``{"folder/file.jpg": {"bboxes": (N, 4), "scores": (N,)}}``.

The key is the image's parent folder and file name. Plain dictionaries are written, which MMDetection reads as it
does its own ``InstanceData``; both are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing_bytes
from objectness.formats.core.arrays import table, vector
from objectness.formats.core.known_images import KnownImages, finished
from objectness.formats.core.parsed import Parts, RawFile
from objectness.formats.core.safe_pickle import dump, load_plain
from objectness.formats.core.sniffing import Peek, present
from objectness.formats.core.spec import Format, Holds, Kind, Rule
from objectness.proposal_set import ProposalSet, as_set
from objectness.proposals import Proposals


def read(path: Path | str, known: KnownImages | None = None) -> ProposalSet:
    """Read the pickle without executing it; ids come from the data set by name, else images are numbered.

    Raises:
        InputError: the file is no such pickle, or names anything that is not an array.
    """
    return finished(path, parse(present(path), known), known)


def parse(path: Path, known: KnownImages | None = None) -> RawFile:
    """Read a file as it stands."""
    document = load_plain(path)
    if not isinstance(document, dict):
        raise InputError(f"{path} holds a {type(document).__name__}, where a dictionary by file name is due.")
    parts = Parts()
    for name, found in document.items():
        if not isinstance(name, str) or not isinstance(found, dict) or "bboxes" not in found:
            raise InputError(f"{path}: {json_values.shown(name)} is no file name with 'bboxes' and 'scores'.")
        boxes = table(path, found["bboxes"], 4, f"'bboxes' of {name}")
        given = found.get("scores")
        scores = None if given is None else vector(path, given, len(boxes), f"'scores' of {name}")
        parts.part(name, None, name).extend(boxes, scores)
    return parts.finish("proposal")


def write(path: Path | str, proposals: Mapping[Any, Proposals]) -> None:
    """Write the pickle.

    Raises:
        InputError: an image has no file name, or two have one; the place cannot be written to.
    """
    document: dict[str, Any] = {}
    for image_id, found in as_set(proposals).items():
        if not found.source:
            raise InputError(
                f"MMDetection 3 finds proposals by file name, and image {image_id} has none: "
                "give the data set that they were made for.",
                arguments=("data",),
            )
        key = "/".join(PurePosixPath(found.source.replace("\\", "/")).parts[-2:])
        if key in document:
            raise InputError(f"Two images are called {key}, which MMDetection 3 cannot tell apart: rename one folder.")
        document[key] = {"bboxes": found.boxes_xyxy, "scores": found.scores}
    with replacing_bytes(Path(path)) as file:
        dump(file, document)


def recognise(peek: Peek) -> bool:
    """A pickled dictionary with ``bboxes``."""
    return peek.is_pickle and peek.pickled == "dict" and peek.has_word("bboxes")


FORMAT = Format(
    name="mmdet3",
    title="MMDetection 3 pickle",
    suffixes=(".pkl", ".pickle"),
    holds=Holds(names="parent folder and name", empty=True),
    consumers="MMDetection 3 (proposal_file of a dataset)",
    recognise=recognise,
    parse=parse,
    write=write,
    rules={
        Kind.MISSING_IMAGE: Rule("MMDetection 3", "stops: AssertionError, the lengths differ, or KeyError"),
        Kind.UNKNOWN_IMAGE: Rule("MMDetection 3", "stops: AssertionError, as the lengths differ"),
        Kind.UNSORTED: Rule("MMDetection 3", "takes the first num_max_proposals for the best"),
    },
    whole_data="exactly",
)
