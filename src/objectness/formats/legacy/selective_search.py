"""Selective Search ``.mat`` as R-CNN and Fast R-CNN use it: cells ``images`` (names) and ``boxes`` of all images.

Boxes are y1, x1, y2, x2, counted from 1, the last pixel in, best first. The published files have no scores;
a further cell array ``scores`` is written, which their readers do not look at.
"""

from __future__ import annotations

from pathlib import Path

from objectness.errors import InputError
from objectness.files.atomic_write import replacing_bytes
from objectness.formats.core.arrays import vector
from objectness.formats.core.file_names import short_names, stem
from objectness.formats.core.missing_context import need_data
from objectness.formats.core.parsed import FileBuilder, ParsedFile
from objectness.formats.core.sniffing import Signature
from objectness.formats.core.spec import Capabilities, Coverage, Fault, FileNames, Format, Reaction
from objectness.formats.legacy.mat_files import Value, flat_cells, from_matlab, load_mat, save_mat, to_matlab
from objectness.image_index import ImageIndex
from objectness.proposal_set import ProposalSet

_YXYX = [1, 0, 3, 2]


def parse(path: Path, image_index: ImageIndex | None = None) -> ParsedFile:
    """Read the file; where it has no ``images``, the data set gives the images, in its order.

    Raises:
        InputError: the file is no such file; it names no images and no data set is given.
    """
    found = load_mat(path, ["boxes", "images", "scores"])
    if "boxes" not in found:
        raise InputError(f"{path} has no variable 'boxes'.")
    boxes = flat_cells(path, found["boxes"], "boxes")
    scores = flat_cells(path, found["scores"], "scores") if "scores" in found else [None] * len(boxes)
    cells = flat_cells(path, found["images"], "images") if "images" in found else []
    names = [cell if isinstance(cell, str) else "" for cell in cells]
    builder = FileBuilder()
    if boxes and not names:
        if image_index is None:
            raise need_data(path, f"it has the boxes of {len(boxes)} images and no 'images' with their names")
        names = [str(image.path) for image in image_index.images]
    if not len(boxes) == len(names) == len(scores):
        raise InputError(
            f"{path} has {len(boxes)} boxes, {len(names)} names and {len(scores)} scores: not one an image."
        )
    for position, (name, rows, own) in enumerate(zip(names, boxes, scores, strict=True), start=1):
        corners = from_matlab(path, rows, f"'boxes' of {name}")[:, _YXYX]
        values = None if own is None else vector(path, own, len(corners), f"'scores' of {name}")
        builder.image(position, None, name or None).extend(corners, values)
    return builder.finish("proposal")


def write(path: Path, proposals: ProposalSet) -> None:
    """Write the file; images are called by their names without suffix, as the published files do.

    Raises:
        InputError: two images have one name, or one that is no text; the place cannot be written to.
    """
    names = {image_id: _encodable(stem(name)) for image_id, name in short_names(proposals).items()}
    variables: dict[str, Value] = {
        "images": [names[image_id] for image_id in proposals],
        "boxes": [to_matlab(found.boxes_xyxy)[:, _YXYX] for found in proposals.values()],
        "scores": [found.scores[:, None] for found in proposals.values()],
    }
    with replacing_bytes(path) as file:
        save_mat(file, variables)


def _encodable(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"The file name {name!a} has letters that are no text: rename the file.") from None
    return name


FORMAT = Format(
    name="selective-search",
    title="Selective Search .mat",
    suffixes=(".mat",),
    holds=Capabilities(names=FileNames.STEM, empty=True),
    consumers="R-CNN, Fast R-CNN, py-faster-rcnn (selective_search_data)",
    signatures=(Signature(starts=b"MATLAB "),),
    parse=parse,
    write=write,
    reactions={
        Fault.MISSING_IMAGE: Reaction("Fast R-CNN", "stops: the boxes and the images are not equally many"),
        Fault.UNKNOWN_IMAGE: Reaction("Fast R-CNN", "stops: the boxes and the images are not equally many"),
        Fault.OTHER_ORDER: Reaction("Fast R-CNN", "goes by position and gives images the boxes of others"),
        Fault.UNSORTED: Reaction("Fast R-CNN", "takes the first ones for the best"),
    },
    coverage=Coverage.EXACT,
)
