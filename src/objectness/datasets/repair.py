"""Repair of ground truth for training, with a sentence for each kind of repair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from objectness import boxes
from objectness.datasets import box_validity
from objectness.datasets.layouts import layout_named
from objectness.datasets.records import Dataset, Problem, ProblemKind, Record
from objectness.errors import InputError
from objectness.images.sizes import read_sizes

_NAMED = 3

# One sentence a kind; the number of cases and the first files follow.
_SENTENCES = {
    ProblemKind.MISSING_IMAGE: "left out images that are missing",
    ProblemKind.UNREADABLE_IMAGE: "left out images that cannot be read",
    ProblemKind.UNREADABLE_ANNOTATION: "left out annotation files that cannot be read",
    ProblemKind.MALFORMED: "left out malformed annotations",
    ProblemKind.UNKNOWN_IMAGE: "left out annotations of images that are not listed",
    ProblemKind.UNKNOWN_CLASS: "kept boxes of a class without a name (proposals need none)",
    ProblemKind.NON_FINITE: "dropped boxes that are not made of finite numbers",
    ProblemKind.DEGENERATE: f"dropped boxes that are at most {box_validity.SMALLEST_SIDE_PX:g} px wide or high",
    ProblemKind.OUTSIDE: "dropped boxes that lie outside their image",
    ProblemKind.STICKS_OUT: (
        f"clipped boxes that stuck out of their image by more than {box_validity.TOLERANCE_PX:g} px"
    ),
    ProblemKind.DUPLICATE_ID: "left out images whose id is taken",
    ProblemKind.DUPLICATE_NAME: "kept images that are annotated twice",
    ProblemKind.SIZE_DIFFERS: "took the file's size where the annotation says another (boxes stay as they are)",
}


def repair(dataset: Dataset, strict: bool = False, *, decode: bool = False) -> tuple[Dataset, tuple[str, ...]]:
    """Make every record safe to train on.

    Images that are missing or whose header cannot be read are dropped with their boxes. Boxes are clipped to
    the image; those that are not finite, or not more than 1 px wide and high after clipping, are dropped (the
    rules are in ``objectness.datasets.box_validity``). Images without boxes stay: they are valid. Sizes are real.

    Args:
        dataset: As read.
        strict: Refuse instead: a data set that would need any repair is an error.
        decode: Decode every image, not only its header: a truncated file is found now and not in mid-training.

    Returns:
        The data set, whose every record has its size and only finite boxes within it, and one sentence for
        each kind of repair with the number of cases and the first few names, after the data set's own notes.
        Boxes that stick out by 1 px or less (rounding) are clipped without a sentence.

    Raises:
        InputError: with ``strict`` anything at all was wrong; otherwise, no image is left, or every box is a
            fraction of its image.
    """
    refuse_fractions(dataset)
    records: list[Record] = []
    problems = list(dataset.problems)
    sizes = read_sizes([record.path for record in dataset.records], decode=decode)
    for record, size in zip(dataset.records, sizes, strict=True):
        if isinstance(size, str):
            problems.append(box_validity.image_problem(record.path, size))
            continue
        mismatch = box_validity.size_problem(record, size)
        problems.extend([mismatch] if mismatch else [])
        problems.extend(box_validity.box_problems(record, size))
        records.append(_repaired(record, size))
    if strict and problems:
        rest = f" and {len(problems) - 1} more problems" if len(problems) > 1 else ""
        raise InputError(
            f"{dataset.root} is not clean: {problems[0]}{rest}; `objectness check {dataset.root}` "
            "names them all, and unless training is strict they are repaired."
        )
    if dataset.records and not records:
        raise InputError(f"{dataset.root} has no image that can be used: {problems[0]}.")
    return replace(dataset, records=tuple(records), problems=(), notes=()), (*dataset.notes, *_sentences(problems))


def without_endless_boxes(dataset: Dataset) -> tuple[Dataset, str | None]:
    """Leave out boxes that are not made of finite numbers: no proposal can find them, so they are no missed objects.

    Returns:
        The data set, otherwise as read, and a sentence with the number of boxes left out, if any.
    """
    finite = [np.all(np.isfinite(record.boxes_xyxy), axis=1) for record in dataset.records]
    count = sum(int((~mask).sum()) for mask in finite)
    if not count:
        return dataset, None
    records = tuple(record.keep(mask) for record, mask in zip(dataset.records, finite, strict=True))
    images = sum(not mask.all() for mask in finite)
    sentence = (
        f"{dataset.root}: left out {count} boxes of {images} images that are not made of finite numbers; they count "
        "neither as found nor as missed."
    )
    return replace(dataset, records=records), sentence


def refuse_fractions(dataset: Dataset) -> None:
    """Refuse ground truth in pixels whose boxes are fractions of their images.

    Raises:
        InputError: every box lies between 0 and 1, although the layout has pixels and the images are larger.
    """
    sizes = [record.size_hw for record in dataset.records if record.size_hw is not None]
    if layout_named(dataset.layout).in_fractions or any(max(size) <= 2 for size in sizes):
        return
    if boxes.are_fractions(record.boxes_xyxy for record in dataset.records):
        raise InputError(
            f"{dataset.root}: every box lies between 0 and 1, as a fraction of its image: pixels are due, so multiply "
            "x by the image's width and y by its height."
        )


def unreachable_boxes(dataset: Dataset) -> str | None:
    """A sentence about objects that no proposal can find: without width or height, or outside of their image."""
    flat = outside = 0
    for record in dataset.records:
        counted = record.boxes_xyxy[~record.ignore]
        extended = np.all(counted[:, 2:] > counted[:, :2], axis=1)
        flat += int((~extended).sum())
        if record.size_hw is not None:
            inside = boxes.clip(counted[extended], record.size_hw)
            outside += int((~np.all(inside[:, 2:] > inside[:, :2], axis=1)).sum())
    what = [
        f"{count} {words}"
        for count, words in (
            (flat, "have no width or height, or swapped corners"),
            (outside, "lie outside of their image"),
        )
        if count
    ]
    if not what:
        return None
    return (
        f"{dataset.root}: of the objects {' and '.join(what)}: no proposal can find them, and they count as missed "
        "(objectness check names them)."
    )


def _repaired(record: Record, size_hw: tuple[int, int]) -> Record:
    faults = box_validity.box_faults(record.boxes_xyxy, size_hw)
    keep = ~(faults[ProblemKind.NON_FINITE] | faults[ProblemKind.DEGENERATE] | faults[ProblemKind.OUTSIDE])
    kept = record.keep(keep)
    clipped = boxes.clip(kept.boxes_xyxy, size_hw)
    own, annotated = boxes.area(clipped), kept.areas
    # The annotated area is the mask's, which is never larger than its box: a cut box may have to cut it too.
    whole = (clipped == kept.boxes_xyxy).all(axis=1) & np.isfinite(annotated) & (annotated > 0)
    areas = np.where(whole, annotated, np.fmin(own, np.where(annotated > 0, annotated, own))).astype(np.float32)
    return replace(kept, size_hw=size_hw, boxes_xyxy=clipped, areas=areas)


def _sentences(problems: Sequence[Problem]) -> tuple[str, ...]:
    sentences = []
    for kind in ProblemKind:
        cases = [problem for problem in problems if problem.kind == kind]
        if cases:
            names = list(dict.fromkeys(problem.file for problem in cases))
            more = f" and {len(names) - _NAMED} more files" if len(names) > _NAMED else ""
            sentences.append(f"{_SENTENCES[kind]}: {len(cases)} ({', '.join(names[:_NAMED])}{more}).")
    return tuple(sentences)
