"""Spellings of ids and file names of images by different tools, and lookup by any of them.

A path of a data set and the name that another file gives it are compared form by form, the closest first: as they
stand, in one Unicode form, without percent signs, in any letter case, without suffix, without the marks of annotation
tools, as a number.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from objectness.images.finding import PHOTO_SUFFIXES
from objectness.proposal_set import ImageId

K = TypeVar("K", bound=Hashable)

LONGEST_NUMBER = 40  # digits of an id
_WHOLE = re.compile(r"[+-]?\d+(\.0+)?", re.ASCII)
LAST_NUMBER = re.compile(r"(\d+)\D*$", re.ASCII)
_SCHEME = re.compile(r"(?:^|/)([a-z][a-z0-9+.-]+):/{1,3}", re.IGNORECASE)  # two letters or more: no drive
_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")  # Label Studio, before the name of an upload
_ROBOFLOW = re.compile(r"(.+)[_-](?:jpe?g|png|bmp|tiff?|webp|gif)\.rf\.[0-9A-Za-z]{8,40}", re.IGNORECASE)
_SPLIT = re.compile(r"(train|training|trainval|val|valid|validation|minival|dev|test|testing)[-_]?\d*", re.IGNORECASE)
_SPLITS = {
    **dict.fromkeys(("training", "trainval"), "train"),
    **dict.fromkeys(("valid", "validation", "minival", "dev"), "val"),
    "testing": "test",
}


def number_of(image_id: ImageId) -> int | None:
    """The whole number that an id is or spells: "2", "2.0" (of tables with gaps), "000012"; None for other text."""
    if isinstance(image_id, int):
        return image_id
    text = image_id.strip()
    if not _WHOLE.fullmatch(text) or len(text) > LONGEST_NUMBER:
        return None
    return int(text.split(".")[0])


def plain_id(image_id: ImageId) -> ImageId:
    """An id so that all spellings of one number are alike: "000012", "12.0" and 12 are 12; other text as it stands."""
    number = number_of(image_id)
    return image_id if number is None else number


def plain_path(name: str) -> str:
    """A path with slashes out of a path of any system or an address."""
    text = name.replace("\\", "/")
    scheme = _SCHEME.search(text)
    if scheme:  # also behind a folder that a reader put before it, which makes one slash of two
        host = "/" if scheme[1].lower() == "file" else ""
        text = f"{scheme[1]}://{host}{text[scheme.end() :]}"
    if scheme or text.startswith("/data/"):
        text = _of_address(text)
    parts = [part for part in text.split("/") if part not in ("", ".")]
    return ("/" if text.startswith("/") else "") + "/".join(parts)


def _of_address(address: str) -> str:
    if address.startswith("/data/upload/"):
        return unquote(address.partition("?")[0])
    try:
        parts = urlsplit(address)
        asked = parse_qs(parts.query).get("d")
    except ValueError:
        return address
    if asked and parts.path.endswith("local-files/"):
        return asked[0].replace("\\", "/")
    return unquote(parts.path).replace("\\", "/") if parts.scheme else address


def final_name(path: str) -> str:
    """The file name without folders."""
    return path.rsplit("/", 1)[-1]


def stem_of(path: str) -> str:
    """The file name without an image's suffix: "a.v2" is a whole name."""
    name = final_name(path)
    start, dot, suffix = name.rpartition(".")
    return start if dot and start and f".{suffix.lower()}" in PHOTO_SUFFIXES else name


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _name(path: str) -> str:
    return _composed(final_name(path))


def _unquoted(path: str) -> str:
    return _composed(final_name(unquote(path).replace("\\", "/")).strip())


def _any_case(path: str) -> str:
    return _unquoted(path).casefold()


def _plain_stem(path: str) -> str:
    return _composed(stem_of(path))


def any_stem(path: str) -> str:
    """The stem without percent signs, in one letter case."""
    return stem_of(_unquoted(path)).casefold()


def _without_marks(path: str) -> str:
    """The stem without the marks of Label Studio (before it) and Roboflow (behind it)."""
    stem = _UPLOADED.sub("", any_stem(path), count=1)
    exported = _ROBOFLOW.fullmatch(stem)
    return exported[1] if exported else stem


def _number_name(path: str) -> str:
    stem = stem_of(path)
    return str(int(stem)) if stem.isascii() and stem.isdecimal() and len(stem) <= LONGEST_NUMBER else ""


