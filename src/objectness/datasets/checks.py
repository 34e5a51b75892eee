"""Counts of a data set, and its problems by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.datasets import box_validity
from objectness.datasets.loading import available_splits, load_dataset
from objectness.datasets.path_lookup import exists
from objectness.datasets.records import LARGE_FROM, SMALL_BELOW, Dataset, Problem, ProblemKind, Record
from objectness.datasets.splits import ALL
from objectness.images.finding import is_image
from objectness.images.sizes import digest, in_threads, read_size

PERCENTILES = (0, 5, 25, 50, 75, 95, 100)


@dataclass(frozen=True)
class CheckReport:
    """Contents of a data set.

    Attributes:
        root: The folder or file.
        layout: Name of its row in ``objectness.datasets.layouts``.
        split: "train", "val", "test" or "all".
        images: Number of images, those that cannot be used included.
        images_without_boxes: How many of them have no box (valid: they teach the background).
        boxes: Number of boxes as annotated, ignore regions and faulty ones included.
        ignored_boxes: How many of them are crowd or ignore regions.
        classes: Class name -> boxes, most frequent first.
        sizes: "small", "medium", "large" -> boxes by annotated area (COCO: 32 and 96 px squared).
        sqrt_area: Percentile -> pixels, side of the square of the box's annotated area.
        aspect_ratio: Percentile -> height / width.
        boxes_per_image: Percentile -> boxes.
        problems: Everything wrong, in the order of ``ProblemKind``.
        notes: Deviations from the files as written (``Dataset.notes``).

    Sizes and ratios are of boxes that are finite, not degenerate and not ignored; without any, None.
    """

    root: str
    layout: str
    split: str
    images: int
    images_without_boxes: int
    boxes: int
    ignored_boxes: int
    classes: Mapping[str, int]
    sizes: Mapping[str, int]
    sqrt_area: Mapping[int, float | None]
    aspect_ratio: Mapping[int, float | None]
    boxes_per_image: Mapping[int, float | None]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    @property
    def problems_by_kind(self) -> dict[str, tuple[Problem, ...]]:
        """The problems of each kind that occurs."""
        grouped = {kind: tuple(p for p in self.problems if p.kind == kind) for kind in ProblemKind}
        return {kind: found for kind, found in grouped.items() if found}

    def to_json(self) -> dict[str, Any]:
        """The report in plain values for ``json.dumps``."""
        document: dict[str, Any] = {**vars(self)}
        for name in ("sqrt_area", "aspect_ratio", "boxes_per_image"):
            document[name] = {f"p{percent}": value for percent, value in document[name].items()}
        document["problem_count"] = len(self.problems)
        document["problems"] = {
            kind: [{"file": problem.file, "box": problem.box, "detail": problem.detail} for problem in found]
            for kind, found in self.problems_by_kind.items()
        }
        return document


@dataclass(frozen=True)
class _Examined:
    """An image file read and decoded: its upright size or its fault, and a digest of its bytes."""

    size_hw: tuple[int, int] | None
    fault: str | None
    digest: bytes | None


def inspect(
    dataset: Dataset,
    tolerance_px: float = box_validity.TOLERANCE_PX,
    on_image: Callable[[], None] = lambda: None,
    *,
    allow_outside: bool = False,
) -> CheckReport:
    """Count a data set and find everything that is wrong with it; every image is read and decoded.

    Args:
        dataset: As ``load_dataset`` gives it. With split "all" the folders are searched for images that are
            not annotated, and images that are in two splits are found (by their bytes).
        tolerance_px: How far a box may stick out of its image without being named.
        on_image: Called after each image (for progress).
        allow_outside: As for ``load_dataset``.
    """
    paths = list(dict.fromkeys(record.path for record in dataset.records))
    examined: dict[Path, _Examined] = {}
    for path, result in zip(paths, in_threads(_examine, paths), strict=True):
        examined[path] = result
        on_image()
    problems = list(dataset.problems)
    if not dataset.records:
        problems.append(Problem(ProblemKind.EMPTY, str(dataset.root), "lists no image that can be read"))
    problems.extend(box_validity.image_problem(path, seen.fault) for path, seen in examined.items() if seen.fault)
    for record in dataset.records:
        real = examined[record.path].size_hw
        mismatch = box_validity.size_problem(record, real) if real else None
        problems.extend([mismatch] if mismatch else [])
        problems.extend(box_validity.box_problems(record, real or record.size_hw, tolerance_px))
        problems.extend(_duplicate_boxes(record))
    problems.extend(_shared_images(examined, _membership(dataset, allow_outside)))
    problems.extend(_not_annotated(dataset, paths))
    problems.sort(key=lambda problem: list(ProblemKind).index(problem.kind))
    return _report(dataset, problems)


def _examine(path: Path) -> _Examined:
    size = read_size(path, decode=True)
    return _Examined(None, size, digest(path)) if isinstance(size, str) else _Examined(size, None, digest(path))


def _duplicate_boxes(record: Record) -> Iterable[Problem]:
    first: dict[tuple[int, bytes], int] = {}
    for index, (class_id, box) in enumerate(zip(record.class_ids.tolist(), record.boxes_xyxy, strict=True), start=1):
        same = first.setdefault((class_id, box.tobytes()), index)
        if same != index:
            yield Problem(ProblemKind.DUPLICATE_BOX, str(record.path), f"same class and corners as box {same}", index)


def _membership(dataset: Dataset, allow_outside: bool) -> dict[Path, tuple[str, ...]]:
    """Image -> its splits, where the whole of a data set with several splits was read."""
    splits = available_splits(dataset.root, allow_outside=allow_outside) if dataset.split == ALL else ()
    members: dict[Path, tuple[str, ...]] = {}
    for split in splits if len(splits) > 1 else ():
        part = load_dataset(dataset.root, split, allow_outside=allow_outside)
        for path in dict.fromkeys(record.path for record in part.records):
            members[path] = (*members.get(path, ()), split)
    return members


def _shared_images(examined: Mapping[Path, _Examined], members: Mapping[Path, tuple[str, ...]]) -> Iterable[Problem]:
    first: dict[bytes, Path] = {}
    for path, seen in examined.items():
        splits = members.get(path, ())
        if len(splits) > 1:
            yield Problem(ProblemKind.LEAK, str(path), f"is in {' and in '.join(splits)}")
        same = first.setdefault(seen.digest, path) if seen.digest else path
        if same != path:
            others = members.get(same, ())
            if splits and others and splits != others:
                where = f"({', '.join(splits)}) has the same bytes as {same} ({', '.join(others)})"
                yield Problem(ProblemKind.LEAK, str(path), where)
            else:
                yield Problem(ProblemKind.DUPLICATE_IMAGE, str(path), f"has the same bytes as {same}")


def _not_annotated(dataset: Dataset, paths: Iterable[Path]) -> Iterable[Problem]:
    if dataset.split != ALL or not dataset.root.is_dir():
        return
    known = set(paths)
    for folder in sorted({path.parent for path in known}):
        for path in sorted(folder.iterdir()) if exists(folder) and folder.is_dir() else ():
            if is_image(path) and path not in known:
                yield Problem(ProblemKind.NO_ANNOTATION, str(path), "lies among the images but no annotation names it")


def _report(dataset: Dataset, problems: Iterable[Problem]) -> CheckReport:
    records = dataset.records
    boxes_xyxy = np.concatenate([np.empty((0, 4), np.float32), *(record.boxes_xyxy for record in records)])
    ignore = np.concatenate([np.empty(0, np.bool_), *(record.ignore for record in records)])
    areas = np.concatenate([np.empty(0, np.float32), *(record.areas for record in records)])
    class_ids = np.concatenate([np.empty(0, np.int64), *(record.class_ids for record in records)])
    faults = box_validity.box_faults(boxes_xyxy, None)
    sound = ~(faults[ProblemKind.NON_FINITE] | faults[ProblemKind.DEGENERATE] | ignore)
    wh = boxes_xyxy[sound, 2:] - boxes_xyxy[sound, :2]
    sound_areas = areas[sound]
    counts = np.array([len(record.boxes_xyxy) for record in records])
    small, large = int((sound_areas < SMALL_BELOW).sum()), int((sound_areas >= LARGE_FROM).sum())
    return CheckReport(
        root=str(dataset.root),
        layout=dataset.layout,
        split=dataset.split,
        images=len(records),
        images_without_boxes=int((counts == 0).sum()),
        boxes=len(boxes_xyxy),
        ignored_boxes=int(ignore.sum()),
        classes=dict(Counter(dataset.class_names[index] for index in class_ids.tolist()).most_common()),
        sizes={"small": small, "medium": len(sound_areas) - small - large, "large": large},
        sqrt_area=_percentiles(np.sqrt(np.clip(sound_areas, 0, None))),
        aspect_ratio=_percentiles(wh[:, 1] / wh[:, 0]),
        boxes_per_image=_percentiles(counts),
        problems=tuple(problems),
        notes=dataset.notes,
    )


def _percentiles(values: NDArray[Any]) -> dict[int, float | None]:
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return dict.fromkeys(PERCENTILES, None)
    found = np.percentile(finite.astype(np.float64), PERCENTILES)
    return {percent: round(float(value), 3) for percent, value in zip(PERCENTILES, found, strict=True)}
