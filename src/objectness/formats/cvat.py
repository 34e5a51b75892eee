"""CVAT 1.1, for images and for video: one XML file, one ``<box>`` a proposal, the score as an attribute of the box.

Written is the form for images. The label "object" of the CVAT task must have an attribute ``score`` (text or number),
or CVAT refuses the file. Read are both: the shapes of every ``<image>``, and those of every ``<track>``, one image a
frame, called as CVAT calls the frames that it exports (``frame_000012``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree.ElementTree import Element
from xml.sax.saxutils import quoteattr

from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing
from objectness.files.untrusted import read_bytes
from objectness.files.xml_text import XmlError, parse_xml
from objectness.formats.core.classes import Labels, names_of
from objectness.formats.core.file_names import short_names
from objectness.formats.core.parsed import FileBuilder, ParsedFile
from objectness.formats.core.sniffing import Content, FileHead, Signature
from objectness.formats.core.spec import Capabilities, Fault, FileNames, Format, Reaction
from objectness.formats.cvat_shapes import attribute_number, box_of, score_of
from objectness.formats.cvat_tracks import add_tracks
from objectness.proposal_set import ProposalSet

_CORNERS = ("xtl", "ytl", "xbr", "ybr")
# Characters that no XML 1.0 document may hold, not even as &#1;.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse(path: Path, _: object = None) -> ParsedFile:
    """Read the boxes of every image and frame; ``notes`` tells how other shapes were read.

    Raises:
        InputError: the file is no such XML, or has a document type; a shape in it is malformed.
    """
    try:
        root = parse_xml(read_bytes(path, None))
    except XmlError as error:
        raise InputError(f"{path} {error}.") from None
    if root.tag != "annotations":
        raise InputError(f"{path} is no CVAT file: its outer element is <{root.tag[:40]}>, not <annotations>.")
    builder = FileBuilder()
    said: Counter[str] = Counter()
    labels: set[str | None] = set()
    for position, image in enumerate(root.findall("image"), start=1):
        name = image.get("name") or None
        rows, where = builder.image(position, None, name, _size(image)), f"of image {json_values.shown(name)}"
        for number, element in enumerate(image, start=1):
            here = f"shape {number} {where}"
            box = box_of(path, element, here, said)
            if box is not None:
                labels.add(element.get("label"))
                label = builder.class_number(element.get("label") or None)
                rows.add(box, score_of(path, element, here), number, class_number=label)
    original = root.find("./meta//original_size")
    size = None if original is None else _size({side: original.findtext(side) for side in ("width", "height")})
    tracks = root.findall("track")
    labels |= {track.get("label") for track in tracks}
    add_tracks(path, tracks, builder, size, attribute_number(root.findtext("./meta//size")), said)
    lost = [f"left out the {len(labels)} labels: proposals have none"] if len(labels) > 1 else []
    return builder.finish("shape", None, [note.format(count) for note, count in said.items()], lost)


def write(path: Path, proposals: ProposalSet, labels: Labels | None = None) -> None:
    """Write the XML; images are numbered from 0 as CVAT does, and called by file name.

    Raises:
        InputError: two images have one name, or a name that XML cannot hold; the place cannot be written to.
    """
    with replacing(path) as file:
        file.writelines(_lines(proposals, labels))


def _has_outer_element(head: FileHead) -> bool:
    """Whether the outer element is ``<annotations>``."""
    return b"<annotations" in head.head[:4096]


def _size(entry: Element | Mapping[str, str | None]) -> tuple[int, int] | None:
    return json_values.size_hw({side: attribute_number(entry.get(side)) for side in ("width", "height")})


def _lines(proposals: ProposalSet, labels: Labels | None) -> Iterator[str]:
    names = short_names(proposals)
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    for position, (image_id, found) in enumerate(proposals.items()):
        name = names[image_id]
        if _NOT_XML.search(name):
            raise InputError(f"The file name {name!r} has letters that XML cannot hold: rename the file.")
        height, width = found.size_hw
        size = f' width="{width}" height="{height}"' if min(found.size_hw) > 0 else ""
        yield f'  <image id="{position}" name={quoteattr(name)}{size}>\n'
        words = names_of(labels, image_id, len(found))
        for corners, score, word in zip(found.boxes_xyxy, json_values.short(found.scores), words, strict=True):
            if _NOT_XML.search(word):
                raise InputError(f"The class name {word!r} has letters that XML cannot hold: rename the class.")
            box = " ".join(
                f'{corner}="{value!r}"' for corner, value in zip(_CORNERS, json_values.short(corners), strict=True)
            )
            yield (
                f'    <box label={quoteattr(word)} source="auto" occluded="0" {box} z_order="0">\n'
                f'      <attribute name="score">{score!r}</attribute>\n    </box>\n'
            )
        yield "  </image>\n"
    yield "</annotations>\n"


FORMAT = Format(
    name="cvat",
    title="CVAT for images 1.1",
    suffixes=(".xml",),
    holds=Capabilities(names=FileNames.NAME, sizes=True, empty=True),
    consumers="CVAT (upload annotations), Datumaro",
    signatures=(Signature(Content.OTHER, check=_has_outer_element),),
    parse=parse,
    write=write,
    write_labelled=write,
    reactions={
        Fault.UNKNOWN_IMAGE: Reaction("CVAT", "refuses the file: no frame of the task has that name"),
        Fault.NO_SIZE: Reaction("CVAT", "expects width and height of every image"),
        Fault.NO_AREA: Reaction("CVAT", "may refuse or drop a rectangle without area"),
        Fault.OUTSIDE: Reaction("CVAT", "clips or drops what lies outside the frame", breaks=False),
    },
)
