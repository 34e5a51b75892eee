"""Evaluate methods on a data set, and compare them in recall and time: one call each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np

from objectness.datasets import Dataset, Record
from objectness.errors import InputError
from objectness.evaluation.comparison import Comparison
from objectness.evaluation.ground_truth import limited, name_of, read_ground_truth, title
from objectness.evaluation.measurement import DEFAULT_KS, measure
from objectness.evaluation.methods import Method, Methods, Selection, named, open_all
from objectness.evaluation.progress_cache import ProgressCache, digest, identity
from objectness.evaluation.proposals_needed import RECALLS
from objectness.evaluation.reporter import Reporter
from objectness.evaluation.results import MethodResult, Options, Results
from objectness.evaluation.run_methods import run
from objectness.formats.registry import format_named
from objectness.proposals import Proposals

USUAL = ("default", "selective-search", "sliding-window", "uniform")
_SHOWN_FAILURES = 10


def evaluate(
    data: str | PathLike[str] | Dataset,
    methods: Method | Sequence[Method] | Mapping[str, Method],
    *,
    split: str | None = None,
    source_format: str | None = None,
    top: int | None = None,
    nms: float | None = None,
    score: float = 0.0,
    size: int | None = None,
    thorough: bool = False,
    ks: Sequence[int] = DEFAULT_KS,
    at: int | None = None,
    recalls: Sequence[float] = RECALLS,
    seen: Sequence[str] = (),
    draws: int = Options.draws,
    seed: int = 0,
    allow_outside: bool = False,
    reporter: Reporter | None = None,
) -> Comparison:
    """Measure the average recall of proposals (COCO's definition, all classes as one).

    A photograph that cannot be read does not end the evaluation: it is listed in ``failed``, and its objects count as
    missed. Images without proposals count.

    Args:
        data: Ground truth: a COCO, Pascal VOC or YOLO folder or file, or a ``Dataset``.
        methods: One method, a list, or name -> method. A method is a proposals file, a model file, a run folder, the
            word "default" or a baseline ("uniform", "sliding-window", "selective-search", "edge-boxes:MODEL"); or a
            ``Proposer``, a function from ``uint8 (H, W, 3)`` RGB pixels to ``Proposals``, or a ``ProposalSet``.
        split: "train", "val", "test" or "all"; None for val, else test, else all.
        source_format: Format of proposals files where it cannot be guessed.
        top: Proposals of an image that count; None for the largest k. A ``Proposer`` gives no more than its own number.
        nms: Drop boxes whose IoU with a better one is larger; None for the model's own, and none for other methods.
        score: Leave out proposals that score less.
        size: Short side in pixels at which models that are named see a photograph; None for their own.
        thorough: Let models that are named see each photograph at several sizes.
        ks: Numbers of proposals an image for AR@k.
        at: The k for differences and missed objects; None for 100, else the largest.
        recalls: Shares in (0, 1]; the number of proposals that reaches each is computed.
        seen: Classes that training saw, or the word "voc": recall on them and on the others is told apart.
        draws: Draws of the bootstrap behind the 95 % intervals.
        seed: Seed of the bootstrap and of the baselines.
        allow_outside: File names in the data set may lead out of its folder.
        reporter: Hears notes, warnings and progress.

    Returns:
        The figures: ``evaluate("DATA", "default").recall["default"].ar[100]``.

    Raises:
        InputError: data or a method that cannot be read; proposals for other images; no image that can be used.
    """
    reporter = reporter or Reporter()
    options = Options(at, tuple(recalls), tuple(seen), draws, seed)
    _check_format(source_format)
    dataset = read_ground_truth(data, split, allow_outside, reporter)
    options.check(ks, dataset.class_names)
    opened = open_all(
        named(methods),
        dataset.records,
        Selection(top, nms, score, size, thorough),
        max(ks),
        reporter,
        source_format=source_format,
        seed=seed,
    )
    cache = ProgressCache(None, opened.proposing, {}, reporter)
    failed: dict[str, str] = {}
    if opened.proposing:
        with reporter.progress("Proposing", len(dataset)) as advance:
            run(
                opened.proposing,
                dataset.records,
                cache.done,
                failed,
                read_ahead=True,
                on_image=advance,
                by_file=opened.by_file,
            )
    _warn_of_photographs(dataset, cache, failed, reporter)
    if opened.proposing and dataset.records and not _seen_by_all(dataset, cache):
        raise _no_image(dataset)
    results = _measured(dataset, opened, cache, ks, options, reporter, timed=False)
    return Comparison(results, name_of(data), dataset.split, opened.words, failed, opened.missing)


def compare(
    data: str | PathLike[str] | Dataset,
    methods: Method | Sequence[Method] | Mapping[str, Method] = USUAL,
    *,
    split: str | None = None,
    source_format: str | None = None,
    limit: int | None = None,
    size: int | None = None,
    thorough: bool = False,
    ks: Sequence[int] = DEFAULT_KS,
    at: int | None = None,
    recalls: Sequence[float] = RECALLS,
    seen: Sequence[str] = (),
    cache: str | PathLike[str] | None = None,
    partial: bool = False,
    threads: int | None = None,
    draws: int = Options.draws,
    seed: int = 0,
    allow_outside: bool = False,
    reporter: Reporter | None = None,
) -> Comparison:
    """Compare methods in recall and time; they take turns on each photograph.

    Arguments that ``evaluate`` has too mean the same.

    Args:
        data: Ground truth.
        methods: As of ``evaluate``; by default the bundled model and three baselines.
        split: See ``evaluate``.
        source_format: See ``evaluate``.
        limit: Number of photographs, drawn by the seed; None for all.
        size: See ``evaluate``.
        thorough: See ``evaluate``.
        ks: See ``evaluate``; the largest is the number of proposals that each method gives.
        at: See ``evaluate``.
        recalls: See ``evaluate``.
        seen: See ``evaluate``.
        cache: Folder for the proposals of methods that are given by name: a comparison that was stopped goes on from
            there. None keeps nothing.
        partial: Ctrl-C ends the proposing, and photographs that all methods have seen are measured; otherwise it
            raises KeyboardInterrupt. Both keep the proposals so far in ``cache``.
        threads: Processor threads of a method; None for all.
        draws: See ``evaluate``.
        seed: See ``evaluate``.
        allow_outside: See ``evaluate``.
        reporter: See ``evaluate``.

    Returns:
        The figures; ``tables["recall-and-time"]`` holds seconds from pixels to proposals.

    Raises:
        InputError: as ``evaluate``; the cache cannot be written to.
        KeyboardInterrupt: Ctrl-C, also with ``partial`` where no photograph was seen by all methods.
    """
    reporter = reporter or Reporter()
    options = Options(at, tuple(recalls), tuple(seen), draws, seed)
    _check_format(source_format)
    whole = read_ground_truth(data, split, allow_outside, reporter)
    dataset = limited(whole, limit, seed)
    options.check(ks, dataset.class_names)
    given = named(methods)
    opened = open_all(
        given,
        whole.records,
        Selection(max(ks), size=size, thorough=thorough),
        max(ks),
        reporter,
        source_format=source_format,
        seed=seed,
        threads=threads,
    )
    identities = {}
    if cache is not None:
        images = "\n".join(f"{one.image_id} {one.path}" for one in whole.records)
        settings = {
            "data": str((data.root if isinstance(data, Dataset) else Path(data)).resolve()),
            "split": dataset.split,
            "images": digest(images.encode(errors="replace")),
            "top": max(ks),
            "seed": seed,
            "threads": threads,
            **({"size": size} if size is not None else {}),
            **({"thorough": True} if thorough else {}),
        }
        by_name = [name for name in opened.proposing if isinstance(given[name], (str, PathLike))]
        identities = {name: {**settings, **identity(opened.words[name])} for name in by_name}
    progress = ProgressCache(None if cache is None else Path(cache), opened.proposing, identities, reporter)
    failed: dict[str, str] = {}
    stopped = _propose_in_turn(opened, dataset, progress, failed, reporter, partial)
    _warn_of_photographs(dataset, progress, failed, reporter)
    sentence = ""
    seen_by_all = _seen_by_all(dataset, progress)
    if not seen_by_all and dataset.records:
        if stopped:
            raise KeyboardInterrupt(f"stopped before any photograph was seen by all methods; {progress.where}")
        raise _no_image(dataset)
    if stopped:  # photographs that could not be used count as missed only where all had their turn
        dataset = replace(dataset, records=seen_by_all)
        goes_on = "" if progress.folder is None else ", and the same command goes on from there"
        sentence = f"Stopped after {len(dataset)} photographs: the figures are of these, {progress.where}{goes_on}."
    cores = "all cores" if threads is None else f"{threads} thread{'s' if threads > 1 else ''}"
    return Comparison(
        _measured(dataset, opened, progress, ks, options, reporter, timed=True),
        name_of(data),
        dataset.split,
        opened.words,
        failed,
        opened.missing,
        sentence,
        (f"Times were taken with {cores}, the methods in turn on each photograph.",),
    )


def _check_format(name: str | None) -> None:
    if name is not None:
        format_named(name)


def _propose_in_turn(
    opened: Methods,
    dataset: Dataset,
    cache: ProgressCache,
    failed: dict[str, str],
    reporter: Reporter,
    partial: bool,
) -> bool:
    """Let every method propose and keep what is done; whether Ctrl-C stopped it."""
    if not opened.proposing:
        return False
    known = len(_seen_by_all(dataset, cache))
    if known:
        reporter.note(f"{known} photographs are known from an earlier run.")
    try:
        with reporter.progress("Proposing", len(dataset)) as advance:

            def on_image() -> None:
                advance()
                cache.save_sometimes()

            run(opened.proposing, dataset.records, cache.done, failed, read_ahead=False, on_image=on_image)
    except KeyboardInterrupt:
        if not partial:
            raise
        return True
    finally:
        cache.save()
    return False


def _seen_by_all(dataset: Dataset, cache: ProgressCache) -> tuple[Record, ...]:
    """Records that every method has proposed for."""
    return tuple(
        record
        for record in dataset.records
        if all(record.image_id in progress.proposals for progress in cache.done.values())
    )


def _no_image(dataset: Dataset) -> InputError:
    return InputError(
        f"None of the {len(dataset)} images could be used: do they lie in {dataset.records[0].path.parent}?"
    )


def _warn_of_photographs(dataset: Dataset, cache: ProgressCache, failed: Mapping[str, str], reporter: Reporter) -> None:
    """Name the first photographs that could not be used, and one whose size is not that of its annotations."""
    for error in list(failed.values())[:_SHOWN_FAILURES]:
        reporter.warn(error)
    if len(failed) > _SHOWN_FAILURES:
        reporter.warn(f"… and {len(failed) - _SHOWN_FAILURES} more.")
    proposals: Iterable[Mapping[int, Proposals]] = (progress.proposals for progress in cache.done.values())
    found = {image_id: one.size_hw for some in proposals for image_id, one in some.items()}
    others = [
        record
        for record in dataset.records
        if record.size_hw is not None and found.get(record.image_id, record.size_hw) != record.size_hw
    ]
    if others:
        reporter.warn(
            f"{len(others)} photographs, {others[0].path} among them, have another size than the annotations of "
            f"{dataset.root} say, as if these were made on turned or resized ones: the figures hold only if the boxes "
            "are in pixels of the upright file (objectness check names them)."
        )


def _measured(
    dataset: Dataset,
    opened: Methods,
    cache: ProgressCache,
    ks: Sequence[int],
    options: Options,
    reporter: Reporter,
    *,
    timed: bool,
) -> Results:
    """Measure every method on the records of the data set."""
    ids = {record.image_id for record in dataset.records}
    everything = {**opened.found, **{name: progress.proposals for name, progress in cache.done.items()}}
    methods = []
    with reporter.progress("Measuring", len(opened.words) * len(dataset)) as advance:
        for name in opened.words:
            found = {image_id: one for image_id, one in everything[name].items() if image_id in ids}
            measured = measure(found, dataset.records, ks, advance)
            seconds = None
            if timed and name in cache.done:
                clock = cache.done[name].seconds
                seconds = np.array([clock.get(record.image_id, np.nan) for record in dataset.records])
            methods.append(MethodResult(name, measured, found, seconds))
    return Results(title(dataset), dataset.records, dataset.class_names, tuple(methods), options)
