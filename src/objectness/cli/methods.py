"""What a user names as a method (a proposals file, a model, a baseline) as a way to proposals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from objectness.cli.output import Output
from objectness.errors import InputError

if TYPE_CHECKING:
    from objectness.datasets import Record
    from objectness.evaluation.running import Propose
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
    from objectness.proposer import load

    count = selection.top or top
    if is_baseline(word):
        # Suppression needs more than it leaves.
        propose = baseline(word, count if selection.nms is None else 4 * count, seed=seed, threads=threads)
        return lambda image: selection.of(propose(image))
    _refuse_misspelt(word)
    return load(word, top=count, score=selection.score, nms=selection.nms, threads=threads)


def read_file(word: str, records: Sequence[Record], selection: Selection, output: Output) -> dict[int, Proposals]:
    """Read proposals, give them the ids of the data set, and select."""
    from objectness.evaluation.pairing import pair_by_name
    from objectness.formats.reading import read_proposals

    output.note(f"Reading {word}.")
    proposals = pair_by_name(read_proposals(Path(word)), records)
    sizes = {record.image_id: record.size_hw for record in records}
    others = [
        image_id
        for image_id, found in proposals.items()
        if sizes.get(image_id) and found.size_hw != (0, 0) and found.size_hw != sizes[image_id]
    ]
    if others:
        output.warn(
            f"{len(others)} images, {others[0]} among them, have another size in {word} than in the data: "
            "were the proposals made on resized copies?"
        )
    return {image_id: selection.of(found) for image_id, found in proposals.items()}


def _refuse_misspelt(word: str) -> None:
    """A word that is no path and nearly a baseline's name is told so."""
    import difflib

    from objectness.evaluation.baselines import NAMES

    if Path(word).suffix or Path(word).exists():
        return
    close = difflib.get_close_matches(word.split(":", 1)[0], [*NAMES, "default"], n=1)
    if close and close[0] != word:
        raise InputError(f"There is no model and no baseline {word!r}: did you mean {close[0]!r}?")
