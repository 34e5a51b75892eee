"""From a photograph to its proposals: resize, run the model, return to the original pixels."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objectness.arguments import is_number, is_whole
from objectness.boxes import clip
from objectness.engines import ProposalEngine, RankedBoxes
from objectness.engines.candidates import ROUNDING
from objectness.engines.protocol import no_finite_box
from objectness.errors import InputError, to_keep
from objectness.images import DEFAULT_MAX_PIXELS, LargeImage, Source, describe, open_fitted
from objectness.images.windows.slide_file import SLIDE_SUFFIXES
from objectness.inference.read_ahead import read_ahead
from objectness.inference.tiling.settings import MOST_SIDE, Look, TileSettings
from objectness.proposals import Proposals

if TYPE_CHECKING:
    from objectness.images.windows.protocol import WindowReader
    from objectness.inference.tiling.result import TileProgress, Tiling

_ONE = (str, bytes, bytearray, memoryview, os.PathLike, Image.Image, np.ndarray)
MOST_PROPOSALS = 1_000_000  # a graph makes room for as many as it is asked for
MIN_SIDE = 1.0
"""Pixels of the photograph: a narrower or lower box holds no whole pixel, and so nothing that anybody can point to."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """Result for one photograph of a stream.

    Attributes:
        source: As it was given.
        proposals: None where it failed.
        error: Why it failed, in one sentence; None where it did not.
        seconds: Reading, resizing, network and selection.
        image: The upright RGB pixels ``uint8 (H, W, 3)``, where they were asked for.
        frames: How many frames or pages the file holds; the first was taken.
        tiling: How it was seen in tiles or at several scales; None where it was seen once, in one piece.
    """

    source: Source
    proposals: Proposals | None
    error: InputError | None
    seconds: float
    image: NDArray[np.uint8] | None = None
    frames: int = 1
    tiling: Tiling | None = None


@dataclass(frozen=True, eq=False)
class Timed:
    """One photograph's proposals, and the seconds that they took.

    Attributes:
        proposals: As a call gives them.
        reading: Decoding, turning upright and resizing.
        network: Everything after.
    """

    proposals: Proposals
    reading: float
    network: float


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A photograph that was read and resized, one that is to be read in parts, or the reason why neither."""

    source: Source
    seconds: float
    error: InputError | None = None
    size_hw: tuple[int, int] = (0, 0)
    pixels: NDArray[np.uint8] | None = None
    image: NDArray[np.uint8] | None = None
    frames: int = 1
    reader: WindowReader | None = None


