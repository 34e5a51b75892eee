"""From a photograph to its proposals: load a model, resize, run, select, return to the original pixels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from time import perf_counter
from typing import Any, cast, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objectness.engines import (
    Candidates,
    Engine,
    EngineSettings,
    GraphRanker,
    ModelDescription,
    Ranked,
    Ranker,
    open_graph,
)
from objectness.engines.opening import GRAPH_SUFFIXES
from objectness.engines.settings import EngineName, Precision
from objectness.errors import InputError
from objectness.images import DEFAULT_MAX_PIXELS, Source, describe, open_fitted
from objectness.proposals import Proposals
from objectness.ranking import select, to_photograph

__all__ = [
    "Candidates",
    "Engine",
    "EngineSettings",
    "ModelDescription",
    "Outcome",
    "Proposer",
    "Ranked",
    "Timed",
    "load",
    "model_file",
    "select",
]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one photograph of a stream.

    Attributes:
        source: As it was given.
        proposals: None where it failed.
        error: Why it failed, in one sentence; None where it did not.
        seconds: Reading, resizing, network and selection.
        image: The upright RGB pixels ``uint8 (H, W, 3)``, where they were asked for.
    """

    source: Source
    proposals: Proposals | None
    error: InputError | None
    seconds: float
    image: NDArray[np.uint8] | None = None


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
    """A photograph that was read and resized, or the reason why not."""

    source: Source
    size_hw: tuple[int, int]
    pixels: NDArray[np.uint8] | None
    image: NDArray[np.uint8] | None
    error: InputError | None
    seconds: float


class Proposer:
    """A model that is ready to propose.

    Args:
        engine: The loaded network, with suppression inside it or without.
        top: Give at most this many proposals; None for the model's own number.
        score: Leave out proposals below this score.
        nms: Drop the worse of two boxes of a level whose IoU is above this; None for the model's own.
        max_pixels: Refuse larger files; None for no limit.

    Raises:
        InputError: A number outside its range, or one that this engine cannot be asked for.
    """

    def __init__(
        self,
        engine: Engine | Ranker,
        *,
        top: int | None = None,
        score: float = 0.0,
        nms: float | None = None,
        max_pixels: int | None = DEFAULT_MAX_PIXELS,
    ) -> None:
        self.description = engine.description
        self._engine = engine
        self._top = self.description.top if top is None else top
        self._score = score
        self._nms = self.description.nms_iou if nms is None else nms
        self._max_pixels = max_pixels
        if self._top < 1:
            raise InputError(f"top is {top}, but at least 1 proposal must be asked for.")
        for name, value in (("score", self._score), ("nms", self._nms)):
            if not 0 <= value <= 1:
                raise InputError(f"{name} is {value}, but must lie between 0 and 1.")
        if isinstance(engine, GraphRanker):
            engine.require(nms=self._nms, top=self._top)

    @overload
    def __call__(self, source: Source) -> Proposals: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, source: list[Any] | tuple[Any, ...]) -> list[Proposals]: ...
    @overload
    def __call__(self, source: Iterable[Source]) -> Iterator[Proposals]: ...

    def __call__(self, source: Source | Iterable[Source]) -> Proposals | list[Proposals] | Iterator[Proposals]:
        """Propose boxes.

        Args:
            source: A path, a PIL image or a ``uint8`` array (see :func:`objectness.images.open_upright`) for
                one ``Proposals``; a list or tuple of them for a list; any other iterable for a lazy iterator,
                which reads the next photograph while the network looks at this one and holds only these two.

        Raises:
            InputError: A photograph that cannot be used; with several, the first such one ends the call,
                where :meth:`stream` would go on.
        """
        one = isinstance(source, str | bytes | os.PathLike | Image.Image | np.ndarray)
        if one or not isinstance(source, Iterable):  # what is neither is told what was expected
            return _or_raise(self._finish(self._prepare(cast("Source", source), keep_image=False)))
        lazy = (_or_raise(outcome) for outcome in self.stream(source))
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
        failures: list[Exception] = []

        def taken() -> Iterator[Source]:
            try:
                yield from sources
            except Exception as error:
                failures.append(error)

        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="objectness-read") as reader:
            waiting = None
            for source in taken():
                following = reader.submit(self._prepare, source, keep_image=keep_images)
                if waiting is not None:
                    yield self._finish(waiting.result())
                waiting = following
            if waiting is not None:
                yield self._finish(waiting.result())
        if failures:
            raise failures[0]

    def _prepare(self, source: Source, *, keep_image: bool) -> _Prepared:
        start = perf_counter()
        try:
            fitted = open_fitted(
                source,
                self.description.short_side,
                self.description.long_side,
                max_pixels=self._max_pixels,
                keep_image=keep_image,
            )
        except (InputError, MemoryError) as error:
            if isinstance(error, MemoryError):
                error = InputError(f"{describe(source)}: does not fit into memory; make it smaller.")
            return _Prepared(source, (0, 0), None, None, error, perf_counter() - start)
        return _Prepared(source, fitted.size_hw, fitted.pixels, fitted.image, None, perf_counter() - start)

    def _finish(self, prepared: _Prepared) -> Outcome:
        if prepared.pixels is None:
            return Outcome(prepared.source, None, prepared.error, prepared.seconds)
        start = perf_counter()
        source = prepared.source
        try:
            proposals = self._propose(prepared.pixels, prepared.size_hw, source)
        except InputError as error:
            seconds = prepared.seconds + perf_counter() - start
            return Outcome(source, None, InputError(f"{describe(source)}: {error}"), seconds)
        return Outcome(source, proposals, None, prepared.seconds + perf_counter() - start, prepared.image)

    def _propose(self, pixels: NDArray[np.uint8], size_hw: tuple[int, int], source: Source) -> Proposals:
        file = os.fspath(source) if isinstance(source, str | os.PathLike) else None
        resized_hw = (pixels.shape[0], pixels.shape[1])
        if isinstance(self._engine, Ranker):
            ranked = self._engine.ranked(pixels, nms=self._nms, top=self._top)
            return to_photograph(ranked, resized_hw=resized_hw, size_hw=size_hw, score=self._score, source=file)
        return select(
            self._engine.candidates(pixels),
            resized_hw=resized_hw,
            size_hw=size_hw,
            top=self._top,
            score=self._score,
            nms=self._nms,
            source=file,
        )


