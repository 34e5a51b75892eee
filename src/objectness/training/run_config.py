"""Run folders, and the config.json in each: data and settings of a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from objectness.errors import InputError
from objectness.files.atomic_write import replacing
from objectness.files.untrusted import load_json
from objectness.settings import from_dict, to_dict
from objectness.training.settings import RunSettings
from objectness.version import __version__

CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class RunConfig:
    """Data and settings of a run.

    Attributes:
        data: The data set.
        settings: Every number.
        strict: Data that would need repair are refused.
        allow_outside: Names in the data set's files may lead out of its folder.
        proposals: Files of proposals for a detector: one for all photographs, or one for those of training and one for
            those of validation.
    """

    data: Path
    settings: RunSettings
    strict: bool = False
    allow_outside: bool = False
    proposals: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        given, wanted = len(self.proposals), self.settings.scheme == "fast-rcnn"
        if wanted and given not in (1, 2):
            raise InputError(
                f"The recipe {self.settings.recipe} trains on proposals that were made before: give a file of them, or "
                f"one for training and one for validation; there are {given}.",
                arguments=("proposals",),
            )
        if given and not wanted:
            raise InputError(
                f"The recipe {self.settings.recipe} makes its own proposals: give none, or take the recipe fast-rcnn."
            )

    def write(self, folder: Path) -> None:
        """Write it into a run folder; raises InputError where that fails."""
        document = {
            "objectness": __version__,
            "data": str(self.data.resolve()),
            "strict": self.strict,
            "allow_outside": self.allow_outside,
            **({"proposals": [str(path.resolve()) for path in self.proposals]} if self.proposals else {}),
            "settings": to_dict(self.settings),
        }
        with replacing(folder / CONFIG_FILE) as file:
            file.write(json.dumps(document, indent=2) + "\n")


def read_config(folder: Path) -> RunConfig:
    """The data and settings of the run in ``folder``.

    Raises:
        InputError: not a run folder, or its config.json is broken.
    """
    path = folder / CONFIG_FILE
    try:
        if not path.exists():
            raise InputError(f"{folder} is not a run folder: it has no {CONFIG_FILE}.")
        document = load_json(path)
        data, strict, settings = (document[key] for key in ("data", "strict", "settings"))
        allow_outside, proposals = document.get("allow_outside", False), document.get("proposals", [])
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}).") from None
    except (KeyError, TypeError):
        raise InputError(
            f"{path} is not what `objectness train` wrote: it needs the keys data, strict and settings."
        ) from None
    if not isinstance(data, str):
        raise InputError(f"{path} is damaged: data is {data!r}, which is no path.")
    if not isinstance(proposals, list) or not all(isinstance(one, str) for one in proposals):
        raise InputError(f"{path} is damaged: proposals is {proposals!r}, which is no list of paths.")
    files = tuple(map(Path, proposals))
    return RunConfig(Path(data), from_dict(RunSettings, settings), bool(strict), bool(allow_outside), files)


def run_folder(path: Path) -> Path:
    """The run folder that a path names: itself, or that of a checkpoint in one."""
    return path.parent if path.suffix == ".safetensors" and (path.parent / CONFIG_FILE).is_file() else path


def new_folder(path: Path) -> Path:
    """Make ``path``, or ``path`` with the suffix 2, 3 ... where that exists: nothing is overwritten.

    Raises:
        InputError: it cannot be made.
    """
    folder, number = path, 2
    while folder.exists():
        folder, number = path.parent / f"{path.name}{number}", number + 1
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"The run folder {folder} cannot be made ({error.strerror or error}).") from None
    return folder
