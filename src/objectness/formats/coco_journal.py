"""COCO results written while they are found: the file is whole after every image, whatever ends the program."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from objectness.boxes import xyxy_to_xywh
from objectness.detections import Detections
from objectness.errors import InputError
from objectness.files.atomic_write import refuse_input, unwritable
from objectness.files.json_values import load
from objectness.proposals import Proposals, images_path

_END = b"\n]\n"


class Journal:
    """Results and their table of images on their way into ``path``.

    Until :meth:`place` they are in ``proposals.partial.json`` and ``proposals.partial.images.json`` beside it (or
    ``proposals.partial-2.json``, as nothing is replaced), where a killed program leaves them.

    Args:
        path: Where they go in the end; its folder is made where it is missing.

    Raises:
        InputError: the place cannot be written to.

    Attributes:
        partial: Where the results are meanwhile.
        images: How many images they hold.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.images = 0
        refuse_input(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir() or images_path(path).is_dir():
                raise InputError(f"{path} cannot be written: a folder has this name; name another place.")
            self._results, self._table = self._open()
        except OSError as error:
            raise unwritable(path, error) from None

    def _open(self) -> tuple[_List, _List]:
        number = 1
        while True:
            more = "" if number == 1 else f"-{number}"
            self.partial = self._path.with_name(f"{self._path.stem}.partial{more}{self._path.suffix}")
            table = images_path(self.partial)
            if not os.path.lexists(table):
                with suppress(FileExistsError):
                    return _List(self.partial), _List(table)
            number += 1

    def add(
        self, image_id: int | str, found: Proposals | Detections, category_ids: Sequence[int] | None = None
    ) -> None:
        """Write the boxes of one more image, with the category of each where they are given.

        Raises:
            InputError: a box or a score that is not finite, or a disk that is full; what was there before stays.
        """
        lines = list(entry_lines(image_id, found, category_ids))
        ends = self._results.end, self._table.end
        try:
            self._results.add(lines)
            self._table.add([json.dumps(image_row(image_id, found))])
        except BaseException as error:  # half an image is none
            self._results.end, self._table.end = ends
            if isinstance(error, OSError):
                raise unwritable(self._path, error) from None
            raise
        self.images += 1

    def place(self, *, stopped: bool) -> Path | None:
        """Give the files their names.

        Args:
            stopped: Whether the run did not come to its end: then it does not replace results for more images, and
                keeps its partial name.

        Returns:
            Where the results are; None where there are none, and an older file stays.
        """
        self._results.close()
        self._table.close()
        table = images_path(self.partial)
        if not self.images:
            for file in (self.partial, table):
                file.unlink(missing_ok=True)
            return None
        if stopped and count_images(self._path) > self.images:
            return self.partial
        try:
            self.partial.replace(self._path)
            table.replace(images_path(self._path))
        except OSError as error:
            raise unwritable(self._path, error) from None
        return self._path


def is_partial(name: str) -> bool:
    """Whether a file name is that of results on their way, as :class:`Journal` gives it."""
    return re.search(r"\.partial(-\d+)?\.[^.]+$", name) is not None


def count_images(path: Path) -> int:
    """For how many images a results file is, by the table beside it or by its entries; 0 where there is none."""
    try:
        if images_path(path).is_file():
            return len(load(images_path(path)))
        if path.is_file():
            return len({entry["image_id"] for entry in load(path)})
    except (InputError, TypeError, KeyError):
        return 1  # a file of another tool
    return 0


def entry_lines(
    image_id: int | str, found: Proposals | Detections, category_ids: Sequence[int] | None = None
) -> Iterator[str]:
    """The entries of one image, a line each.

    Args:
        image_id: The image's.
        found: Its boxes.
        category_ids: The category of each; 1 for all without.

    Raises:
        InputError: a box or a score that is not finite.
    """
    written = json.dumps(image_id if isinstance(image_id, str) else int(image_id))
    usable = np.isfinite(found.boxes_xyxy).all(axis=1) & np.isfinite(found.scores)
    if not usable.all():
        raise InputError(
            f"Image {image_id}: proposal {int(np.argmin(usable)) + 1} has a box or a score that is not a "
            "finite number; nothing was written."
        )
    # Corners are rounded before the width is taken, so that the far corner is right to 0.005 too.
    boxes = np.round(xyxy_to_xywh(np.round(found.boxes_xyxy.astype(np.float64), 2)), 2)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 0)
    categories = [1] * len(found) if category_ids is None else category_ids
    for box, score, category in zip(boxes.tolist(), found.scores.tolist(), categories, strict=True):
        yield f'{{"image_id": {written}, "category_id": {category}, "bbox": {box}, "score": {score:.6g}}}'


def category_rows(names: Sequence[str], category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """The classes in their table."""
    return [{"id": key, "name": name} for name, key in zip(names, category_ids, strict=True)]


def image_row(image_id: int | str, found: Proposals | Detections) -> dict[str, Any]:
    """One image in the table."""
    height, width = found.size_hw
    whole = image_id if isinstance(image_id, str) else int(image_id)
    return {"id": whole, "file_name": found.source, "width": width, "height": height}


class _List:
    """A JSON list that is whole after each addition.

    Attributes:
        end: Where the next entry goes; bytes behind it are cut off when the file is closed.
    """

    def __init__(self, path: Path) -> None:
        self._file: FileIO = path.open("xb", buffering=0)
        self.end = 0
        self._append(b"[")

    def add(self, lines: Iterable[str]) -> None:
        """Write entries, a line each."""
        if text := ",\n".join(lines):
            self._append(f"{',' if self.end > 1 else ''}\n{text}".encode())

    def close(self) -> None:
        """Cut off an unfinished entry: there is room for the end where an old end was."""
        with suppress(OSError):
            self._put(_END)
            self._file.truncate(self.end + len(_END))
        self._file.close()

    def _append(self, content: bytes) -> None:
        self._put(content + _END)
        self.end += len(content)

    def _put(self, content: bytes) -> None:
        self._file.seek(self.end)
        while content:
            content = content[self._file.write(content) :]
