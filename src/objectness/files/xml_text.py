"""XML from untrusted sources: parsed without document types, whose entities can unfold into gigabytes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree


class XmlError(Exception):
    """XML that is not read: the reason reads on after the file's name."""


_DEEPEST = 200
_PIECE = 1 << 18


class _NoDoctype(ElementTree.TreeBuilder):
    depth = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> ElementTree.Element:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise XmlError(f"is nested more than {_DEEPEST} elements deep")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ElementTree.Element:
        self.depth -= 1
        return super().end(tag)

    def doctype(self, name: str, pubid: str, system: str) -> None:
        raise XmlError("has a DOCTYPE, which is refused because it may unfold without bound: delete that line")


def parse_xml(content: bytes) -> ElementTree.Element:
    """The outer element of an XML document.

    Raises:
        XmlError: it is not well-formed, has a document type, or is nested deeper than anything that is read here.
    """
    try:
        parser = ElementTree.XMLParser(target=_NoDoctype())
        for start in range(
            0, max(len(content), 1), _PIECE
        ):  # after what is refused the parser goes on to the piece's end
            parser.feed(content[start : start + _PIECE])
        root: ElementTree.Element = parser.close()
        return root
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the latter two: encodings
        raise XmlError(f"is not well-formed XML ({error})") from None
    except MemoryError:
        raise XmlError("does not fit into memory") from None
