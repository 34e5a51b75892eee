"""Plan of ``objectness propose``: the photographs, their ids, and where each picture goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from objectness.errors import InputError

_LONGEST_STEM_BYTES = 210  # file systems take names of 255


@dataclass(frozen=True)
class Task:
    """One photograph and where its results go.

    Attributes:
        photo: Its file.
        image_id: In the results.
        picture: Where it is drawn; None where no pictures are wanted.
        geojson: Where its boxes go in its coordinate system, if it has one; None where no folder is wanted.
    """

    photo: Path
    image_id: int | str
    picture: Path | None
    geojson: Path | None


@dataclass(frozen=True)
class Numbered:
    """Image ids of photographs.

    Attributes:
        image_ids: In the order of the photographs.
        failed: Those that the ground truth does not hold, with the reason.
    """

    image_ids: Mapping[Path, int | str]
    failed: Mapping[Path, str]


def number(photos: Sequence[Path], data: Path | None, *, allow_outside: bool) -> Numbered:
    """An image id for each photograph: counted from 1, or that of the ground truth ``data``.

    Raises:
        InputError: The ground truth holds none of them, or two of them under one id.
    """
    if data is None:
        return Numbered({photo: position for position, photo in enumerate(photos, start=1)}, {})
    from objectness.formats.core.image_lookup import index_images, require_own_ids

    image_index = index_images(data, allow_outside=allow_outside)
    assert image_index is not None
    require_own_ids(image_index)
    image_ids: dict[Path, int | str] = {}
    failed: dict[Path, str] = {}
    for photo, places in zip(photos, image_index.of_files(photos), strict=True):
        image_id = image_index.images[places[0]].image_id if len(places) == 1 else None
        if image_id is None:
            reason = f"{len(places)} images have this name" if places else "no image has this name"
            failed[photo] = f"{photo}: in the ground truth {data} {reason}; left out."
        else:
            image_ids[photo] = image_id
    _require_one_each(image_ids, len(photos), data)
    return Numbered(image_ids, failed)


def _require_one_each(image_ids: Mapping[Path, int | str], photos: int, data: Path) -> None:
    if not image_ids:
        raise InputError(f"None of the {photos} photographs is in the ground truth {data}; check --data.")
    twice = next((i for i, count in Counter(image_ids.values()).items() if count > 1), None)
    if twice is not None:
        same = [str(photo) for photo, image_id in image_ids.items() if image_id == twice]
        raise InputError(f"{same[0]} and {same[1]} both have the image id {twice} in {data}; name one split.")


def plan(image_ids: Mapping[Path, int | str], out: Path | None, *, pictures: bool) -> list[Task]:
    """Give every photograph files of its own in ``out``: never another's, and never a photograph."""
    from objectness.images.finding import real_path

    if out is None:
        return [Task(photo, image_id, None, None) for photo, image_id in image_ids.items()]
    taken = {real_path(photo).casefold() for photo in image_ids}
    tasks = []
    for photo, image_id in image_ids.items():
        picture = _free_name(photo, out, taken)
        tasks.append(Task(photo, image_id, picture if pictures else None, picture.with_suffix(".geojson")))
    return tasks


def _free_name(photo: Path, out: Path, taken: set[str]) -> Path:
    """A name for a picture that nobody has, which is then taken."""
    from objectness.images.finding import DRAWN_SUFFIX, real_path

    suffix = ".png" if photo.suffix.lower() == ".png" else ".jpg"
    position = 1
    while True:
        more = "" if position == 1 else f"_{position}"
        picture = out / f"{_shortened(photo.stem)}{more}{DRAWN_SUFFIX}{suffix}"
        key = real_path(picture).casefold()
        if key not in taken:
            taken.add(key)
            return picture
        position += 1


def _shortened(stem: str) -> str:
    """A name that leaves room for what comes behind it."""
    while len(stem.encode("utf-8", "surrogatepass")) > _LONGEST_STEM_BYTES:
        stem = stem[:-1]
    return stem
