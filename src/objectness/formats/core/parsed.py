"""Contents of a proposals file as they stand, and the step from there to a ``ProposalSet``.

Every reader makes a ``ParsedFile``: images and boxes in the order of the file, with all their faults.
``to_proposal_set`` refuses the faults and sorts; ``objectness.formats.validation`` names them instead. N proposals of
one image.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.boxes import are_fractions
from objectness.errors import InputError
from objectness.formats.core.classes import FileClass
from objectness.proposal_set import ImageId, ProposalSet
from objectness.proposals import Proposals

_LARGEST = 1e38  # of float32
COLUMNS = 10
"""Numbers of a proposal while its file is being read."""


@dataclass(frozen=True, eq=False)
class ParsedImage:
    """One image of a file.

    Attributes:
        image_id: As the file says; None where it says none.
        name: The image file as the file calls it, or None.
        size_hw: (height, width), or None.
        boxes_xyxy: ``float64 (N, 4)``: right and bottom exclusive, pixels; maybe not finite, maybe swapped.
        scores: ``float64 (N,)``; NaN where the file gives none.
        scored: ``bool (N,)``: which proposals have a score in the file (a NaN, say).
        logits: ``float64 (N,)`` or None.
        levels: ``int64 (N,)`` or None.
        numbers: ``int64 (N,)``: number of the entry (line, row ...) in the file, from 1.
        classes: ``int64 (N,)`` positions in ``ParsedFile.classes``; -1 for a box without a class.
    """

    image_id: ImageId | None
    name: str | None
    size_hw: tuple[int, int] | None
    boxes_xyxy: NDArray[np.float64]
    scores: NDArray[np.float64]
    scored: NDArray[np.bool_]
    logits: NDArray[np.float64] | None
    levels: NDArray[np.int64] | None
    numbers: NDArray[np.int64]
    classes: NDArray[np.int64]

    @property
    def label(self) -> str:
        """The image in a message."""
        label = self.name if self.name is not None else str(self.image_id)
        return label if len(label) <= 300 else f"{label[:300]}..."


@dataclass(frozen=True, eq=False)
class ParsedFile:
    """A whole file.

    Attributes:
        images: In the file's order.
        unit: What ``numbers`` count: "entry", "line", "row", "proposal" ...
        metadata: Free text of the file about itself.
        notes: What was left out or made up, in sentences.
        classes: Those that the file declares, and those of its boxes.
        class_notes: What is left out where classes are not wanted, in sentences.
    """

    images: tuple[ParsedImage, ...]
    unit: str = "proposal"
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    classes: tuple[FileClass, ...] = ()
    class_notes: tuple[str, ...] = ()


@dataclass
class ImageBuilder:
    """One image while its file is being read; boxes are added one by one or as arrays."""

    image_id: ImageId | None = None
    name: str | None = None
    size_hw: tuple[int, int] | None = None
    rows: array[float] = field(default_factory=lambda: array("d"))

    def add(
        self,
        box_xyxy: Sequence[float],
        score: float | None,
        number: int,
        logit: float | None = None,
        level: float | None = None,
        class_number: int = -1,
    ) -> None:
        """Add one proposal; its class is a number that ``FileBuilder.class_number`` gave."""
        nan = float("nan")
        self.rows.extend(
            (
                *box_xyxy,
                nan if score is None else score,
                score is not None,
                nan if logit is None else logit,
                nan if level is None else level,
                number,
                class_number,
            )
        )

    def extend(
        self,
        boxes_xyxy: NDArray[Any],
        scores: NDArray[Any] | None,
        *,
        logits: NDArray[Any] | None = None,
        levels: NDArray[Any] | None = None,
        classes: NDArray[np.int64] | None = None,
    ) -> None:
        """Add N proposals, ``(N, 4)`` and ``(N,)``; they are numbered from 1 within the image."""
        count = len(boxes_xyxy)
        table = np.full((count, COLUMNS), np.nan)
        table[:, :4] = boxes_xyxy
        table[:, 5] = scores is not None
        for column, values in ((4, scores), (6, logits), (7, levels)):
            if values is not None:
                table[:, column] = values
        table[:, 8] = np.arange(1, count + 1)
        table[:, 9] = -1 if classes is None else classes
        self.rows.frombytes(table.tobytes())

    def finish(self) -> ParsedImage:
        """Put the rows into arrays."""
        table = np.frombuffer(self.rows, dtype=np.float64).reshape(-1, COLUMNS) if self.rows else np.empty((0, COLUMNS))
        return parsed_image(self.image_id, self.name, self.size_hw, table)


def parsed_image(
    image_id: ImageId | None, name: str | None, size_hw: tuple[int, int] | None, table: NDArray[np.float64]
) -> ParsedImage:
    """Name the columns of a ``(N, COLUMNS)`` table: box, score, whether scored, logit, level, number, class."""
    logits, levels = table[:, 6], table[:, 7]
    return ParsedImage(
        image_id=image_id,
        name=name,
        size_hw=size_hw,
        boxes_xyxy=table[:, :4],
        scores=table[:, 4],
        scored=table[:, 5] > 0,
        logits=logits if len(table) and (np.abs(logits) < _LARGEST).all() else None,
        levels=levels.astype(np.int64) if len(table) and (np.abs(levels) < 2**31).all() else None,
        numbers=table[:, 8].astype(np.int64),
        classes=table[:, 9].astype(np.int64),
    )


class FileBuilder:
    """The images of one file while it is being read, each once, in the order of their first entries.

    Args:
        path: The file, where its images may turn up more than once; for messages.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._images: dict[Hashable, ImageBuilder] = {}
        self._classes: dict[FileClass, int] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._images

    def __len__(self) -> int:
        return len(self._images)

    def image(
        self,
        key: Hashable,
        image_id: ImageId | None = None,
        name: str | None = None,
        size_hw: tuple[int, int] | None = None,
    ) -> ImageBuilder:
        """The image of a key, made at its first entry.

        Raises:
            InputError: it had another name before.
        """
        image = self._images.get(key)
        if image is None:
            image = self._images[key] = ImageBuilder(image_id, name, size_hw)
        elif name and image.name and name != image.name:
            raise InputError(
                f"{self._path or 'The file'}: image {image_id} is called {image.name} and {name}: "
                "give each image an id of its own."
            )
        image.name = image.name or name
        return image

    def class_number(
        self, name: str | None = None, category_id: ImageId | None = None, position: int | None = None
    ) -> int:
        """Number of a class, the same each time; -1 where nothing is known of it. See ``FileClass``."""
        if name is None and category_id is None and position is None:
            return -1
        return self._classes.setdefault(FileClass(name, category_id, position), len(self._classes))

    def finish(
        self,
        unit: str,
        metadata: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
        class_notes: Sequence[str] = (),
    ) -> ParsedFile:
        """The whole file."""
        images = tuple(image.finish() for image in self._images.values())
        return ParsedFile(images, unit, metadata or {}, tuple(notes), tuple(self._classes), tuple(class_notes))


