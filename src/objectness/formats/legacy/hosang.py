"""Hosang's detection-proposals: a folder, one ``.mat`` an image, in subfolders named by the first four letters.

``boxes`` are x1, y1, x2, y2, counted from 1, the last pixel in; ``scores`` are larger for better ones, and empty
for methods that have none; ``num_candidates`` is the number of proposals.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from objectness.errors import InputError
from objectness.files.atomic_write import replacing_bytes
from objectness.formats.core.arrays import vector
from objectness.formats.core.file_names import refuse_doubles, short_names, stem
from objectness.formats.core.parsed import FileBuilder, ParsedFile
from objectness.formats.core.sniffing import Content, FileHead, Signature
from objectness.formats.core.spec import Capabilities, Coverage, Fault, FileNames, Format, Reaction
from objectness.formats.legacy.mat_files import Value, from_matlab, is_ours, load_mat, save_mat, to_matlab
from objectness.proposal_set import ProposalSet

_LETTERS = 4


def parse(path: Path, _: object = None) -> ParsedFile:
    """Read every ``.mat`` file of the folder; images are called as the files are.

    Raises:
        InputError: there is no such file, or one of them is of another kind.
    """
    files = sorted(path.rglob("*.mat")) if path.is_dir() else []
    if not files:
        raise InputError(f"{path} is no folder with .mat files, one an image.")
    builder = FileBuilder()
    for file in files:
        found = load_mat(file, ["boxes", "scores"])
        if not isinstance(found.get("boxes"), np.ndarray):
            raise InputError(f"{file} has no array 'boxes' of one image.")
        boxes = from_matlab(file, found["boxes"], "'boxes'")
        given = found.get("scores", [])
        scores = vector(file, given, len(boxes), "'scores'") if len(given) or not len(boxes) else None
        builder.image(file, None, file.stem).extend(boxes, scores)
    return builder.finish("proposal")


def write(path: Path, proposals: ProposalSet) -> None:
    """Write one file an image; files of the same images that were written here before are replaced.

    Raises:
        InputError: two images have one name; the folder has other .mat files; the place cannot be written to.
    """
    # Evaluation code knows no folders but those of the first letters.
    names = {image_id: name.rpartition("/")[2] for image_id, name in short_names(proposals).items()}
    refuse_doubles(names)
    folder = path
    files = {image_id: _file(folder, stem(name)) for image_id, name in names.items()}
    there = sorted(folder.rglob("*.mat")) if folder.is_dir() else []
    others = set(there) - set(files.values())
    if others:
        raise InputError(
            f"{folder} has proposals of other images ({sorted(others)[0].name} and {len(others) - 1} more): "
            "name a new folder."
        )
    if not all(is_ours(file) for file in there):
        raise InputError(f"{folder} has .mat files that were not written here: name a new folder.")
    for image_id, file in files.items():
        found = proposals[image_id]
        variables: dict[str, Value] = {
            "boxes": to_matlab(found.boxes_xyxy),
            "scores": found.scores[:, None],
            "num_candidates": np.array([[len(found)]]),
        }
        with replacing_bytes(file) as opened:
            save_mat(opened, variables)


def _file(folder: Path, title: str) -> Path:
    return folder / title[:_LETTERS] / f"{title}.mat"


def _holds_mat_files(head: FileHead) -> bool:
    """Whether a folder has .mat files in it, or in its subfolders."""
    return any(True for pattern in ("*.mat", "*/*.mat") for _ in head.path.glob(pattern))


FORMAT = Format(
    name="hosang",
    title="Hosang .mat folder",
    suffixes=(),
    parts=(".mat",),
    holds=Capabilities(names=FileNames.STEM, empty=True, is_file_an_image=True),
    consumers="hosang/detection-proposals, EdgeBoxes and MCG evaluation code",
    signatures=(Signature(Content.FOLDER, check=_holds_mat_files),),
    parse=parse,
    write=write,
    reactions={Fault.MISSING_IMAGE: Reaction("detection-proposals", "stops: it cannot load the image's file")},
    coverage=Coverage.ALL,
)
