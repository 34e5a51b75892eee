"""Who is who: which image of a data set is meant by the id and the name that another file gives it.

Every reader and every command asks here. The evidence, strongest first: the path, the file name, the file name
in another spelling (Unicode form, percent signs, letter case, suffix, the marks that annotation tools add), the id.
Names outweigh ids, since ids may be running numbers of somebody's own. What stays doubtful is said, in one
sentence, and never guessed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from objectness.image_spelling import (
    ANY_STEM_LEVEL,
    FORMS,
    LAST_NUMBER,
    LONGEST_NUMBER,
    Form,
    any_stem,
    common_folders,
    final_name,
    folders_of,
    is_running,
    number_of,
    other_split,
    plain_path,
    stem_of,
)
from objectness.proposal_set import ImageId


@dataclass(frozen=True)
class Named:
    """What a file says about one image.

    Attributes:
        image_id: A whole number or text; None where it says none.
        name: Path, name or address of the image file; None where it says none.
    """

    image_id: ImageId | None = None
    name: str | None = None

    @property
    def label(self) -> str:
        """What to call it in a message."""
        return self.name if self.name is not None else f"image {self.image_id}"


@dataclass(frozen=True)
class Match:
    """Who is who.

    Attributes:
        places: For each image that was asked for its position in the index; None for a stranger.
        way: What decided: "name", "id", or "stem" and "number" where an id is not the data set's but its file's
            stem, or the number in it.
        doubt: Why it cannot be decided, as a sentence; then every place is None.
        is_double: The doubt is that two images are for one.
    """

    places: tuple[int | None, ...]
    way: str = "name"
    doubt: str | None = None
    is_double: bool = False


class ImageIndex:
    """The images of a data set, to be found by name and by id.

    Args:
        images: Each with its path and its own id: COCO's number or text, the stem of a VOC or YOLO image.
    """

    def __init__(self, images: Iterable[Named]) -> None:
        self._images = tuple(images)
        self._paths = [plain_path(image.name or "") for image in self._images]
        self._indexes: dict[Form, Mapping[str, list[int]]] = {}

    def named(self, name: str) -> tuple[int, ...]:
        """Positions of the images that may be called ``name``: one where it is clear, none for a stranger."""
        return self._named(name)[0]

    def each(self, names: Sequence[str | None]) -> tuple[tuple[int, ...], ...]:
        """``named`` for many: where several are for one image, only those that spell it best keep it."""
        found = [self._named(name) if name else ((), 0) for name in names]
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

    def match(self, asked: Sequence[Named]) -> Match:
        """Find every image that a file speaks of; each image of the data set is found once at most."""
        if not any(one.name for one in asked):
            return self._match_ids(asked)
        found = self.each([one.name for one in asked])
        if not any(found):
            if all(one.name is not None and _is_made_of_id(one) for one in asked):
                return self._match_ids([Named(one.image_id) for one in asked])
            return self._match_renamed(asked)
        sure = {position: places[0] for position, places in enumerate(found) if len(places) == 1}
        if doubt := self._ids_for_names(asked, sure):
            return _doubtful(asked, doubt)
        is_trusted = self._ids_agree(asked, sure)
        for position, (one, places) in enumerate(zip(asked, found, strict=True)):
            if position in sure or (one.name is not None and not places):
                continue
            chosen = self.with_id(one.image_id) if one.image_id is not None and is_trusted else ()
            if places:
                chosen = tuple(place for place in chosen if place in places)
            if len(chosen) != 1:
                return _doubtful(asked, self._unclear(one, places))
            sure[position] = chosen[0]
        return self._each_once(asked, sure)

    # By name

    def _named(self, name: str) -> tuple[tuple[int, ...], int]:
        """The places, and how far the spelling had to be bent to find them."""
        path = plain_path(name)
        for level, (asked, own) in enumerate(FORMS):
            found = self._called(asked(path), own, path)
            if found:
                nearest = self._nearest(path, found)
                others = self._nearer(path, nearest) if level < ANY_STEM_LEVEL else ()
                return (*nearest, *others), max(level, 1)
        return (), len(FORMS)

    def _called(self, key: str, own: Form, path: str) -> tuple[int, ...]:
        """Images of which ``own`` makes this key, but for those of another split than the path's."""
        if own not in self._indexes:
            index: dict[str, list[int]] = defaultdict(list)
            for position, known in enumerate(self._paths):
                index[own(known)].append(position)
            self._indexes[own] = index
        same = self._indexes[own].get(key) if key else None
        if same is None:
            return ()
        return tuple(place for place in same if not other_split(path, self._paths[place]))

    def _nearer(self, path: str, found: tuple[int, ...]) -> tuple[int, ...]:
        """Images of a name that is spelled less well, but in a folder that fits better: they may be meant as well."""
        alike = [place for place in self._called(any_stem(path), any_stem, path) if place not in found]
        if not alike:
            return ()
        folders = folders_of(path)
        most = max(common_folders(folders, folders_of(self._paths[place])) for place in found)
        return tuple(place for place in alike if common_folders(folders, folders_of(self._paths[place])) > most)

    def _nearest(self, path: str, found: tuple[int, ...]) -> tuple[int, ...]:
        """Of several images of one name those that share most folders with ``path``, from the name upwards."""
        if len(found) == 1:
            return found
        folders = folders_of(path)
        shared = {place: common_folders(folders, folders_of(self._paths[place])) for place in found}
        most = max(shared.values())
        return tuple(place for place in found if shared[place] == most)

    # By id

    @cached_property
    def _by_id(self) -> Mapping[tuple[bool, ImageId], list[int]]:
        index: dict[tuple[bool, ImageId], list[int]] = defaultdict(list)
        for position, image in enumerate(self._images):
            if image.image_id is not None:
                index[(isinstance(image.image_id, str), image.image_id)].append(position)
        return index

    @cached_property
    def _by_number(self) -> Mapping[int, list[int]]:
        index: dict[int, list[int]] = defaultdict(list)
        for position, image in enumerate(self._images):
            number = None if image.image_id is None else number_of(image.image_id)
            if number is not None:
                index[number].append(position)
        return index

    @cached_property
    def _by_last_number(self) -> Mapping[int, list[int]]:
        index: dict[int, list[int]] = defaultdict(list)
        for position, path in enumerate(self._paths):
            digits = LAST_NUMBER.search(stem_of(path))
            if digits and len(digits[1]) <= LONGEST_NUMBER:
                index[int(digits[1])].append(position)
        return index

    def _match_ids(self, asked: Sequence[Named]) -> Match:
        """Without names: all ids must be of one kind, and known."""
        ids = [one.image_id for one in asked]
        if not asked or not self._images:
            return Match((None,) * len(asked))
        ways: Mapping[str, Callable[[ImageId], tuple[int, ...]]] = {
            "id": self.with_id,
            "stem": lambda image_id: self.named(str(image_id)),
            "number": self._with_last_number,
        }
        best: list[int | None] = [None] * len(asked)
        for name, way in ways.items():
            found = [() if image_id is None else way(image_id) for image_id in ids]
            places = [place[0] if len(place) == 1 else None for place in found]
            sure = [place for place in places if place is not None]
            if len(sure) == len(asked):
                if len(set(sure)) < len(sure):
                    return self._each_once(asked, dict(enumerate(sure)))
                if self._may_be_numbered(ids, sure, by_number=name != "id"):
                    return _doubtful(
                        asked,
                        "the ids may be running numbers as well as the numbers in the file names: "
                        "give the file names with the proposals",
                    )
                return Match(tuple(sure), name)
            double = next((at for at, place in enumerate(found) if len(place) > 1), None)
            if double is not None and name == "id":
                return _doubtful(asked, self._unclear(asked[double], found[double]))
            if name == "id":
                best = places
        strangers = [one for one, place in zip(asked, best, strict=True) if place is None]
        if len(strangers) == len(asked):
            return Match((None,) * len(asked))
        if any(self._is_found(one) for one in strangers):
            return _doubtful(asked, f"its ids are of several kinds ({strangers[0].label} is another than the rest)")
        return Match(tuple(best), "id")

    def _is_found(self, one: Named) -> bool:
        """Whether an id that is none of the data set's is a name or a number in it."""
        return one.image_id is not None and bool(self.named(str(one.image_id)) or self._with_last_number(one.image_id))

    def _with_last_number(self, image_id: ImageId) -> tuple[int, ...]:
        number = number_of(image_id)
        return () if number is None else tuple(self._by_last_number.get(number, ()))

    def _may_be_numbered(self, ids: Sequence[ImageId | None], places: Sequence[int], *, by_number: bool) -> bool:
        """Whether numbers that were found in names may be somebody's running numbers of the same files."""
        if not is_running(ids) or not (by_number or all(map(self._is_called_by_id, places))):
            return False
        pairs = sorted(
            (image_id, place) for image_id, place in zip(ids, places, strict=True) if isinstance(image_id, int)
        )
        listed = [self._paths[place] for _, place in pairs]
        return listed != sorted(listed)

    def _is_called_by_id(self, place: int) -> bool:
        """Whether an image's own id is text, and the number that it spells is its file's name: one may be the other."""
        own = self._images[place].image_id
        return isinstance(own, str) and number_of(own) == number_of(stem_of(self._paths[place]))

    def _match_renamed(self, asked: Sequence[Named]) -> Match:
        """No name is known. Ids that are more than running numbers may still be."""
        strangers = Match((None,) * len(asked))
        if any(one.image_id is None for one in asked):
            return strangers
        by_id = self._match_ids([Named(one.image_id) for one in asked])
        if by_id.doubt or None in by_id.places:
            return strangers
        if is_running([one.image_id for one in asked]):
            return _doubtful(
                asked,
                f"none of its file names is known ({asked[0].name} is the first), and its ids may be running numbers: "
                "give the files the names that the data set has, or leave the names out to go by id",
            )
        return by_id

    def _ids_agree(self, asked: Sequence[Named], sure: Mapping[int, int]) -> bool:
        """Whether the ids of the images that names decided lead to the same images; or are no running numbers."""
        if not sure:
            return not is_running([one.image_id for one in asked])
        return all(
            asked[position].image_id is not None and place in self.with_id(asked[position].image_id or 0)
            for position, place in sure.items()
        )

    def _ids_for_names(self, asked: Sequence[Named], sure: Mapping[int, int]) -> str | None:
        """Names that are ids ("7", "7.jpg" of image 7), made up by a format that must have names, prove nothing."""
        for position, one in enumerate(asked):
            if one.name is None or position not in sure:
                return None
            number = number_of(stem_of(plain_path(one.name)))
            if number is None or (one.image_id is not None and number_of(one.image_id) != number):
                return None
            if one.image_id is None and final_name(one.name) != stem_of(one.name):
                return None
        by_id = [self.with_id(number_of(stem_of(plain_path(one.name or ""))) or 0) for one in asked]
        if any(len(places) != 1 for places in by_id):
            return None
        other = next((at for at, places in enumerate(by_id) if places[0] != sure[at]), None)
        if other is None:
            return None
        name, meant = asked[other].name, self._paths[by_id[other][0]]
        return f"{name} may be the file of this name or the image of this id ({meant})"

    # Judging

    def _each_once(self, asked: Sequence[Named], sure: Mapping[int, int]) -> Match:
        """Every image is found once, or there is a doubt."""
        users: dict[int, int] = {}
        for position, place in sorted(sure.items()):
            if place in users:
                labels = f"{_said(asked[users[place]])} and {_said(asked[position])}"
                return _doubtful(
                    asked,
                    f"images {labels} are both for {final_name(self._paths[place])}: keep one of them",
                    is_double=True,
                )
            users[place] = position
        return Match(tuple(sure.get(position) for position in range(len(asked))))

    def _unclear(self, one: Named, places: Sequence[int]) -> str:
        if not places:
            return f"{one.label} has no file name, and ids cannot be trusted here: give it one"
        named = [self._paths[place] for place in places[:2]]
        if named[0] == named[1]:
            return f"{one.label} is listed {len(places)} times in the data set"
        return f"{one.label} may be {named[0]} or {named[1]}: give more of its path"


def _is_made_of_id(one: Named) -> bool:
    """Whether a name is only the id, as formats write it that must have names ("7", "7.jpg")."""
    return one.name is not None and one.image_id is not None and stem_of(one.name) == str(one.image_id)


def _said(one: Named) -> str:
    """Name and id, since one of them may be the same for both of two images."""
    return f"{one.image_id} ({one.name})" if one.name and one.image_id is not None else one.name or str(one.image_id)


def _doubtful(asked: Sequence[Named], doubt: str, *, is_double: bool = False) -> Match:
    return Match((None,) * len(asked), doubt=doubt, is_double=is_double)
