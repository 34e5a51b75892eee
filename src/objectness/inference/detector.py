"""From a photograph to its detections: resize, run the detector, return to the original pixels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from objectness.arguments import is_number, is_whole
from objectness.boxes import clip
from objectness.detections import Detections
from objectness.engines.detection import DetectionEngine, NamedBoxes
from objectness.errors import InputError, to_keep
from objectness.images import DEFAULT_MAX_PIXELS, Source, describe, open_fitted
from objectness.inference.read_ahead import read_ahead


@dataclass(frozen=True, eq=False)
class DetectionOutcome:
    """Result for one photograph of a stream.

    Attributes:
        source: As it was given.
        detections: None where it failed.
        error: Why it failed, in one sentence; None where it did not.
        seconds: Reading, resizing, network and selection.
        image: The upright RGB pixels ``uint8 (H, W, 3)``, where they were asked for.
        frames: How many frames or pages the file holds; the first was taken.
    """

    source: Source
    detections: Detections | None
    error: InputError | None
    seconds: float
    image: NDArray[np.uint8] | None = None
    frames: int = 1


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A photograph that was read and resized."""

    size_hw: tuple[int, int]
    pixels: NDArray[np.uint8]
    image: NDArray[np.uint8] | None
    frames: int
    seconds: float


class Detector:
    """A detector that is ready for photographs.

    Args:
        engine: The loaded detector.
        top: Give at most this many detections of a photograph; None for the model's own number.
        score: Leave out detections below this score; those below the model's own limit are never made.
        max_pixels: Refuse larger files; None for no limit.

    Raises:
        InputError: A number outside its range.
    """

    def __init__(
        self,
        engine: DetectionEngine,
        *,
        top: int | None = None,
        score: float = 0.0,
        max_pixels: int | None = DEFAULT_MAX_PIXELS,
    ) -> None:
        self.description = engine.description
        self._engine = engine
        self._top = top
        self._score = score
        self._max_pixels = max_pixels
        if top is not None and not is_whole(top, 1):
            raise InputError(f"top is {top!r}, but must be a whole number, 1 or more.")
        if not is_number(score, 0, 1):
            raise InputError(f"score is {score!r}, but must be a number from 0 to 1.")
        if max_pixels is not None and not is_whole(max_pixels, 1):
            raise InputError(f"max_pixels is {max_pixels!r}, but must be a whole number, 1 or more, or None.")

    @property
    def device(self) -> str:
        """Device of the network in the words of its runtime."""
        return self._engine.device

    def __call__(self, source: Source, proposals_xyxy: NDArray[np.float32] | None = None) -> Detections:
        """Detect the objects of one photograph.

        Args:
            source: A path, the bytes of a file, a binary file object, a PIL image or a ``uint8`` array.
            proposals_xyxy: ``(P, 4)`` boxes to be named, in pixels of the photograph; None for the model's own.

        Raises:
            InputError: A photograph that cannot be used; no proposals where the model makes none.
        """
        return self._detect(self._prepare(source, keep_image=False), source, proposals_xyxy)

    def stream(self, sources: Iterable[Source], *, keep_images: bool = False) -> Iterator[DetectionOutcome]:
        """Detect in one photograph after another, in order; one that fails takes no other with it.

        Args:
            sources: Taken one ahead of the outcome that is given. What it raises comes after the outcomes of what
                it gave.
            keep_images: Hand the photograph's pixels on with each outcome.
        """

        def read(source: Source) -> tuple[Source, _Prepared | InputError]:
            return source, self._prepare_or_fail(source, keep_images)

        with closing(read_ahead(sources, read)) as photographs:
            for source, prepared in photographs:
                yield self._outcome(source, prepared)

    def _prepare(self, source: Source, *, keep_image: bool) -> _Prepared:
        start = perf_counter()
        sides = self.description.short_side, self.description.long_side
        fitted = open_fitted(source, *sides, max_pixels=self._max_pixels, keep_image=keep_image)
        return _Prepared(fitted.size_hw, fitted.pixels, fitted.image, fitted.frames, perf_counter() - start)

    def _prepare_or_fail(self, source: Source, keep_image: bool) -> _Prepared | InputError:
        try:
            return self._prepare(source, keep_image=keep_image)
        except InputError as error:
            return to_keep(error)
        except MemoryError:
            return InputError(f"{describe(source)}: does not fit into memory; make it smaller.")

    def _outcome(self, source: Source, prepared: _Prepared | InputError) -> DetectionOutcome:
        if isinstance(prepared, InputError):
            return DetectionOutcome(source, None, prepared, 0.0)
        start = perf_counter()
        try:
            found = self._detect(prepared, source, None)
        except InputError as error:
            return DetectionOutcome(source, None, to_keep(error), prepared.seconds + perf_counter() - start)
        seconds = prepared.seconds + perf_counter() - start
        return DetectionOutcome(source, found, None, seconds, prepared.image, prepared.frames)

    def _detect(self, prepared: _Prepared, source: Source, proposals_xyxy: NDArray[np.float32] | None) -> Detections:
        if proposals_xyxy is None and not self.description.proposes:
            raise InputError(
                f"{self.description.name} was trained on the proposals of a file and makes none of its own: give the "
                "proposals of the photograph."
            )
        resized_hw = (prepared.pixels.shape[0], prepared.pixels.shape[1])
        ratios = _ratios(resized_hw, prepared.size_hw)
        boxes = None if proposals_xyxy is None else (proposals_xyxy / ratios).astype(np.float32)
        try:
            named = self._engine.detect(prepared.pixels, boxes)
        except InputError as error:
            raise InputError(f"{describe(source)}: {error}") from None
        path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
        found = _to_photograph(named, ratios, prepared.size_hw, self.description.class_names, path)
        found = found.above(self._score) if self._score else found
        return found if self._top is None else found.top(self._top)


def _ratios(resized_hw: tuple[int, int], size_hw: tuple[int, int]) -> NDArray[np.float64]:
    """Pixels of the photograph in one of the resized image, for x1, y1, x2 and y2."""
    ratio_y, ratio_x = size_hw[0] / resized_hw[0], size_hw[1] / resized_hw[1]
    return np.array([ratio_x, ratio_y, ratio_x, ratio_y])


def _to_photograph(
    named: NamedBoxes,
    ratios: NDArray[np.float64],
    size_hw: tuple[int, int],
    class_names: tuple[str, ...],
    source: str | None,
) -> Detections:
    boxes_xyxy = clip(named.boxes_xyxy * ratios, size_hw).astype(np.float32)
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    kept = np.isfinite(boxes_xyxy).all(axis=1) & (sides > 0).all(axis=1) & np.isfinite(named.scores)
    return Detections(boxes_xyxy[kept], named.scores[kept], named.labels[kept], class_names, size_hw, source)
