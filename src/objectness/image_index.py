"""Images of a data set by name and by id: which image is meant by the reference of another file.

All readers and commands use this index. The evidence, strongest first: the path, the file name, the file name in
another spelling (Unicode form, percent signs, letter case, suffix, the marks that annotation tools add), the id.
Names outweigh ids, since ids may be running numbers of another tool. A doubt is one sentence, never a guess.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from objectness.image_spelling import (
    LAST_NUMBER,
    LONGEST_NUMBER,
    NameLookup,
    final_name,
    number_of,
    plain_path,
    positions_by,
    stem_of,
)
from objectness.images.finding import real_path
from objectness.proposal_set import ImageId, are_running_numbers


@dataclass(frozen=True)
class IndexedImage:
    """One image of a data set or a folder.

    Attributes:
        image_id: The id to give it: the data set's own where it is COCO, else a running number; None where only a
            folder is known.
        path: Its file.
        size_hw: (height, width) after EXIF orientation; None where it is unknown and the file cannot be read.
        own_id: The id by which files may refer to it: COCO's own, or the stem of a VOC or YOLO image; None where
            only a folder is known.
    """

    image_id: ImageId | None
    path: Path
    size_hw: tuple[int, int] | None = None
    own_id: ImageId | None = None


@dataclass(frozen=True)
class ImageReference:
    """Reference of a file to an image.

    Attributes:
        image_id: A whole number or text; None where the file gives none.
        name: Path, name or address of the image file; None where the file gives none.
    """

    image_id: ImageId | None = None
    name: str | None = None

    @property
    def label(self) -> str:
        """The image in a message."""
        return self.name if self.name is not None else f"image {self.image_id}"


@dataclass(frozen=True)
class Match:
    """Images that references mean.

    Attributes:
        places: For each reference its image's position in the index; None where the image is unknown.
        evidence: "name", "id", or "stem" and "number" where an id is not the data set's but its file's stem, or the
            number in it.
        doubt: Why it cannot be decided, as a sentence; then every place is None.
        is_double: The doubt is that two references mean one image.
    """

    places: tuple[int | None, ...]
    evidence: str = "name"
    doubt: str | None = None
    is_double: bool = False


class _DoubtError(Exception):
    """The reason why images cannot be told apart."""


class _DoubleError(_DoubtError):
    """Two references mean one image."""


@dataclass(frozen=True, eq=False)
class ImageIndex:
    """The images of a data set or a folder, to be found by name and by id.

    Attributes:
        images: In the order of the data set.
        where: The data set or folder, for messages.
        layout: "coco", "voc" or "yolo"; empty for a folder or a list of images.
        is_complete: Files may refer to no other images.
    """

    images: tuple[IndexedImage, ...]
    where: str = "the data set"
    layout: str = ""
    is_complete: bool = False

    @property
    def has_own_ids(self) -> bool:
        """Whether every image goes by the id that the data set itself gives it."""
        return self.layout == "coco" and all(image.image_id == image.own_id for image in self.images)

    def find(self, name: str) -> IndexedImage | None:
        """The image that a file calls ``name``, where there is one and no other may be meant."""
        found = self.named(name)
        return self.images[found[0]] if len(found) == 1 else None

    def size_of(self, name: str) -> tuple[int, int] | None:
        """(height, width) of the image that a file calls ``name``, or None."""
        image = self.find(name)
        return image.size_hw if image else None

    def of_files(self, paths: Sequence[Path]) -> tuple[tuple[int, ...], ...]:
        """Positions for each file: of the same file where it is listed once, else as ``each`` finds its name."""
        by_file = positions_by(real_path(image.path) for image in self.images)
        absolute = [replace(image, path=Path(os.path.abspath(image.path))) for image in self.images]  # noqa: PTH100
        named = replace(self, images=tuple(absolute)).each([os.path.abspath(path) for path in paths])  # noqa: PTH100
        same = [tuple(by_file.get(real_path(path), ())) for path in paths]
        return tuple(own if len(own) == 1 else found for own, found in zip(same, named, strict=True))

    def named(self, name: str) -> tuple[int, ...]:
        """Positions of the images that may be called ``name``: one where it is clear, none if it is unknown."""
        return self._names.find(name)[0]

    def each(self, names: Sequence[str | None]) -> tuple[tuple[int, ...], ...]:
        """``named`` for many: where several are for one image, only those that spell it best keep it."""
        found = [self._names.find(name) if name else ((), 0) for name in names]
        best: dict[int, int] = {}
        for places, level in found:
            if len(places) == 1:
                best[places[0]] = min(level, best.get(places[0], level))
        return tuple(() if len(places) == 1 and level > best[places[0]] else places for places, level in found)

    def with_id(self, image_id: ImageId) -> tuple[int, ...]:
        """Positions of the images of this id: as it is spelled, else as the number that it spells."""
        exact = self._by_id.get((isinstance(image_id, str), image_id))
        number = number_of(image_id)
        return tuple(exact or (self._by_number.get(number) if number is not None else None) or ())

    def match(self, references: Sequence[ImageReference]) -> Match:
        """Find the image of every reference; each image of the data set is found once at most."""
        try:
            return self._match(references)
        except _DoubtError as doubt:
            return Match((None,) * len(references), doubt=str(doubt), is_double=isinstance(doubt, _DoubleError))

    def _match(self, references: Sequence[ImageReference]) -> Match:
        if not any(one.name for one in references):
            return self._match_ids(references)
        found = self.each([one.name for one in references])
        if not any(found):
            if all(one.name is not None and _is_made_of_id(one) for one in references):
                return self._match_ids([ImageReference(one.image_id) for one in references])
            return self._match_renamed(references)
        sure = {position: places[0] for position, places in enumerate(found) if len(places) == 1}
        self._refuse_ids_for_names(references, sure)
        is_trusted = self._ids_agree(references, sure)
        for position, (one, places) in enumerate(zip(references, found, strict=True)):
            if position in sure or (one.name is not None and not places):
                continue
            chosen = self.with_id(one.image_id) if one.image_id is not None and is_trusted else ()
            if places:
                chosen = tuple(place for place in chosen if place in places)
            if len(chosen) != 1:
                raise self._unclear(one, places)
            sure[position] = chosen[0]
        return self._each_once(references, sure)

    @cached_property
    def _paths(self) -> list[str]:
        return [plain_path(str(image.path)) for image in self.images]

    @cached_property
    def _names(self) -> NameLookup:
        return NameLookup(self._paths)

    @cached_property
    def _by_id(self) -> Mapping[tuple[bool, ImageId], list[int]]:
        ids = (image.own_id for image in self.images)
        return positions_by(None if own is None else (isinstance(own, str), own) for own in ids)

    @cached_property
    def _by_number(self) -> Mapping[int, list[int]]:
        return positions_by(None if image.own_id is None else number_of(image.own_id) for image in self.images)

    @cached_property
    def _by_last_number(self) -> Mapping[int, list[int]]:
        found = (LAST_NUMBER.search(stem_of(path)) for path in self._paths)
        return positions_by(int(it[1]) if it and len(it[1]) <= LONGEST_NUMBER else None for it in found)

    def _match_ids(self, references: Sequence[ImageReference]) -> Match:
        """Match by ids alone: all must be of one kind."""
        ids = [one.image_id for one in references]
        if not references or not self.images:
            return Match((None,) * len(references))
        ways: Mapping[str, Callable[[ImageId], tuple[int, ...]]] = {
            "id": self.with_id,
            "stem": lambda image_id: self.named(str(image_id)),
            "number": self._with_last_number,
        }
        best: list[int | None] = [None] * len(references)
        for name, way in ways.items():
            found = [() if image_id is None else way(image_id) for image_id in ids]
            places = [place[0] if len(place) == 1 else None for place in found]
            sure = [place for place in places if place is not None]
            if len(sure) == len(references):
                if len(set(sure)) < len(sure):
                    return self._each_once(references, dict(enumerate(sure)))
                if self._may_be_numbered(ids, sure, by_number=name != "id"):
                    raise _DoubtError(
                        "the ids may be running numbers as well as the numbers in the file names: "
                        "give the file names with the proposals"
                    )
                return Match(tuple(sure), name)
            double = next((at for at, place in enumerate(found) if len(place) > 1), None)
            if double is not None and name == "id":
                raise self._unclear(references[double], found[double])
            if name == "id":
                best = places
        unknown = [one for one, place in zip(references, best, strict=True) if place is None]
        if len(unknown) == len(references):
            return Match((None,) * len(references))
        if any(self._is_found(one) for one in unknown):
            raise _DoubtError(f"its ids are of several kinds ({unknown[0].label} is another than the rest)")
        return Match(tuple(best), "id")

    def _is_found(self, one: ImageReference) -> bool:
        """Whether an id that is none of the data set's is a name or a number in it."""
        return one.image_id is not None and bool(self.named(str(one.image_id)) or self._with_last_number(one.image_id))

    def _with_last_number(self, image_id: ImageId) -> tuple[int, ...]:
        number = number_of(image_id)
        return () if number is None else tuple(self._by_last_number.get(number, ()))

    def _may_be_numbered(self, ids: Sequence[ImageId | None], places: Sequence[int], *, by_number: bool) -> bool:
        """Whether numbers that were found in names may be running numbers of the same files."""
        if not are_running_numbers(ids) or not (by_number or all(map(self._is_called_by_id, places))):
            return False
        pairs = sorted(
            (image_id, place) for image_id, place in zip(ids, places, strict=True) if isinstance(image_id, int)
        )
        listed = [self._paths[place] for _, place in pairs]
        return listed != sorted(listed)

    def _is_called_by_id(self, place: int) -> bool:
        """Whether an image's own id is text, and the number that it spells is its file's name: one may be the other."""
        own = self.images[place].own_id
        return isinstance(own, str) and number_of(own) == number_of(stem_of(self._paths[place]))

    def _match_renamed(self, references: Sequence[ImageReference]) -> Match:
        """Match by ids where no name is known, unless they may be running numbers."""
        ids = [one.image_id for one in references]
        by_id = self.match([ImageReference(image_id) for image_id in ids])
        if None in ids or None in by_id.places:
            return Match((None,) * len(references))
        if are_running_numbers(ids):
            raise _DoubtError(
                f"none of its file names is known ({references[0].name} is the first), and its ids may be running "
                "numbers: give the files the names that the data set has, or leave the names out to go by id"
            )
        return by_id

    def _ids_agree(self, references: Sequence[ImageReference], sure: Mapping[int, int]) -> bool:
        """Whether the ids of the images that names decided lead to the same images; or are no running numbers."""
        if not sure:
            return not are_running_numbers([one.image_id for one in references])
        return all(
            references[position].image_id is not None and place in self.with_id(references[position].image_id or 0)
            for position, place in sure.items()
        )

    def _refuse_ids_for_names(self, references: Sequence[ImageReference], sure: Mapping[int, int]) -> None:
        """Names that are ids ("7", "7.jpg" of image 7), made up by a format that must have names, prove nothing."""
        by_id = []
        for position, one in enumerate(references):
            if one.name is None or position not in sure:
                return
            number = number_of(stem_of(plain_path(one.name)))
            if number is None or (one.image_id is not None and number_of(one.image_id) != number):
                return
            if one.image_id is None and final_name(one.name) != stem_of(one.name):
                return
            by_id.append(self.with_id(number))
        if all(len(places) == 1 for places in by_id):
            for position, (place,) in enumerate(by_id):
                if place != sure[position]:
                    name = references[position].name
                    raise _DoubtError(
                        f"{name} may be the file of this name or the image of this id ({self._paths[place]})"
                    )

    def _each_once(self, references: Sequence[ImageReference], sure: Mapping[int, int]) -> Match:
        """A match in which every image is found once at most."""
        users: dict[int, int] = {}
        for position, place in sorted(sure.items()):
            if place in users:
                labels = f"{_label(references[users[place]])} and {_label(references[position])}"
                raise _DoubleError(f"images {labels} are both for {final_name(self._paths[place])}: keep one of them")
            users[place] = position
        return Match(tuple(sure.get(position) for position in range(len(references))))

    def _unclear(self, one: ImageReference, places: Sequence[int]) -> _DoubtError:
        if not places:
            return _DoubtError(f"{one.label} has no file name, and ids cannot be trusted here: give it one")
        first, second = (self._paths[place] for place in places[:2])
        if first == second:
            return _DoubtError(f"{one.label} is listed {len(places)} times in the data set")
        return _DoubtError(f"{one.label} may be {first} or {second}: give more of its path")


def _is_made_of_id(one: ImageReference) -> bool:
    """Whether a name is only the id, as formats write it that must have names ("7", "7.jpg")."""
    return one.name is not None and one.image_id is not None and stem_of(one.name) == str(one.image_id)


def _label(one: ImageReference) -> str:
    """Name and id, since one of them may be the same for both of two images."""
    return f"{one.image_id} ({one.name})" if one.name and one.image_id is not None else one.name or str(one.image_id)
