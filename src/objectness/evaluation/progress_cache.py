"""A folder of proposals and times, from which a comparison that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from time import monotonic

import numpy as np

from objectness.errors import InputError
from objectness.evaluation.reporter import Reporter
from objectness.evaluation.run_methods import Progress
from objectness.files.atomic_write import replacing_bytes, require_place
from objectness.inference.model_files import bundled_model
from objectness.proposals import Proposals
from objectness.version import __version__

_SAVE_SECONDS = 60

Identity = Mapping[str, object]
"""Plain values that tell a method and its settings from others."""


class ProgressCache:
    """Progress of each method, in memory and in a folder; files of other data sets and settings stay beside it.

    Args:
        folder: None to keep it in memory only.
        methods: Names of the methods.
        identities: Name -> identity; progress of methods without one is kept in memory only.
        reporter: Hears where progress is kept, and that it cannot be kept.

    Attributes:
        done: Name -> progress so far.
        folder: None where nothing is kept.

    Raises:
        InputError: the folder cannot be written to.
    """

    def __init__(
        self, folder: Path | None, methods: Mapping[str, object], identities: Mapping[str, Identity], reporter: Reporter
    ) -> None:
        self.folder = folder if identities else None
        self._identities = identities
        self._reporter = reporter
        self._saved = monotonic()
        self._paths = (
            {} if folder is None else {name: folder / _file_name(name, one) for name, one in identities.items()}
        )
        self.done = {name: Progress() for name in methods}
        for name, path in self._paths.items():
            require_place(path)
            self.done[name] = load(path, identities[name]) or Progress()
        if self.folder is not None:
            reporter.note(f"What the methods propose is kept in {self.folder}.")

    @property
    def where(self) -> str:
        """Where progress is kept, for a sentence."""
        return "nothing is kept" if self.folder is None else f"what was done is kept in {self.folder}"

    def save_sometimes(self) -> None:
        """Save if the last time is a minute ago."""
        if monotonic() - self._saved > _SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write all progress; a full disk ends the keeping, not the comparison."""
        for name, path in self._paths.items():
            if self.done[name].proposals:
                try:
                    save(path, self.done[name], self._identities[name])
                except InputError as error:
                    self._reporter.warn(f"{error} The comparison goes on, but cannot be resumed.")
                    self.folder, self._paths = None, {}
                    break
        self._saved = monotonic()


def identity(word: str) -> dict[str, object]:
    """The name of a method and digests of its files, so that a retrained model is not taken for the older one."""
    found: dict[str, object] = {"method": word, "version": __version__}
    if word == "default":
        found["model"] = digest(bundled_model())
        return found
    path = Path(word.split(":", 1)[1] if word.startswith("edge-boxes:") else word)
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors")) if path.is_dir() else []
    for file in files:
        found[file.name] = digest(file.read_bytes())
    return found


def digest(content: bytes) -> str:
    """A short digest of bytes."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def save(path: Path, progress: Progress, identity: Identity) -> None:
    """Write the progress of a method, whole or not at all.

    Args:
        path: An ``.npz`` file; its folder is made where it is missing.
        progress: Of one method.
        identity: Stored with it; the file is read only for the same identity.

    Raises:
        InputError: the place cannot be written to.
    """
    found = list(progress.proposals.values())
    with replacing_bytes(path) as file:
        np.savez(
            file,
            about=np.array(json.dumps(identity, sort_keys=True)),
            image_ids=np.array(list(progress.proposals), dtype=np.int64),
            seconds=np.array([progress.seconds[image_id] for image_id in progress.proposals], dtype=np.float64),
            sizes_hw=np.array([one.size_hw for one in found], dtype=np.int64).reshape(-1, 2),
            counts=np.array([len(one) for one in found], dtype=np.int64),
            boxes_xyxy=np.concatenate([np.zeros((0, 4), np.float32), *(one.boxes_xyxy for one in found)]),
            scores=np.concatenate([np.zeros(0, np.float32), *(one.scores for one in found)]),
        )


def load(path: Path, identity: Identity) -> Progress | None:
    """Read the progress of a method; None for a missing or damaged file, or one of another identity."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["about"]) != json.dumps(identity, sort_keys=True):
                return None
            ends = np.cumsum(file["counts"])[:-1]
            parts = zip(
                file["image_ids"].tolist(),
                np.split(file["boxes_xyxy"], ends),
                np.split(file["scores"], ends),
                file["sizes_hw"].tolist(),
                strict=False,
            )
            proposals = {
                image_id: Proposals(boxes, scores, (size_hw[0], size_hw[1]))
                for image_id, boxes, scores, size_hw in parts
            }
            return Progress(proposals, dict(zip(file["image_ids"].tolist(), file["seconds"].tolist(), strict=True)))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _file_name(name: str, identity: Identity) -> str:
    """A method's name as a file's; never two alike, and another for other photographs or settings."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)[:80]
    described = json.dumps([name, identity], sort_keys=True, default=str).encode("utf-8", "surrogatepass")
    return f"{plain}-{hashlib.blake2b(described, digest_size=6).hexdigest()}.npz"
