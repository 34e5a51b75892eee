"""What the methods of a comparison have proposed so far, in memory and in a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from objectness.cli.output import Output
from objectness.errors import InputError
from objectness.evaluation import progress_cache
from objectness.evaluation.run_methods import Progress
from objectness.files.atomic_write import require_place

DEFAULT_FOLDER = Path("runs/compare")


class Kept:
    """Progress of each method; the files of other data sets and settings stay beside it.

    Args:
        folder: Where it is kept; None for only in memory.
        about: Name of the method -> what it is and what it is asked for.
        output: For what cannot be kept.

    Attributes:
        done: Name -> what it has proposed.
    """

    def __init__(self, folder: Path | None, about: Mapping[str, Mapping[str, object]], output: Output) -> None:
        self.folder = folder
        self._about = about
        self._output = output
        self._paths = {} if folder is None else {name: folder / _file_name(name, about[name]) for name in about}
        self.done: dict[str, Progress] = {name: Progress() for name in about}
        for name, path in self._paths.items():
            require_place(path)
            self.done[name] = progress_cache.load(path, about[name]) or Progress()

    @property
    def where(self) -> str:
        """What became of what was done, for a sentence."""
        return "nothing is kept" if self.folder is None else f"what was done is kept in {self.folder}"

    def save(self) -> None:
        """Write all of it; a disk that is full costs what was to be kept, and not the comparison."""
        for name, path in self._paths.items():
            if self.done[name].proposals:
                try:
                    progress_cache.save(path, self.done[name], self._about[name])
                except InputError as error:
                    self._output.warn(f"{error} The comparison goes on, but cannot be resumed.")
                    self.folder, self._paths = None, {}
                    return


def open_kept(folder: Path | None, wanted: bool, about: Mapping[str, Mapping[str, object]], output: Output) -> Kept:
    """Read what an earlier run kept, and say where.

    Args:
        folder: As the user named it; None for the default, which may be missing or closed.
        wanted: Whether anything is to be kept.
        about: As of :class:`Kept`.
        output: For notes.

    Raises:
        InputError: the folder that was named cannot be written to.
    """
    if not wanted or not about:
        return Kept(None, about, output)
    try:
        kept = Kept(folder or DEFAULT_FOLDER, about, output)
    except InputError as error:
        if folder is not None:
            raise
        output.warn(f"{error} Nothing is kept; --keep names another folder.")
        return Kept(None, about, output)
    output.note(f"What the methods propose is kept in {kept.folder} (--keep names another folder, --no-keep none).")
    return kept


def _file_name(name: str, about: Mapping[str, object]) -> str:
    """A method's name as a file's; never two alike, and another for other photographs or settings."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)[:80]
    described = json.dumps([name, about], sort_keys=True, default=str).encode("utf-8", "surrogatepass")
    return f"{plain}-{hashlib.blake2b(described, digest_size=6).hexdigest()}.npz"