class Proposer:
    """A model that is ready to propose.

    Args:
        engine: The loaded model.
        top: Give at most this many proposals; None for the model's own number.
        score: Leave out proposals below this score.
        nms: Drop the worse of two boxes of a level whose IoU is above this; None for the model's own.
        min_side: Leave out boxes that are less wide or high than this, in pixels of the photograph.
        max_pixels: Refuse larger files; None for no limit.
        size: Short side in pixels at which the network sees a photograph; its long side is limited in proportion. None
            for the model's own. One that is too large to be seen at once is seen in tiles.
        thorough: See each photograph at several sizes around this one, from 5/7 to twice: slower, with more of the
            small and of the large objects.
        tiles: How images are tiled, and which.
        threads: Processor threads for tiles; None for every core this process may use.

    Raises:
        InputError: A number outside its range, or one that this engine cannot be asked for.
    """

    def __init__(
        self,
        engine: ProposalEngine,
        *,
        top: int | None = None,
        score: float = 0.0,
        nms: float | None = None,
        min_side: float = MIN_SIDE,
        max_pixels: int | None = DEFAULT_MAX_PIXELS,
        size: int | None = None,
        thorough: bool = False,
        tiles: TileSettings | None = None,
        threads: int | None = None,
    ) -> None:
        self.description = engine.description
        self._engine = engine
        self._asked_top = top
        self._top = self.description.top if top is None else top
        self._score = score
        self._nms = self.description.nms_iou if nms is None else nms
        self._min_side = min_side
        self._max_pixels = max_pixels
        if not is_whole(self._top, 1, MOST_PROPOSALS):
            raise InputError(f"top is {top!r}, but must be a whole number from 1 to {MOST_PROPOSALS:,}.")
        for name, value in (("score", self._score), ("nms", self._nms)):
            if not is_number(value, 0, 1):
                raise InputError(f"{name} is {value!r}, but must be a number from 0 to 1.")
        if not is_number(min_side, 0, sys.float_info.max):
            raise InputError(f"min_side is {min_side!r}, but must be a number of pixels, 0 or more.")
        if max_pixels is not None and not is_whole(max_pixels, 1):
            raise InputError(f"max_pixels is {max_pixels!r}, but must be a whole number, 1 or more, or None.")
        if size is not None and not is_whole(size, 1, MOST_SIDE):
            raise InputError(
                f"size is {size!r}, but must be a whole number of pixels up to {MOST_SIDE:,}, or None.",
                arguments=("size",),
            )
        short_side, long_side = self.description.short_side, self.description.long_side
        if size is not None:
            short_side, long_side = size, max(size, round(size * long_side / short_side))
        self._look = Look(short_side, long_side, size is None, thorough, tiles or TileSettings(), threads)
        self.description.require(nms=self._nms, top=self._top)

    @property
    def top(self) -> int:
        """Number of proposals of a photograph, at most."""
        return self._top

    @property
    def device(self) -> str:
        """Device of the network in the words of its runtime: "cpu", "cuda:0", "gpu"."""
        return self._engine.device

    def tiled(
        self,
        *,
        tile: int | Literal["auto", "off"] | None = None,
        overlap: int | Literal["auto", "exact"] | None = None,
        scales: int | Literal["auto"] | Sequence[float] | None = None,
        journal: str | os.PathLike[str] | None = None,
        resume: bool = False,
        on_tile: Callable[[TileProgress], None] | None = None,
    ) -> Proposer:
        """The same model with other tiles; what is not named stays as it is.

        Args:
            tile: See :class:`objectness.inference.tiling.settings.TileSettings`; so are ``overlap`` and ``scales``.
            overlap: In pixels.
            scales: At which sizes an image is seen.
            journal: A folder where the state of an image under way is kept, until its proposals are given.
            resume: Go on with what a run that was stopped left in ``journal``.
            on_tile: Called after each tile. What it raises ends the image, and KeyboardInterrupt the run; the journal
                stays.

        Raises:
            InputError: A value outside its range.
        """
        look, other = self._look, copy.copy(self)
        tiles = TileSettings(
            look.tiles.tile if tile is None else tile,
            look.tiles.overlap if overlap is None else overlap,
            look.tiles.scales if scales is None else scales,
        )
        other._look = replace(
            look,
            tiles=tiles,
            journal=look.journal if journal is None else Path(journal),
            resume=resume,
            on_tile=on_tile or look.on_tile,
        )
        return other

    @overload
    def __call__(self, source: Source) -> Proposals: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, source: list[Any] | tuple[Any, ...]) -> list[Proposals]: ...
    @overload
    def __call__(self, source: Iterable[Source]) -> Iterator[Proposals]: ...

    def __call__(self, source: Source | Iterable[Source]) -> Proposals | list[Proposals] | Iterator[Proposals]:
        """Propose boxes.

        Args:
            source: A path, the bytes of a file, a binary file object, a PIL image or a ``uint8`` array (see
                :func:`objectness.images.open_upright`) for one ``Proposals``; a list or tuple of them for a list; any
                other iterable for a lazy iterator, which reads the next photograph while the network looks at this
                one and holds only these two.

        Raises:
            InputError: A photograph that cannot be used; with several, the first such one ends the call,
                where :meth:`stream` would go on.
        """
        one = isinstance(source, _ONE) or hasattr(source, "read")
        if one or not isinstance(source, Iterable):  # what is neither is told what was expected
            return _or_raise(self._finish(self._prepare(cast("Source", source), keep_image=False)))
        lazy = (_or_raise(outcome) for outcome in self.stream(cast("Iterable[Source]", source)))
        return list(lazy) if isinstance(source, list | tuple) else lazy

    def timed(self, source: Source) -> Timed:
        """Propose for one photograph, and say how long its parts took; raises as a call."""
        prepared = self._prepare(source, keep_image=False)
        outcome = self._finish(prepared)
        return Timed(_or_raise(outcome), prepared.seconds, outcome.seconds - prepared.seconds)

    def stream(self, sources: Iterable[Source], *, keep_images: bool = False) -> Iterator[Outcome]:
        """Propose for one photograph after another, in order; one that fails takes no other with it.

        Args:
            sources: Taken one ahead of the outcome that is given. What it raises comes after the outcomes of what
                it gave.
            keep_images: Hand the photograph's pixels on with each outcome.
        """
        with closing(read_ahead(sources, partial(self._prepare, keep_image=keep_images))) as photographs:
            for prepared in photographs:
                yield self._finish(prepared)

    def _prepare(self, source: Source, *, keep_image: bool) -> _Prepared:
        start = perf_counter()
        try:
            if self._look.always_in_parts or _is_slide(source):
                from objectness.inference.tiling.propose import open_in_parts

                reader, image = open_in_parts(source, self._max_pixels, keep_image=keep_image)
                return _Prepared(source, perf_counter() - start, image=image, reader=reader)
            fitted = open_fitted(
                source,
                self._look.short_side,
                self._look.long_side,
                max_pixels=self._max_pixels,
                keep_image=keep_image,
                large_pixels=self._look.large_pixels,
            )
        except LargeImage as large:
            return _Prepared(large.source, perf_counter() - start)
        except (InputError, MemoryError) as error:
            if isinstance(error, MemoryError):
                error = InputError(f"{describe(source)}: does not fit into memory; make it smaller.")
            return _Prepared(source, perf_counter() - start, to_keep(error))
        seconds = perf_counter() - start
        return _Prepared(source, seconds, None, fitted.size_hw, fitted.pixels, fitted.image, fitted.frames)

    def _finish(self, prepared: _Prepared) -> Outcome:
        if prepared.error is not None:
            return Outcome(prepared.source, None, prepared.error, prepared.seconds)
        start = perf_counter()
        source, tiling = prepared.source, None
        try:
            if prepared.pixels is None:
                proposals, tiling = self._propose_in_parts(prepared)
            else:
                proposals = self._propose(prepared.pixels, prepared.size_hw, source)
        except (InputError, MemoryError) as error:
            seconds = prepared.seconds + perf_counter() - start
            return Outcome(source, None, _naming(source, error), seconds)
        seconds = prepared.seconds + perf_counter() - start
        return Outcome(source, proposals, None, seconds, prepared.image, prepared.frames, tiling)

    def _propose_in_parts(self, prepared: _Prepared) -> tuple[Proposals, Tiling]:
        from objectness.inference.tiling.propose import open_in_parts, propose_in_parts

        source = prepared.source
        reader = prepared.reader or open_in_parts(source, self._max_pixels, keep_image=False)[0]
        size_hw = reader.size_hw
        top = self._asked_top if self._look.tiles_image(size_hw) else self._top
        ranked, tiling = propose_in_parts(
            source, reader, self._engine, self._look, top=top, nms=self._nms, min_side=self._min_side
        )
        return self._to_photograph(ranked, size_hw, size_hw, source), tiling

    def _propose(self, pixels: NDArray[np.uint8], size_hw: tuple[int, int], source: Source) -> Proposals:
        resized_hw = (pixels.shape[0], pixels.shape[1])
        smallest_hw = (self._min_side * resized_hw[0] / size_hw[0], self._min_side * resized_hw[1] / size_hw[1])
        ranked = self._engine.propose(pixels, nms=self._nms, top=self._top, smallest_hw=smallest_hw)
        return self._to_photograph(ranked, resized_hw, size_hw, source)

    def _to_photograph(
        self, ranked: RankedBoxes, resized_hw: tuple[int, int], size_hw: tuple[int, int], source: Source
    ) -> Proposals:
        return to_photograph(
            ranked,
            resized_hw=resized_hw,
            size_hw=size_hw,
            score=self._score,
            min_side=self._min_side,
            source=os.fspath(source) if isinstance(source, str | os.PathLike) else None,
        )


