"""What a run of ``objectness propose`` leaves when it is stopped or killed, and how ``--resume`` goes on from there.

``proposals.unfinished`` in the folder of the results holds ``run.json`` (the options, the photographs, where the
results are meanwhile) and the tiles of the image under way. A run that comes to its end removes its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objectness.errors import InputError

if TYPE_CHECKING:
    from objectness.cli.propose_plan import Task
    from objectness.images.windows.protocol import Rectangle
    from objectness.proposals import Proposals

UNFINISHED, _RUN = "proposals.unfinished", "run.json"


class Unfinished:
    """The state of a run.

    Args:
        out: The folder of the results.
        options: All that the boxes depend on, by the names of the options.
        resumes: Whether the run goes on with what is there.

    Attributes:
        folder: Where the state is.
        missing: Image id -> the parts of it that could not be read.
    """

    def __init__(self, out: Path, options: Mapping[str, Any], *, resumes: bool) -> None:
        self.folder = out / UNFINISHED
        self.resumes = resumes
        self.missing: dict[int | str, tuple[Rectangle, ...]] = {}
        self._out = out
        self._options = {name: _plain(value) for name, value in options.items()}
        self._photos: list[Any] = []
        self._results: str | None = None
        self._superseded: Path | None = None
        self._has_begun = False

    def taken_over(self, tasks: Sequence[Task]) -> dict[int | str, Proposals]:
        """What an earlier run has done of these tasks: image id -> proposals; nothing where this one begins anew.

        Raises:
            InputError: It had other options, or what it left cannot be read.
        """
        earlier = self._earlier() if self.resumes else {}
        if earlier.get("results") is None or not (self._out / earlier["results"]).is_file():
            return {}
        from objectness.formats import read_proposals
        from objectness.formats.coco_journal import is_partial
        from objectness.images.windows.protocol import Rectangle

        results = self._out / earlier["results"]
        found = read_proposals(results, "coco-results")
        before = {image_id: (file, stamp) for image_id, file, stamp in earlier["photos"]}
        done = {
            task.image_id: found[task.image_id]
            for task in tasks
            if task.image_id in found
            and found[task.image_id].source == str(task.photo)
            and before.get(task.image_id) == (str(task.photo), _stamp(task.photo))
        }
        for image_id, parts in earlier["missing"]:
            if image_id in done:
                self.missing[image_id] = tuple(Rectangle(*part) for part in parts)
        self._superseded = results if is_partial(results.name) else None
        return done

    def begin(self, tasks: Sequence[Task], results: Path) -> None:
        """Write down what is to be done, and where the results go meanwhile: they hold what was taken over.

        Raises:
            InputError: The place cannot be written to.
        """
        from objectness.proposals import images_path

        self._photos = [[task.image_id, str(task.photo), _stamp(task.photo)] for task in tasks]
        self._results = results.name
        self._has_begun = True
        self._write()
        if self._superseded is not None and self._superseded != results:
            for file in (self._superseded, images_path(self._superseded)):
                file.unlink(missing_ok=True)

    def note_missing(self, image_id: int | str, missing: Sequence[Rectangle]) -> None:
        """Remember the parts of an image that could not be read; raises as :meth:`begin`."""
        self.missing[image_id] = tuple(missing)
        self._write()

    def end(self, results: Path | None, *, is_whole: bool) -> None:
        """The run ends; tiles of images that were not in it stay.

        Args:
            results: Where its results are now.
            is_whole: Whether it came to its end: then nothing is left to go on with.
        """
        if not is_whole:
            if self._has_begun:  # else what the earlier run left is as it was
                self._results = None if results is None else results.name
                with suppress(InputError):  # the disk is full, say: then photographs are done again
                    self._write()
            return
        with suppress(OSError):
            (self.folder / _RUN).unlink(missing_ok=True)
            self.folder.rmdir()

    def _write(self) -> None:
        from objectness.files.atomic_write import replacing

        run = {
            "options": self._options,
            "results": self._results,
            "missing": list(self.missing.items()),
            "photos": self._photos,
        }
        with replacing(self.folder / _RUN) as file:
            json.dump(run, file)

    def _earlier(self) -> dict[str, Any]:
        path = self.folder / _RUN
        try:
            earlier = json.loads(path.read_text(encoding="utf-8"))
            missing = {"options", "results", "missing", "photos"} - earlier.keys()
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError):
            missing = {"all"}
        if missing:
            raise InputError(
                f"{path}: what an earlier run left there cannot be read; leave --resume out to begin anew."
            )
        for name, value in self._options.items():
            before = earlier["options"].get(name)
            if before != value:
                raise InputError(
                    f"{path.parent} is of a run with --{name} {_shown(before)}, and this one has {_shown(value)}: give "
                    "the same options, or leave --resume out to begin anew."
                )
        return dict(earlier)


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(value))


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return {"None": "its default", "True": "on", "False": "off"}.get(str(value), str(value))


def _stamp(photo: Path) -> list[int] | None:
    try:
        status = photo.stat()
    except (OSError, ValueError):  # also of names that no file can have
        return None
    return [status.st_size, status.st_mtime_ns]