def load(
    model: str | os.PathLike[str] | None = None,
    *,
    top: int | None = None,
    score: float = 0.0,
    nms: float | None = None,
    threads: int | None = None,
    device: str = "cpu",
    engine: EngineName = "auto",
    precision: Precision = "fp32",
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
) -> Proposer:
    """Load a model.

    Args:
        model: An exported ``.onnx`` or OpenVINO ``.xml`` file; a ``.safetensors`` checkpoint or a training's run
            folder (they need PyTorch); None or "default" for the model that comes with the package.
        top: Give at most this many proposals; None for the model's own number (usually 300).
        score: Leave out proposals below this score.
        nms: Drop the worse of two boxes whose IoU is above this; None for the model's own (usually 0.7).
        threads: Processor threads for the network; None for every core this process may use.
        device: See :class:`objectness.engines.EngineSettings`; so are ``engine`` and ``precision``.
        engine: "auto" goes by the file; "openvino" runs an .onnx file too.
        precision: What OpenVINO computes in; the other engines refuse "bf16" and "fp16".
        max_pixels: Refuse larger photographs; None for no limit.

    Raises:
        InputError: The model is missing, damaged or of an unknown kind, or a number is outside its range.
    """
    settings = EngineSettings(engine=engine, device=device, threads=threads, precision=precision)
    return Proposer(_open_engine(model, settings), top=top, score=score, nms=nms, max_pixels=max_pixels)


def _open_engine(model: str | os.PathLike[str] | None, settings: EngineSettings) -> Engine | Ranker:
    if model is None or model == "default":
        embedded = resources.files("objectness.models") / "default.onnx"
        if not embedded.is_file():
            raise InputError("objectness was installed without a model; name one: --model PATH or load(PATH).")
        return open_graph(embedded.read_bytes(), "the default model", settings)
    path = model_file(Path(model))
    if path.suffix.lower() in GRAPH_SUFFIXES:
        return open_graph(path, str(path), settings)
    if settings.engine not in ("auto", "torch"):
        raise InputError(f"{path}: a checkpoint runs in PyTorch only; leave out --engine, or export it first.")
    settings.require_default_precision(str(path), "PyTorch")
    try:
        from objectness.rpn.engine import load_engine
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "objectness":
            raise
        raise InputError(
            f"{path}: a checkpoint needs PyTorch ({error.name} is not installed); "
            'pip install "objectness[train]", or use the .onnx file that `objectness export` makes of it.'
        ) from None
    loaded: Engine = load_engine(path, device=settings.device, threads=settings.threads)
    return loaded


def model_file(path: Path) -> Path:
    """The model that a path stands for: itself, or the best, else the last, checkpoint of a run folder.

    Raises:
        InputError: It is missing, empty or of an unknown kind.
    """
    if path.is_dir():
        checkpoints = [path / "best.safetensors", path / "last.safetensors"]
        found = next((file for file in checkpoints if file.is_file()), None)
        if found is None:
            raise InputError(
                f"{path}: is a folder without best.safetensors or last.safetensors; name a run folder or a model file."
            )
        return found
    if not path.is_file():
        raise InputError(f"{path}: there is no such model file or run folder; check the path.")
    if path.suffix.lower() not in (*GRAPH_SUFFIXES, ".safetensors"):
        raise InputError(
            f"{path}: a model is an .onnx or .xml file, a .safetensors checkpoint or a run folder; name one."
        )
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the model file is empty; export or download it again.")
    return path


def _or_raise(outcome: Outcome) -> Proposals:
    if outcome.error is not None:
        raise outcome.error
    assert outcome.proposals is not None
    return outcome.proposals