def to_photograph(
    ranked: RankedBoxes,
    *,
    resized_hw: tuple[int, int],
    size_hw: tuple[int, int],
    score: float = 0.0,
    min_side: float = MIN_SIDE,
    source: str | None = None,
) -> Proposals:
    """Ranked boxes on the resized image as proposals on the photograph.

    Args:
        ranked: From an engine.
        resized_hw: (height, width) of the resized image.
        size_hw: (height, width) of the upright photograph.
        score: Keep scores of at least this.
        min_side: Drop boxes that are less wide or high than this in pixels of the photograph; 0 keeps all with an area.
        source: The photograph's file, to be carried along.

    Returns:
        Boxes in pixels of the photograph, clipped to it, best first; fewer than were ranked where some are too small.

    Raises:
        InputError: No box and score are finite, and there are some.
    """
    finite = np.isfinite(ranked.boxes_xyxy).all(axis=1) & np.isfinite(ranked.scores)
    if len(finite) and not finite.any():
        raise no_finite_box()
    ratio_y, ratio_x = size_hw[0] / resized_hw[0], size_hw[1] / resized_hw[1]
    ratios = np.array([ratio_x, ratio_y, ratio_x, ratio_y])  # float64: one rounding, at the end
    boxes_xyxy = clip(ranked.boxes_xyxy * ratios, size_hw).astype(np.float32)
    shorter_side = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).min(axis=1, initial=np.inf)
    kept = (ranked.scores >= score) & (shorter_side >= min_side * (1 - ROUNDING)) & (shorter_side > 0)
    return Proposals(boxes_xyxy[kept], ranked.scores[kept], size_hw, source)


def _is_slide(source: Source) -> bool:
    """Whether a file may be a slide: other readers find a small picture of it, if anything."""
    return isinstance(source, str | os.PathLike) and os.fspath(source).lower().endswith(tuple(SLIDE_SUFFIXES))


def _naming(source: Source, error: InputError | MemoryError) -> InputError:
    """The error with the name of the photograph in front, where it has none."""
    name = describe(source)
    if isinstance(error, MemoryError):
        return InputError(f"{name}: does not fit into memory; make it smaller, or take smaller tiles.")
    if str(error).startswith(f"{name}:"):
        return to_keep(error)
    return InputError(f"{name}: {error}", arguments=error.arguments)


def _or_raise(outcome: Outcome) -> Proposals:
    if outcome.error is not None:
        raise outcome.error
    assert outcome.proposals is not None
    return outcome.proposals