def to_proposal_set(path: Path | str, raw: ParsedFile, *, repair: bool = False) -> ProposalSet:
    """Check every box and score, sort each image's proposals best first, and give the images their ids.

    Equal scores keep the order of the file. Where a file has no scores, the order stands for them: 1 for the
    first, falling evenly to above 0. Where it has no ids, images are numbered from 1.

    Args:
        path: For messages.
        raw: As read.
        repair: Drop proposals that cannot be used, and say so in ``notes``, instead of refusing the file.

    Raises:
        InputError: a box or a score that is not finite, or a box whose corners are swapped; images that cannot
            be told apart.
    """
    raw = replace(raw, notes=(*raw.notes, *raw.class_notes))
    raw, ids, numbered, notes = prepared(path, raw, repair=repair)
    images: dict[ImageId, Proposals] = {}
    logits: dict[ImageId, NDArray[np.float32]] = {}
    levels: dict[ImageId, NDArray[np.int64]] = {}
    for image_id, image in zip(ids, raw.images, strict=True):
        order = best_first(image)
        images[image_id] = Proposals(
            image.boxes_xyxy[order].astype(np.float32),
            image.scores[order].astype(np.float32),
            image.size_hw or (0, 0),
            image.name,
        )
        if image.logits is not None:
            logits[image_id] = image.logits[order].astype(np.float32)
        if image.levels is not None:
            levels[image_id] = image.levels[order]
    return ProposalSet(images, logits, levels, raw.metadata, numbered, notes)


def prepared(
    path: Path | str, raw: ParsedFile, *, repair: bool
) -> tuple[ParsedFile, list[ImageId], bool, tuple[str, ...]]:
    """The file with sound boxes and scores alone, ids of its images, whether they are made up, and notes.

    Raises:
        InputError: as :func:`to_proposal_set`.
    """
    notes = list(raw.notes)
    if repair:
        raw, sentence = _without_faults(raw)
        notes.extend(sentence)
    else:
        _refuse_faults(path, raw)
    if in_fractions(raw):
        notes.append(
            "every box lies between 0 and 1, as a fraction of its image, and was taken for pixels all the same"
        )
    raw, sentence = _with_scores(path, raw)
    ids, numbered = _ids(path, raw.images)
    return raw, ids, numbered, (*notes, *sentence)


