"""What a user names as a method (a proposals file, a model, a baseline) as a way to proposals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from objectness.cli.output import Output
from objectness.errors import InputError, NotInstalledError

if TYPE_CHECKING:
    from objectness.datasets import Record
    from objectness.evaluation.run_methods import Propose
    from objectness.proposals import Proposals


@dataclass(frozen=True)
class Selection:
    """Which proposals of a method count.

    Attributes:
        top: At most this many an image; None for all.
        nms: Drop boxes that overlap a better one by more; None for the model's own, and none for the others.
        score: Leave out proposals that score less.
    """

    top: int | None
    nms: float | None = None
    score: float = 0.0

    def of(self, found: Proposals) -> Proposals:
        """Apply it to proposals, best first."""
        from objectness import boxes
        from objectness.proposals import Proposals

        chosen = found.above(self.score) if self.score else found  # a score of 0 takes all: files may hold logits
        if self.nms is not None:
            kept = boxes.nms(chosen.boxes_xyxy, chosen.scores, self.nms, limit=self.top)
            chosen = Proposals(chosen.boxes_xyxy[kept], chosen.scores[kept], chosen.size_hw, chosen.source)
        return chosen if self.top is None else chosen.top(self.top)


def open_method(word: str, selection: Selection, top: int, *, seed: int = 0, threads: int | None = None) -> Propose:
    """A model or a baseline as a function from pixels to proposals.

    Args:
        word: A model file, a run folder, "default", or the name of a baseline.
        selection: Applied to what it gives.
        top: Proposals to ask it for where the selection names no number.
        seed: For baselines that draw by chance.
        threads: Processor threads; None for all.

    Raises:
        InputError: there is no such model or baseline, or it cannot be loaded.
    """
    from objectness.evaluation.baselines import baseline, is_baseline
    from objectness.inference.loading import load

    count = selection.top or top
    if is_baseline(word):
        # Suppression needs more than it leaves.
        propose = baseline(word, count if selection.nms is None else 4 * count, seed=seed, threads=threads)
        return lambda image: selection.of(propose(image))
    _refuse_misspelt(word)
    return load(word, top=count, score=selection.score, nms=selection.nms, threads=threads)


def open_methods(
    words: Mapping[str, str], selection: Selection, top: int, output: Output, *, seed: int, threads: int | None = None
) -> tuple[dict[str, Propose], dict[str, str]]:
    """Open several; one that needs a package which is not installed is named, and does not keep the others waiting.

    Args:
        words: Name of the method -> as the user wrote it.
        selection: As of :func:`open_method`, with ``top``, ``seed`` and ``threads``.
        top: See there.
        output: For those that are missing.
        seed: See there.
        threads: See there.

    Returns:
        Name -> method, and name -> why it is missing.

    Raises:
        InputError: as :func:`open_method`; none of several is there.
    """
    found: dict[str, Propose] = {}
    missing: dict[str, str] = {}
    for name, word in words.items():
        try:
            found[name] = open_method(word, selection, top, seed=seed, threads=threads)
        except NotInstalledError as error:
            if len(words) == 1:
                raise
            missing[name] = str(error)
    for name, reason in missing.items():
        output.warn(f"{name} is left out: {reason}")
    return found, missing


def is_proposals_file(word: str, source_format: str | None = None) -> bool:
    """Whether a user means proposals that were made before, rather than a model, a run folder or a baseline.

    Args:
        word: As the user wrote it.
        source_format: The format that the user says unrecognised files have.
    """
    from objectness.evaluation.baselines import is_baseline
    from objectness.formats.registry import has_known_suffix, recognised_formats
    from objectness.inference.model_files import CHECKPOINT, DEFAULT, ONNX, OPENVINO, is_run_folder

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
    word: str, records: Sequence[Record], selection: Selection, output: Output, source_format: str | None = None
) -> dict[int, Proposals]:
    """Read proposals of any format, give them the ids of the data set, and select.

    Args:
        word: The file or folder.
        records: The data set.
        selection: Applied to what is read.
        output: For notes.
        source_format: Its format where that cannot be guessed.

    Raises:
        InputError: a file that cannot be read, or that is for other photographs.
    """
    from objectness import formats
    from objectness.formats.core.image_lookup import index_records
    from objectness.formats.core.sniffing import existing_path, file_head
    from objectness.formats.registry import format_named, guess_source_format

    output.note(f"Reading {word}.")
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
        output.warn(f"{word}: {sentence}.")
    missing = sum(record.image_id not in found or not len(found[record.image_id]) for record in records)
    if missing:
        output.note(f"{word}: {missing} of {len(records)} images have no proposals: their objects count as missed.")
    return {image_id: selection.of(some) for image_id, some in found.items()}


def _refuse_misspelt(word: str) -> None:
    """A word that is no path is told so, with the baseline that it nearly is; so is a folder that holds nothing."""
    import difflib

    from objectness.evaluation.baselines import NAMES
    from objectness.inference.model_files import is_run_folder

    path = Path(word)
    if path.is_dir() and not is_run_folder(path):
        raise InputError(f"{word} is neither a training's run folder nor a folder of proposals: name one of them.")
    if path.suffix or path.exists() or len(path.parts) > 1:
        return
    close = difflib.get_close_matches(word.split(":", 1)[0], [*NAMES, "default"], n=1)
    if word not in (*NAMES, "default"):
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join((*NAMES, 'default'))}."
        raise InputError(f"There is no model and no baseline {word!r}: {hint}")
