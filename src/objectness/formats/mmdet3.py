"""MMDetection 3 ``proposals.pkl``: ``{"folder/file.jpg": {"bboxes": (N, 4), "scores": (N,)}}``.

The key is the image's parent folder and file name. Plain dictionaries are written, which MMDetection reads as it
does its own ``InstanceData``; both are read.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing_bytes
from objectness.formats.core.arrays import table, vector
from objectness.formats.core.parsed import FileBuilder, ParsedFile
from objectness.formats.core.safe_pickle import dump, load_plain
from objectness.formats.core.sniffing import Content, Signature
from objectness.formats.core.spec import Capabilities, Coverage, Fault, FileNames, Format, Reaction
from objectness.proposal_set import ProposalSet


def parse(path: Path, _: object = None) -> ParsedFile:
    """Read the pickle without executing it; ids come from the data set by name, else images are numbered.

    Raises:
        InputError: the file is no such pickle, or names anything that is not an array.
    """
    document = load_plain(path)
    if not isinstance(document, dict):
        raise InputError(f"{path} holds a {type(document).__name__}, where a dictionary by file name is due.")
    builder = FileBuilder()
    for name, found in document.items():
        if not isinstance(name, str) or not isinstance(found, dict) or "bboxes" not in found:
            raise InputError(f"{path}: {json_values.shown(name)} is no file name with 'bboxes' and 'scores'.")
        boxes = table(path, found["bboxes"], 4, f"'bboxes' of {name}")
        given = found.get("scores")
        scores = None if given is None else vector(path, given, len(boxes), f"'scores' of {name}")
        builder.image(name, None, name).extend(boxes, scores)
    return builder.finish("proposal")


def write(path: Path, proposals: ProposalSet) -> None:
    """Write the pickle.

    Raises:
        InputError: an image has no file name, or two have one; the place cannot be written to.
    """
    document: dict[str, Any] = {}
    for image_id, found in proposals.items():
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
    with replacing_bytes(path) as file:
        dump(file, document)


FORMAT = Format(
    name="mmdet3",
    title="MMDetection 3 pickle",
    suffixes=(".pkl", ".pickle"),
    holds=Capabilities(names=FileNames.PARENT_AND_NAME, empty=True),
    consumers="MMDetection 3 (proposal_file of a dataset)",
    signatures=(Signature(Content.PICKLE, outermost=("dict",), keys=frozenset({"bboxes"})),),
    parse=parse,
    write=write,
    reactions={
        Fault.MISSING_IMAGE: Reaction("MMDetection 3", "stops: AssertionError, the lengths differ, or KeyError"),
        Fault.UNKNOWN_IMAGE: Reaction("MMDetection 3", "stops: AssertionError, as the lengths differ"),
        Fault.UNSORTED: Reaction("MMDetection 3", "takes the first num_max_proposals for the best"),
    },
    coverage=Coverage.EXACT,
)
