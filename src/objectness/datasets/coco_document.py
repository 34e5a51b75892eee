"""The one parser of COCO JSON, for ground truth and for proposals alike.

It reads ids, names, sizes and boxes by one rule; whether a faulty entry is passed over with a ``Problem`` (ground
truth) or refuses the file (proposals) is for the reader to decide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from objectness.datasets.outlines import Box, around_points
from objectness.errors import InputError
from objectness.files.json_values import image_id, load, number, numbers, shown, size_hw, text
from objectness.image_spelling import number_of
from objectness.proposal_set import ImageId


class CocoImage(NamedTuple):
    """One entry of ``images``: number from 1, id, file name, (height, width); None where there is no usable one."""

    number: int
    image_id: ImageId | None
    file_name: str | None
    size_hw: tuple[int, int] | None
    entry: Mapping[str, Any]


class CocoAnnotation(NamedTuple):
    """One entry of ``annotations``.

    Attributes:
        number: Of the entry, from 1.
        image_id: Id of the listed image; None where no listed image has the annotation's ``image_id``.
        category_id: None where it is missing or no id.
        box_xyxy: Corners in pixels; None where there is neither ``bbox`` nor an outline.
        is_outlined: The annotation has no ``bbox``: ``box_xyxy`` is the box around its polygons.
        entry: The object; empty where the entry is none.
    """

    number: int
    image_id: ImageId | None
    category_id: ImageId | None
    box_xyxy: Box | None
    is_outlined: bool
    entry: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Number and id, for messages."""
        return f"annotation {self.number}" + (f" (id {shown(self.entry['id'])})" if "id" in self.entry else "")


@dataclass(frozen=True)
class CocoDocument:
    """A parsed file that has the lists ``images`` and ``annotations``."""

    content: Mapping[str, Any]

    def images(self) -> Iterator[CocoImage]:
        """The images in order."""
        for position, listed in enumerate(self.content["images"], start=1):
            entry = listed if isinstance(listed, dict) else {}
            yield CocoImage(position, image_id(entry.get("id")), _file_name(entry), size_hw(entry), entry)

    def annotations(self, listed: Collection[ImageId]) -> Iterator[CocoAnnotation]:
        """The annotations in order.

        Args:
            listed: Ids of the images that annotations may name, exactly or as another spelling of the same number.
        """
        numbered = {spelled: same[0] for spelled, same in by_number(listed).items() if len(same) == 1}
        for position, given in enumerate(self.content["annotations"], start=1):
            entry = given if isinstance(given, dict) else {}
            image = image_id(entry.get("image_id"))
            if image is not None and image not in listed:
                image = numbered.get(spelled) if (spelled := number_of(image)) is not None else None
            box = numbers(entry.get("bbox"), 4)
            corners = (box[0], box[1], box[0] + box[2], box[1] + box[3]) if box else None
            outline = None if box else _around_polygons(entry)
            category = image_id(entry.get("category_id"))
            yield CocoAnnotation(position, image, category, corners or outline, outline is not None, entry)

    def categories(self) -> list[tuple[ImageId, str]]:
        """Id and name of each category that has a usable id."""
        listed = self.content.get("categories")
        return [
            (key, str(entry.get("name", f"class {key}")))
            for entry in (listed if isinstance(listed, list) else [])
            if isinstance(entry, dict) and (key := image_id(entry.get("id"))) is not None
        ]


def parse_coco(path: Path) -> CocoDocument:
    """Parse one file.

    Raises:
        InputError: it cannot be read, is no JSON, or has no list ``images`` or ``annotations``.
    """
    content = load(path)
    if isinstance(content, list):
        raise InputError(
            f"{path} holds a list, as COCO results (proposals) do: a COCO data set is an object with 'images' and "
            "'annotations'."
        )
    given = content if isinstance(content, dict) else {}
    missing = [repr(key) for key in ("images", "annotations") if not isinstance(given.get(key), list)]
    if missing:
        raise InputError(f"{path} is no COCO data set: it has no list {' and no list '.join(missing)}.")
    return CocoDocument(given)


def by_number(ids: Iterable[ImageId]) -> dict[int, list[ImageId]]:
    """Ids grouped by the whole number that they are or spell: 7 and "7" are one; other text is left out."""
    found: dict[int, list[ImageId]] = defaultdict(list)
    for key in ids:
        if (spelled := number_of(key)) is not None:
            found[spelled].append(key)
    return found


def _file_name(entry: Mapping[str, Any]) -> str | None:
    """The file's name; LVIS gives only the address that it came from."""
    address = text(entry.get("coco_url"))
    return text(entry.get("file_name")) or (PurePosixPath(address).name if address else None)


def _around_polygons(entry: Mapping[str, Any]) -> Box | None:
    """The box around the polygons of an annotation without ``bbox``; None for masks, which would have to be drawn."""
    polygons = entry.get("segmentation")
    if entry.get("bbox") or not isinstance(polygons, list) or not polygons:
        return None
    points: list[tuple[float, float]] = []
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            return None
        for x, y in zip(polygon[::2], polygon[1::2], strict=True):
            across, down = number(x), number(y)
            if across is None or down is None:
                return None
            points.append((across, down))
    return around_points(points)
