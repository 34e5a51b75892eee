"""The state of an image under way, in a folder: a run that was stopped or killed goes on where a row of tiles ended.

``run.json`` says of what; ``state.npz`` is replaced as a whole after each row of tiles, ``scale-N.npz`` is written when
a scale is done, and ``features-N.bin`` is written in place: what a later row writes there is written again as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from objectness.engines.candidates import Candidates
from objectness.engines.dense import DenseEngine
from objectness.errors import InputError
from objectness.files.atomic_write import replacing, replacing_bytes
from objectness.images.windows.protocol import Rectangle
from objectness.inference.tiling.cells import Cells, LevelGrid
from objectness.inference.tiling.plan import Plan
from objectness.inference.tiling.scan import ScanState

_FORMAT = 1
_RUN, _STATE = "run.json", "state.npz"


@dataclass(frozen=True, eq=False)
class Progress:
    """Where a run is.

    Attributes:
        scale: Number of the scale under way, from 0.
        rows: Rows of tiles of it that are done.
        state: Of its scan; None before its first row is done.
        missing: Parts that could not be read so far, in pixels of the image itself.
        reason: Why the first could not.
    """

    scale: int = 0
    rows: int = 0
    state: ScanState | None = None
    missing: tuple[Rectangle, ...] = ()
    reason: str = ""


class Journal:
    """The folder of one image.

    Args:
        folder: Of all images; that of this one is made in it.
        source: The image's file.
        engine: The network.
        plan: What is computed.
        resume: Go on with what is there, unless the file has changed since; else it is removed.

    Raises:
        InputError: What is there is of another model or plan; or the place cannot be written to.
    """

    def __init__(self, folder: Path, source: Path, engine: DenseEngine, plan: Plan, *, resume: bool) -> None:
        self.folder = folder / _name(source)
        run = _run(source, engine, plan)
        if resume and (before := self._before()) and before.get("file", run["file"]) == run["file"]:
            self._require_same(source, before, run)
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        with replacing(self.folder / _RUN) as file:
            json.dump(run, file, indent=1)

    def features_path(self, scale: int) -> Path:
        """Where the features of a scale lie."""
        return self.folder / f"features-{scale}.bin"

    def load(self) -> tuple[Progress, list[Candidates]]:
        """Where the run is, and the candidates of the scales that are done.

        Raises:
            InputError: The folder is damaged.
        """
        try:
            progress = self._progress()
            done = []
            for scale in range(progress.scale):
                with np.load(self.folder / f"scale-{scale}.npz") as arrays:
                    done.append(Candidates(arrays["boxes_xyxy"], arrays["scores"], arrays["levels"]))
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(
                f"{self.folder}: what an earlier run left there is damaged ({reason}); start without resume."
            ) from None
        return progress, done

    def save(self, progress: Progress) -> None:
        """Keep where the run is.

        Raises:
            InputError: It cannot be written, e.g. as the disk is full.
        """
        state = progress.state
        arrays: dict[str, Any] = {
            "place": np.array([progress.scale, progress.rows]),
            "missing": np.array(progress.missing, np.int64).reshape(-1, 4),
            "reason": np.array(progress.reason),
        }
        if state is not None and state.grids:
            arrays["features"] = np.array([state.channels, *(side for hw in state.extents for side in hw)])
            for level, (grid, cells) in enumerate(zip(state.grids, state.cells, strict=True)):
                arrays[f"grid-{level}"] = np.array([grid.stride, grid.pitch])
                arrays[f"anchors-{level}"] = grid.anchors_xyxy
                arrays |= {f"{part}-{level}": getattr(cells, part) for part in ("scores", "deltas", "index")}
        with replacing_bytes(self.folder / _STATE) as file:
            np.savez(file, **arrays)

    def finish_scale(self, scale: int, found: Candidates) -> None:
        """Keep the candidates of a scale, in place of its features; raises as :meth:`save`."""
        with replacing_bytes(self.folder / f"scale-{scale}.npz") as file:
            np.savez(file, boxes_xyxy=found.boxes_xyxy, scores=found.scores, levels=found.levels)

    def drop_features(self, scale: int) -> None:
        """Remove the features of a scale that is done."""
        with suppress(OSError):
            self.features_path(scale).unlink()

    def remove(self) -> None:
        """Remove the folder of this image, and that of all images where it is empty now."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            self.folder.parent.rmdir()

    def remove_empty(self) -> None:
        """Remove what :meth:`remove` does, if no row of tiles is done."""
        if not (self.folder / _STATE).exists():
            self.remove()

    def _progress(self) -> Progress:
        if not (self.folder / _STATE).exists():
            return Progress()
        with np.load(self.folder / _STATE) as arrays:
            scale, rows = map(int, arrays["place"])
            missing = tuple(Rectangle(*map(int, part)) for part in arrays["missing"])
            reason, state = str(arrays["reason"]), None
            if "features" in arrays:
                channels, *sides = map(int, arrays["features"])
                levels = sum(name.startswith("grid-") for name in arrays.files)
                grids, cells = [], []
                for level in range(levels):
                    stride, pitch = map(int, arrays[f"grid-{level}"])
                    grids.append(LevelGrid(stride, pitch, arrays[f"anchors-{level}"]))
                    cells.append(Cells(*(arrays[f"{part}-{level}"] for part in ("scores", "deltas", "index"))))
                extents = list(zip(sides[::2], sides[1::2], strict=True))
                state = ScanState(grids, cells, extents, channels)
        return Progress(scale, rows, state, missing, reason)

    def _before(self) -> dict[str, Any] | None:
        """Of what the state is that lies there; None where there is none."""
        try:
            before = json.loads((self.folder / _RUN).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            before = None
        return before if isinstance(before, dict) and before else {"format": None}

    def _require_same(self, source: Path, before: dict[str, Any], run: dict[str, Any]) -> None:
        for key, what in (
            ("format", "was left by another version"),
            ("model", "was made with another model"),
            ("plan", "was made with other tiles, overlap, scales or size"),
        ):
            if before.get(key) != run[key]:
                raise InputError(
                    f"{source}: what an earlier run left in {self.folder} {what}, so it cannot go on; start without "
                    "resume, or as before.",
                    arguments=("resume",),
                )


def _name(source: Path) -> str:
    """A folder name for a file: its own, cut to letters and figures, and a digest of its whole path."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", source.stem)[:60].strip(".") or "image"
    return f"{readable}-{hashlib.sha256(os.fsencode(source.absolute())).hexdigest()[:12]}"


def _run(source: Path, engine: DenseEngine, plan: Plan) -> dict[str, Any]:
    try:
        status = source.stat()
    except OSError as error:
        raise InputError(f"{source}: cannot be opened ({error.strerror or error}); check the path.") from None
    description = engine.description
    facts = (description.name, sorted(description.details.items()), type(engine).__name__, repr(engine.geometry))
    scales = [
        (scale.size_hw, scale.counts.pre_nms_top_n, scale.counts.refined, [len(row) for row in scale.rows])
        for scale in plan.scales
    ]
    return {
        "format": _FORMAT,
        "file": [status.st_size, status.st_mtime_ns],
        "model": hashlib.sha256(repr(facts).encode()).hexdigest(),
        "plan": hashlib.sha256(repr((scales, plan.tile, plan.overlap)).encode()).hexdigest(),
    }


def require_file(source: object) -> Path:
    """The path of a source that a journal is wanted for.

    Raises:
        InputError: It is no file.
    """
    if not isinstance(source, str | os.PathLike):
        raise InputError("journal keeps what was done of a file, so the image must be given as a path.")
    return Path(os.fsdecode(source))