Form = Callable[[str], str]
# Spellings of a name in a file and of a path in the data set, the closest first: a name means the paths for which both
# give the same.
FORMS: tuple[tuple[Form, Form], ...] = (
    (lambda path: path, lambda path: path),
    (final_name, final_name),
    (_name, _name),
    (_unquoted, _name),
    (_name, _unquoted),
    (_unquoted, _unquoted),
    (_any_case, _any_case),
    (_plain_stem, _plain_stem),
    (any_stem, any_stem),
    (_without_marks, any_stem),
    (any_stem, _without_marks),
    (_without_marks, _without_marks),
    (_number_name, _number_name),
)
_ANY_STEM_LEVEL = 8


def folders_of(path: str) -> tuple[str, ...]:
    """The folders of a path, from the name upwards."""
    return _folders(path.rpartition("/")[0])


@lru_cache(maxsize=4096)  # many images lie in few folders
def _folders(folder: str) -> tuple[str, ...]:
    return tuple(_any_case(part) for part in folder.split("/")[::-1]) if folder else ()


def common_folders(one: Sequence[str], other: Sequence[str]) -> int:
    """Number of folders that two paths share, from the name upwards."""
    return next(
        (depth for depth, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def other_split(one: str, other: str) -> bool:
    """Whether two paths are alike but for the name of a split: "images/train/0.jpg" and "images/val/0.jpg"."""
    return _other_split(one.rpartition("/")[0], other.rpartition("/")[0])


@lru_cache(maxsize=4096)
def _other_split(one: str, other: str) -> bool:
    a, b = one.split("/"), other.split("/")
    first, second = _split(a[-1]), _split(b[-1])
    if first is None or second is None or first == second:
        return False
    return len(a) == 1 or len(b) == 1 or a[-2] == b[-2]


def _split(folder: str) -> str | None:
    found = _SPLIT.fullmatch(folder)
    return _SPLITS.get(found[1].lower(), found[1].lower()) if found else None


class NameLookup:
    """Paths to be found by name.

    Args:
        paths: As ``plain_path`` gives them.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._indexes: dict[Form, Mapping[str, list[int]]] = {}

    def find(self, name: str) -> tuple[tuple[int, ...], int]:
        """Positions of the paths that may be meant by a name, and how far its spelling had to be bent."""
        path = plain_path(name)
        for level, (of_name, of_path) in enumerate(FORMS):
            found = self._spelled(of_name(path), of_path, path)
            if found:
                nearest = self._nearest(path, found)
                others = self._nearer(path, nearest) if level < _ANY_STEM_LEVEL else ()
                return (*nearest, *others), max(level, 1)
        return (), len(FORMS)

    def _spelled(self, key: str, form: Form, path: str) -> tuple[int, ...]:
        """Paths that have this key in a form, without those of another split than ``path``'s."""
        if form not in self._indexes:
            self._indexes[form] = positions_by(map(form, self._paths))
        same = self._indexes[form].get(key, ()) if key else ()
        return tuple(place for place in same if not other_split(path, self._paths[place]))

    def _nearer(self, path: str, found: tuple[int, ...]) -> tuple[int, ...]:
        """Paths of a name that is spelled less well, but in a folder that fits better: they may be meant as well."""
        alike = [place for place in self._spelled(any_stem(path), any_stem, path) if place not in found]
        if not alike:
            return ()
        most = max(self._shared(path, place) for place in found)
        return tuple(place for place in alike if self._shared(path, place) > most)

    def _nearest(self, path: str, found: tuple[int, ...]) -> tuple[int, ...]:
        """Paths of one name that share most folders with ``path``, from the name upwards."""
        if len(found) == 1:
            return found
        shared = {place: self._shared(path, place) for place in found}
        most = max(shared.values())
        return tuple(place for place in found if shared[place] == most)

    def _shared(self, path: str, place: int) -> int:
        return common_folders(folders_of(path), folders_of(self._paths[place]))


def positions_by(keys: Iterable[K | None]) -> dict[K, list[int]]:
    """Key -> its positions, without None."""
    index: dict[K, list[int]] = defaultdict(list)
    for position, key in enumerate(keys):
        if key is not None:
            index[key].append(position)
    return dict(index)