def best_first(image: ParsedImage) -> NDArray[np.intp]:
    """The order by score; equal scores keep that of the file, or of their logits."""
    # Logits differ where the sigmoid has made scores equal.
    return np.lexsort((-(image.scores if image.logits is None else image.logits), -image.scores))


def in_fractions(raw: ParsedFile) -> bool:
    """Whether all boxes are fractions of their images, where pixels are due (and an image has more than two)."""
    tiny = any(image.size_hw is not None and max(image.size_hw) <= 2 for image in raw.images)
    return not tiny and are_fractions(image.boxes_xyxy for image in raw.images)


def unusable(image: ParsedImage) -> dict[str, NDArray[np.bool_]]:
    """Unusable proposals: fault -> ``bool (N,)``; a proposal may have two."""
    with np.errstate(invalid="ignore"):
        finite = np.all(np.abs(image.boxes_xyxy) < _LARGEST, axis=1)
        swapped = finite & np.any(image.boxes_xyxy[:, 2:] < image.boxes_xyxy[:, :2], axis=1)
        bad_score = image.scored & ~(np.abs(image.scores) < _LARGEST)
    return {"box": ~finite, "swapped": swapped, "score": bad_score}


def describe(image: ParsedImage, index: int, fault: str) -> str:
    """The fault of one proposal in words; reads on after its number."""
    corners = ", ".join(f"{value:.6g}" for value in image.boxes_xyxy[index])
    match fault:
        case "box":
            return f"has the box [{corners}], which is not made of finite numbers"
        case "swapped":
            return f"has the box [{corners}] with a negative side: its corners are swapped"
        case _:
            return f"has the score {image.scores[index]:g}, which is not a finite number"


def _refuse_faults(path: Path | str, raw: ParsedFile) -> None:
    for image in raw.images:
        for fault, mask in unusable(image).items():
            if mask.any():
                index = int(np.argmax(mask))
                which = f"{raw.unit} {image.numbers[index]} of image {image.label}"
                raise InputError(
                    f"{path}: {which} {describe(image, index, fault)}; "
                    "`objectness validate` names all such, and `objectness convert` can leave them out.",
                    arguments=("repair",),
                )


def _without_faults(raw: ParsedFile) -> tuple[ParsedFile, tuple[str, ...]]:
    images, dropped = [], 0
    for image in raw.images:
        bad = np.any(list(unusable(image).values()), axis=0)
        dropped += int(bad.sum())
        images.append(_chosen(image, ~bad) if bad.any() else image)
    said = (f"left out {dropped} proposals that have no finite box and score or swapped corners",) if dropped else ()
    return replace(raw, images=tuple(images)), said


def _chosen(image: ParsedImage, keep: NDArray[np.bool_]) -> ParsedImage:
    return replace(
        image,
        boxes_xyxy=image.boxes_xyxy[keep],
        scores=image.scores[keep],
        scored=image.scored[keep],
        logits=None if image.logits is None else image.logits[keep],
        levels=None if image.levels is None else image.levels[keep],
        numbers=image.numbers[keep],
        classes=image.classes[keep],
    )


def _with_scores(path: Path | str, raw: ParsedFile) -> tuple[ParsedFile, tuple[str, ...]]:
    total = sum(len(image.scored) for image in raw.images)
    scored = sum(int(image.scored.sum()) for image in raw.images)
    if scored == total:
        return raw, ()
    if scored:
        image = next(image for image in raw.images if not image.scored.all())
        number = image.numbers[int(np.argmin(image.scored))]
        raise InputError(
            f"{path}: {raw.unit} {number} of image {image.label} has no score, but others have: "
            "give all of them one, or none."
        )
    images = tuple(
        replace(image, scores=1 - np.arange(n) / max(n, 1)) for image in raw.images for n in [len(image.scores)]
    )
    return replace(raw, images=images), ("the file has no scores: its order stands for them",)


def _ids(path: Path | str, images: Sequence[ParsedImage]) -> tuple[list[ImageId], bool]:
    given = [image.image_id for image in images]
    if all(image_id is None for image_id in given):
        return list(range(1, len(images) + 1)), bool(images)
    if any(image_id is None for image_id in given):
        label = next(image.label for image in images if image.image_id is None)
        raise InputError(
            f"{path}: image {label} has no id, but others have: a data set that has all images gives the ids.",
            arguments=("data",),
        )
    ids = [image_id for image_id in given if image_id is not None]
    spelled = [str(image_id) for image_id in ids]  # 1 and "1" are one image to most readers
    if len(set(spelled)) < len(spelled):
        double = next(text for text, count in Counter(spelled).items() if count > 1)
        raise InputError(f"{path}: image {double} is there twice: keep one of them.")
    return ids, False
