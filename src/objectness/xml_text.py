"""XML from strangers: parsed without document types, whose entities can unfold into gigabytes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree


class XmlError(Exception):
    """XML that is not read: the reason reads on after the file's name."""


class _NoDoctype(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str, system: str) -> None:
        raise XmlError("has a DOCTYPE, which is refused because it may unfold without bound: delete that line")


def parse_xml(content: bytes) -> ElementTree.Element:
    """The outer element of an XML document.

    Raises:
        XmlError: it is not well-formed, or has a document type.
    """
    try:
        return ElementTree.fromstring(content, ElementTree.XMLParser(target=_NoDoctype()))
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the latter two: encodings
        raise XmlError(f"is not well-formed XML ({error})") from None
