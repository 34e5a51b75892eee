"""Evaluate detectors on a data set: one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, cast

from objectness import formats
from objectness.arguments import is_number
from objectness.datasets import Dataset
from objectness.detections import Detections
from objectness.errors import InputError
from objectness.evaluation.baselines import is_baseline
from objectness.evaluation.bootstrap import DRAWS
from objectness.evaluation.detection.bound import closest_proposals, upper_bound
from objectness.evaluation.detection.comparison import DetectionComparison
from objectness.evaluation.detection.figures import DRAWS_AT_ONCE, figures
from objectness.evaluation.detection.matches import match
from objectness.evaluation.detection.mistakes import mistakes
from objectness.evaluation.detection.report import unique_class_names
from objectness.evaluation.detection.results import NamedResult, NamedResults
from objectness.evaluation.ground_truth import name_of, read_ground_truth, title
from objectness.evaluation.methods import Selection, is_proposals_file, read_file, unique_names, with_ids_of
from objectness.evaluation.reporter import Reporter
from objectness.evaluation.run_methods import Progress, run
from objectness.formats.core.classes import FileClass, KnownClasses, find_classes
from objectness.formats.core.image_lookup import index_records
from objectness.formats.core.sniffing import existing_path, file_head
from objectness.formats.registry import format_named, guess_source_format
from objectness.inference.detector import Detector
from objectness.inference.detector_loading import load_detector
from objectness.proposals import Proposals

DetectionMethod = str | PathLike[str] | Detector | Callable[[Any], Detections] | Mapping[Any, Detections]
"""Name of a file of detections or of a trained detector; a loaded one; a function of ``uint8 (H, W, 3)`` RGB pixels; or
image id -> detections."""


def evaluate_detections(
    data: str | PathLike[str] | Dataset,
    methods: DetectionMethod | Sequence[DetectionMethod] | Mapping[str, DetectionMethod],
    *,
    split: str | None = None,
    source_format: str | None = None,
    score: float | None = None,
    proposals: str | PathLike[str] | Mapping[Any, Proposals] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    allow_outside: bool = False,
    reporter: Reporter | None = None,
) -> DetectionComparison:
    """Measure mean average precision of named boxes by COCO's and VOC's rules, and where objects are lost.

    Images without detections count. Boxes of classes that the data set does not have are left out.

    Args:
        data: Ground truth: a COCO, Pascal VOC or YOLO folder or file, or a ``Dataset``.
        methods: One method, a list, or name -> method. A method is a file of detections in a format that holds classes,
            a trained detector (a checkpoint or run folder), a ``Detector``, a function from ``uint8 (H, W, 3)`` RGB
            pixels to ``Detections``, or a ``DetectionSet``.
        split: "train", "val", "test" or "all"; None for val, else test, else all.
        source_format: Format of files where it cannot be guessed.
        score: From which on a detection counts for confusion and missed objects; None for the score whose F1 is
            highest. Average precision is of all detections.
        proposals: A proposals file or image id -> proposals, that the detections were made of: what they allow, and
            the objects that they miss, are told apart from what the classifier loses.
        draws: Draws of the bootstrap behind the 95 % intervals.
        seed: Seed of the bootstrap.
        allow_outside: File names in the data set may lead out of its folder.
        reporter: Hears notes, warnings and progress.

    Returns:
        The figures: ``evaluate_detections("DATA", "found.json").precision["found"].ap``.

    Raises:
        InputError: data or a method that cannot be read; detections for other images; boxes without classes.
    """
    reporter = reporter or Reporter()
    if score is not None and not is_number(score, 0, 1):
        raise InputError(f"The score from which on detections count is a number from 0 to 1, not {score}.")
    if source_format is not None:
        format_named(source_format)
    dataset = read_ground_truth(data, split, allow_outside, reporter)
    opened, words, failed = _open(_named(methods), dataset, source_format, reporter)
    proposed = None if proposals is None else _proposals(proposals, dataset, reporter)
    names: tuple[str, ...] = ()
    measured = []
    for name, found in opened.items():
        matches = match(found, dataset.records, dataset.class_names)
        names = unique_class_names(dataset.class_names, matches.flat.classes)
        best = None if proposed is None else closest_proposals(matches, proposed, dataset.records)
        with reporter.progress(f"Intervals of {name}", -(-draws // DRAWS_AT_ONCE)) as advance:
            drawn = figures(matches, names, draws, seed, advance)
        measured.append(
            NamedResult(
                name,
                found,
                matches,
                drawn,
                mistakes(matches, found, dataset.records, dataset.class_names, score, best),
                None if best is None else upper_bound(matches, best),
            )
        )
    results = NamedResults(title(dataset), dataset.records, names, tuple(measured), draws)
    return DetectionComparison(results, name_of(data), dataset.split, words, failed)


def _named(
    methods: DetectionMethod | Sequence[DetectionMethod] | Mapping[str, DetectionMethod],
) -> dict[str, DetectionMethod]:
    if isinstance(methods, Mapping) and not any(isinstance(one, Detections) for one in methods.values()):
        found = {str(name): cast("DetectionMethod", method) for name, method in methods.items()}
    else:
        several = cast("list[DetectionMethod]", list(methods) if isinstance(methods, (list, tuple)) else [methods])
        found = dict(zip(unique_names([_word(one) for one in several]), several, strict=True))
    if not found:
        raise InputError("There is nothing to measure: name a file of detections.")
    given: list[object] = list(found.values())
    for method in given:
        if not (isinstance(method, (str, os.PathLike, Mapping)) or callable(method)):
            kind = type(method).__name__
            raise InputError(f"A detector is a file, a function or detections by image id, not a {kind}.")
    return found


def _word(method: DetectionMethod) -> str:
    if isinstance(method, (str, os.PathLike)):
        return os.fspath(method)
    if isinstance(method, Mapping):
        return "detections"
    return str(getattr(method, "__name__", type(method).__name__.lower()))


def _open(
    methods: Mapping[str, DetectionMethod], dataset: Dataset, source_format: str | None, reporter: Reporter
) -> tuple[dict[str, Mapping[int, Detections]], dict[str, str], dict[str, str]]:
    """Detections of each method under the ids of the records, the methods in words, and files that failed."""
    found: dict[str, Mapping[int, Detections]] = {}
    proposing: dict[str, Callable[[Any], Any]] = {}
    for name, method in methods.items():
        if isinstance(method, Mapping):
            found[name] = with_ids_of(method, dataset.records)
        elif isinstance(method, (str, os.PathLike)):
            word = os.fspath(method)
            if is_proposals_file(word, source_format):
                found[name] = _read(word, dataset, source_format, reporter)
            else:
                proposing[name] = _load(word)
        else:
            proposing[name] = method
    failed: dict[str, str] = {}
    if proposing:
        done = {name: Progress() for name in proposing}
        with reporter.progress("Detecting", len(dataset)) as advance:
            by_file = [name for name, method in proposing.items() if isinstance(method, Detector)]
            run(proposing, dataset.records, done, failed, read_ahead=True, on_image=advance, by_file=by_file)
        found |= {name: cast("Mapping[int, Detections]", progress.proposals) for name, progress in done.items()}
        if failed and len(failed) == len(dataset):
            raise InputError(f"None of the {len(dataset)} images could be used: {next(iter(failed.values()))}")
        for file, error in failed.items():
            reporter.warn(f"{file}: {error}")
    for name, method in methods.items():
        if isinstance(method, Mapping) or name in proposing:
            _check_classes(name, found[name], dataset, reporter)
    return {name: found[name] for name in methods}, {name: _word(one) for name, one in methods.items()}, failed


def _load(word: str) -> Detector:
    if is_baseline(word):
        raise InputError(f"{word} proposes boxes, and names nothing: give detections or a trained detector.")
    return load_detector(word)


def _check_classes(name: str, found: Mapping[int, Detections], dataset: Dataset, reporter: Reporter) -> None:
    """Say which classes of the boxes the data set does not have.

    Raises:
        InputError: it has none of them.
    """
    used = dict.fromkeys(word for one in found.values() for word in one.names)
    listed = [FileClass(word) for word in used]
    _, notes = find_classes(name, listed, KnownClasses.of(dataset, str(dataset.root)))
    for sentence in notes:
        reporter.warn(f"{name}: {sentence}.")


def _read(word: str, dataset: Dataset, source_format: str | None, reporter: Reporter) -> Mapping[int, Detections]:
    reporter.note(f"Reading {word}.")
    path = existing_path(word)
    source = format_named(source_format) if source_format else guess_source_format(path)
    if source.name == "coco" and not file_head(path).mentions(b'"score"'):
        raise InputError(f"{word} is ground truth, without scores: give the results file, not the annotations.")
    found = formats.read_detections(
        path,
        source.name,
        image_index=index_records(dataset.records),
        classes=KnownClasses.of(dataset, str(dataset.root)),
    )
    for sentence in found.notes:
        reporter.warn(f"{word}: {sentence}.")
    used = {name for one in found.values() for name in one.names}
    if len(used) == 1 and len(dataset.class_names) > 1 and source.name == "coco-results":
        # Class-agnostic files have a category too.
        reporter.warn(f"{word}: every box is of the class {used.pop()}. If these are proposals, measure their recall.")
    missing = sum(not len(found.get(record.image_id, ())) for record in dataset.records)
    if missing:
        reporter.note(f"{word}: {missing} of {len(dataset)} images have no detections: their objects count as missed.")
    return cast("Mapping[int, Detections]", found)


def _proposals(
    given: str | PathLike[str] | Mapping[Any, Proposals], dataset: Dataset, reporter: Reporter
) -> Mapping[int, Proposals]:
    if isinstance(given, Mapping):
        return with_ids_of(given, dataset.records)
    return read_file(str(Path(given)), dataset.records, Selection(), reporter)
