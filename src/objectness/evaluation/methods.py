"""Methods of a comparison: a proposals file, a model, a baseline, or an object in memory, by name or as it is."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, TypeVar, cast

from objectness import boxes, formats
from objectness.datasets.records import Record
from objectness.detections import Detections
from objectness.errors import InputError, NotInstalledError
from objectness.evaluation.baselines import NAMES, baseline, is_baseline
from objectness.evaluation.reporter import Reporter
from objectness.evaluation.run_methods import Propose
from objectness.formats.core.image_lookup import index_records, require_all
from objectness.formats.core.sniffing import existing_path, file_head
from objectness.formats.registry import format_named, guess_source_format, has_known_suffix, recognised_formats
from objectness.image_index import ImageReference
from objectness.inference.loading import load
from objectness.inference.model_files import CHECKPOINT, DEFAULT, ONNX, OPENVINO, is_run_folder
from objectness.inference.proposer import Proposer
from objectness.proposals import Proposals

Boxes = TypeVar("Boxes", Proposals, Detections)

Method = str | os.PathLike[str] | Proposer | Callable[[Any], Proposals] | Mapping[Any, Proposals]
"""Name of a proposals file, a model, a run folder or a baseline; a loaded model; a function of ``uint8 (H, W, 3)``
pixels; or image id -> proposals."""


@dataclass(frozen=True)
class Selection:
    """Proposals of a method that count.

    Attributes:
        top: At most this many an image; None for all.
        nms: Drop boxes that overlap a better one by more; None for the model's own, and none for the others.
        score: Leave out proposals that score less.
        size: Short side at which models see a photograph; None for their own.
        thorough: Whether models see each photograph at several sizes.
    """

    top: int | None = None
    nms: float | None = None
    score: float = 0.0
    size: int | None = None
    thorough: bool = False

    def of(self, found: Proposals) -> Proposals:
        """Apply it to proposals, best first."""
        chosen = found.above(self.score) if self.score else found  # a score of 0 takes all: files may hold logits
        if self.nms is not None:
            kept = boxes.nms(chosen.boxes_xyxy, chosen.scores, self.nms, limit=self.top)
            chosen = Proposals(chosen.boxes_xyxy[kept], chosen.scores[kept], chosen.size_hw, chosen.source)
        return chosen if self.top is None else chosen.top(self.top)


@dataclass(frozen=True)
class Methods:
    """Methods, opened.

    Attributes:
        words: Name -> the method as the user wrote it, in order, without the missing ones.
        found: Name -> image id -> proposals that were made before.
        proposing: Name -> function that proposes.
        by_file: Names of those in ``proposing`` that also take a file.
        missing: Name -> reason why a method is left out: a package is not installed.
    """

    words: dict[str, str]
    found: dict[str, Mapping[int, Proposals]]
    proposing: dict[str, Propose]
    by_file: frozenset[str]
    missing: dict[str, str]


def named(methods: Method | Sequence[Method] | Mapping[str, Method]) -> dict[str, Method]:
    """Name -> method, for one method, several, or several that have names already.

    Raises:
        InputError: there is none.
    """
    if isinstance(methods, Mapping) and not any(isinstance(one, Proposals) for one in methods.values()):
        found = {str(name): cast("Method", method) for name, method in methods.items()}
    else:
        several = cast("list[Method]", list(methods) if isinstance(methods, (list, tuple)) else [methods])
        found = dict(zip(unique_names([_word(one) for one in several]), several, strict=True))
    if not found:
        raise InputError("There is no method to measure: name one, as default or uniform.")
    return found


def unique_names(words: Sequence[str]) -> list[str]:
    """Short names: the stem of a file where no other has it, else the whole word; numbered where two are alike."""
    stems = [PurePath(word).stem if PurePath(word).suffix else word for word in words]
    count = Counter(stems)
    names = [stem if count[stem] == 1 else word for stem, word in zip(stems, words, strict=True)]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: index + 1].count(name)})"
        for index, name in enumerate(names)
    ]


def open_all(
    methods: Mapping[str, Method],
    records: Sequence[Record],
    selection: Selection,
    most: int,
    reporter: Reporter,
    *,
    source_format: str | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> Methods:
    """Read the proposals files, then open the models and baselines.

    Args:
        methods: Name -> method.
        records: The data set, whose ids proposals get.
        selection: Applied to all proposals.
        most: The largest k: the number of proposals to ask for where the selection has no ``top``.
        reporter: Hears of missing methods and of images without proposals.
        source_format: Format of proposals files that is used where it cannot be guessed.
        seed: For baselines that draw by chance.
        threads: Processor threads of a method; None for all.

    Raises:
        InputError: a method does not exist or cannot be read; proposals are for images that the records do not have;
            the only method needs a package that is not installed.
    """
    found: dict[str, Mapping[int, Proposals]] = {}
    for name, method in methods.items():
        if isinstance(method, Mapping):
            found[name] = {i: selection.of(one) for i, one in with_ids_of(method, records).items()}
        elif isinstance(method, (str, os.PathLike)) and is_proposals_file(_word(method), source_format):
            found[name] = read_file(_word(method), records, selection, reporter, source_format)
    others = {name: method for name, method in methods.items() if name not in found}
    proposing: dict[str, Propose] = {}
    missing: dict[str, str] = {}
    for name, method in others.items():
        try:
            proposing[name] = open_method(method, selection, most, seed=seed, threads=threads)
        except NotInstalledError as error:
            if len(others) == 1:
                raise
            missing[name] = str(error)
    for name, reason in missing.items():
        reporter.warn(f"{name} is left out: {reason}")
    for name, method in others.items():
        if isinstance(method, Proposer) and method.top < (selection.top or most):
            reporter.warn(
                f"{name} gives at most {method.top} proposals an image, so that AR@{most} is that of {method.top}: "
                f"load it with top={most}."
            )
    words = {name: _word(method) for name, method in methods.items() if name not in missing}
    by_file = frozenset(name for name in proposing if isinstance(proposing[name], Proposer))
    return Methods(words, found, proposing, by_file, missing)


def open_method(
    method: Method, selection: Selection, most: int, *, seed: int = 0, threads: int | None = None
) -> Propose:
    """A model or a baseline as a function from pixels to proposals; see :func:`open_all`."""
    if isinstance(method, Proposer) and selection == Selection(selection.top) and method.top <= (selection.top or most):
        return method
    if isinstance(method, (str, os.PathLike)):
        word, count = _word(method), selection.top or most
        if not is_baseline(word):
            _refuse_misspelt(word)
            return load(
                word,
                top=count,
                score=selection.score,
                nms=selection.nms,
                threads=threads,
                size=selection.size,
                thorough=selection.thorough,
            )
        # Suppression needs more than it leaves.
        propose: Propose = baseline(word, count if selection.nms is None else 4 * count, seed=seed, threads=threads)
    elif callable(method):
        propose = method
    else:
        raise InputError(f"A method is a name, a function or proposals by image id, not a {type(method).__name__}.")
    return lambda image: selection.of(propose(image))


def is_proposals_file(word: str, source_format: str | None = None) -> bool:
    """Whether a word names proposals that were made before, not a model, a run folder or a baseline.

    Args:
        word: As the user wrote it.
        source_format: Format of files that are not recognised.
    """
    path = Path(word)
    suffix = path.suffix.lower()
    if word == DEFAULT or is_baseline(word) or suffix in (ONNX, CHECKPOINT):
        return False
    if path.is_dir():
        return not is_run_folder(path) and (source_format is not None or bool(recognised_formats(path)))
    if suffix == OPENVINO and path.is_file():  # CVAT's, or OpenVINO's
        return bool(recognised_formats(path))
    return path.is_file() or has_known_suffix(path)


def read_file(
    word: str, records: Sequence[Record], selection: Selection, reporter: Reporter, source_format: str | None = None
) -> dict[int, Proposals]:
    """Read proposals of any format, give them the ids of the records, and select.

    Raises:
        InputError: a file that cannot be read, or that is for other photographs.
    """
    reporter.note(f"Reading {word}.")
    path = existing_path(word)
    try:
        source = guess_source_format(path)
    except InputError:
        if source_format is None:
            raise
        source = format_named(source_format)
    if source.name == "coco" and not file_head(path).mentions(b'"score"'):
        raise InputError(f"{word} is ground truth, without scores: give the results file, not the annotations.")
    found = formats.read_proposals(path, source.name, image_index=index_records(records))
    for sentence in found.notes:
        reporter.warn(f"{word}: {sentence}.")
    missing = sum(record.image_id not in found or not len(found[record.image_id]) for record in records)
    if missing:
        reporter.note(f"{word}: {missing} of {len(records)} images have no proposals: their objects count as missed.")
    return {image_id: selection.of(some) for image_id, some in found.items()}


def with_ids_of(proposals: Mapping[Any, Boxes], records: Sequence[Record]) -> dict[int, Boxes]:
    """Boxes under the image ids of the records: matched by file name where ``source`` is known, else by id.

    Raises:
        InputError: an image fits several records, two fit one, or one fits none.
    """
    references = [ImageReference(image_id, found.source) for image_id, found in proposals.items()]
    places = require_all(index_records(records), references)
    return {records[place].image_id: found for place, found in zip(places, proposals.values(), strict=True)}


def _word(method: Method) -> str:
    """The method as text: as the user wrote it, else the kind of the object."""
    if isinstance(method, (str, os.PathLike)):
        return os.fspath(method)
    if isinstance(method, Mapping):
        return "proposals"
    return str(getattr(method, "__name__", type(method).__name__.lower()))


def _refuse_misspelt(word: str) -> None:
    """Refuse a word that is no path, with the nearest baseline; and a folder without a model or proposals."""
    path = Path(word)
    if path.is_dir() and not is_run_folder(path):
        raise InputError(f"{word} is neither a training's run folder nor a folder of proposals: name one of them.")
    if path.suffix or path.exists() or len(path.parts) > 1:
        return
    close = difflib.get_close_matches(word.split(":", 1)[0], [*NAMES, DEFAULT], n=1)
    if word not in (*NAMES, DEFAULT):
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join((*NAMES, DEFAULT))}."
        raise InputError(f"There is no model and no baseline {word!r}: {hint}")
