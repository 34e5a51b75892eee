"""CVAT for images 1.1: one XML file, one ``<box>`` a proposal, the score as an attribute of the box.

The label "object" of the CVAT task must have an attribute ``score`` (text or number), or CVAT refuses the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from objectness.atomic_write import replacing
from objectness.errors import InputError
from objectness.formats import json_text
from objectness.formats.description import Format, Holds, Kind, Rule
from objectness.formats.known import KnownImages, finished
from objectness.formats.naming import short_names
from objectness.formats.peek import Peek, present
from objectness.formats.raw import Parts, RawFile
from objectness.proposal_set import ProposalSet, as_set
from objectness.proposals import Proposals
from objectness.xml_text import XmlError, parse_xml

_CORNERS = ("xtl", "ytl", "xbr", "ybr")
# What no XML 1.0 document may hold, not even as &#1;.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read(path: Path | str, known: KnownImages | None = None) -> ProposalSet:
    """Read the boxes of every image; labels are dropped, rotated boxes and other shapes are left out.

    Raises:
        InputError: the file is no such XML, or has a document type; a box in it is malformed.
    """
    return finished(path, parse(present(path), known), known)


def parse(path: Path, known: KnownImages | None = None) -> RawFile:
    """Read a file as it stands."""
    try:
        root = parse_xml(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except XmlError as error:
        raise InputError(f"{path} {error}.") from None
    if root.tag != "annotations":
        raise InputError(f"{path} is no CVAT file: its outer element is <{root.tag[:40]}>, not <annotations>.")
    parts = Parts()
    left_out: dict[str, int] = {}
    for position, image in enumerate(root.findall("image"), start=1):
        name = image.get("name") or None
        size = json_text.size_hw({side: _number(image.get(side)) for side in ("width", "height")})
        part = parts.part(position, None, name, size)
        for number, element in enumerate(image, start=1):
            if element.tag != "box" or _number(element.get("rotation")):
                what = "rotated boxes" if element.tag == "box" else f"shapes <{element.tag[:20]}>"
                left_out[what] = left_out.get(what, 0) + 1
                continue
            corners = json_text.numbers([_number(element.get(corner)) for corner in _CORNERS], 4)
            if corners is None:
                raise InputError(f"{path}: shape {number} of image {name} has no {', '.join(_CORNERS)} as numbers.")
            said = {attribute.get("name"): attribute.text for attribute in element.findall("attribute")}
            part.add(corners, _number(said.get("score", said.get("confidence"))), number)
    if root.find("track") is not None:
        left_out["tracks"] = len(root.findall("track"))
    return parts.finish("shape", notes=[f"left out {count} {what}" for what, count in left_out.items()])


def write(path: Path | str, proposals: Mapping[Any, Proposals]) -> None:
    """Write the XML; images are numbered from 0 as CVAT does, and called by file name.

    Raises:
        InputError: two images have one name, or a name that XML cannot hold; the place cannot be written to.
    """
    with replacing(Path(path)) as file:
        file.writelines(_lines(as_set(proposals)))


def recognise(peek: Peek) -> bool:
    """XML whose outer element is ``<annotations>``."""
    return b"<annotations" in peek.head[:4096]


def _lines(proposals: ProposalSet) -> Iterator[str]:
    names = short_names(proposals)
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    for position, (image_id, found) in enumerate(proposals.items()):
        name = names[image_id]
        if _NOT_XML.search(name):
            raise InputError(f"The file name {name!r} has letters that XML cannot hold: rename the file.")
        height, width = found.size_hw
        size = f' width="{width}" height="{height}"' if min(found.size_hw) > 0 else ""
        yield f'  <image id="{position}" name={quoteattr(name)}{size}>\n'
        for corners, score in zip(found.boxes_xyxy, json_text.short(found.scores), strict=True):
            box = " ".join(
                f'{corner}="{value!r}"' for corner, value in zip(_CORNERS, json_text.short(corners), strict=True)
            )
            yield (
                f'    <box label="object" source="auto" occluded="0" {box} z_order="0">\n'
                f'      <attribute name="score">{score!r}</attribute>\n    </box>\n'
            )
        yield "  </image>\n"
    yield "</annotations>\n"


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


FORMAT = Format(
    name="cvat",
    title="CVAT for images 1.1",
    suffixes=(".xml",),
    holds=Holds(names="name", sizes=True, empty=True),
    consumers="CVAT (upload annotations), Datumaro",
    recognise=recognise,
    parse=parse,
    write=write,
    rules={
        Kind.UNKNOWN_IMAGE: Rule("CVAT", "refuses the file: no frame of the task has that name"),
        Kind.NO_SIZE: Rule("CVAT", "expects width and height of every image"),
        Kind.NO_AREA: Rule("CVAT", "may refuse or drop a rectangle without area"),
        Kind.OUTSIDE: Rule("CVAT", "clips or drops what lies outside the frame", breaks=False),
    },
)
