"""Loading of ground truth: the layout of a folder or file is found by its content."""

from __future__ import annotations

import difflib
from pathlib import Path

from objectness.datasets.layouts import LAYOUTS, Source
from objectness.datasets.path_lookup import exists
from objectness.datasets.records import Dataset
from objectness.errors import InputError
from objectness.images.finding import is_image

_SIGNS = [f"{layout.title} ({layout.signs})" for layout in LAYOUTS]
_LOOKED_FOR = f"{', '.join(_SIGNS[:-1])} and {_SIGNS[-1]}"
_NAMED_FILES = "a folder, a COCO JSON file or a YOLO data.yaml"


def load_dataset(path: str | Path, split: str | None = None, *, allow_outside: bool = False) -> Dataset:
    """Read ground truth in COCO, Pascal VOC or YOLO layout.

    Args:
        path: The data set's folder, a COCO JSON file or a data.yaml.
        split: "train", "val" or "test" (also "valid", "validation"); None or "all" reads everything that is
            there, each image once.
        allow_outside: File names may lead out of the data set's folder. That folder is ``path``, or the folder of the
            file ``path``; where it is called ``annotations``, its parent.

    Returns:
        The records as annotated, nothing repaired; unreadable parts are in ``problems``. Images of VOC
        and YOLO data sets are numbered over the whole data set, so an image has one id in every split.

    Raises:
        InputError: there is nothing there that can be read, or no such split; a name leads out of the folder.
    """
    return _find(Path(path), allow_outside).read(split)


def available_splits(path: str | Path, *, allow_outside: bool = False) -> tuple[str, ...]:
    """The splits of a data set in the order train, val, test; empty where it has none, as one COCO file.

    Raises:
        InputError: there is nothing there that can be read; see :func:`load_dataset` for ``allow_outside``.
    """
    return _find(Path(path), allow_outside).splits


def _find(path: Path, allow_outside: bool) -> Source:
    try:
        return _find_in_file(path, allow_outside) if path.is_file() else _find_in_folder(path, allow_outside)
    except PermissionError as error:
        raise InputError(f"{error.filename} may not be read (permission denied).") from None
    except OSError as error:  # a name that is too long
        raise InputError(f"{str(path)[:200]} cannot be read ({error.strerror or error}).") from None


def _find_in_file(path: Path, allow_outside: bool) -> Source:
    suffix = path.suffix.lower()
    for layout in LAYOUTS:
        if layout.open_file is not None and suffix in layout.suffixes:
            return layout.open_file(path, allow_outside)
    if suffix in (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"):
        raise InputError(f"{path} is an archive: unpack it and give the folder.")
    raise InputError(f"{path} is no data set: give {_NAMED_FILES}.")


def _find_in_folder(path: Path, allow_outside: bool) -> Source:
    if exists(path) and not path.is_dir():
        raise InputError(f"{path} is a pipe or a device: give {_NAMED_FILES}.")
    if not path.is_dir():
        raise InputError(f"{path} does not exist{_nearest(path)}.")
    if path.name == "Annotations":
        path = path.parent
    found = {layout.title: source for layout in LAYOUTS if (source := layout.find(path, allow_outside)) is not None}
    if len(found) > 1:
        raise InputError(
            f"{path} holds data sets of {len(found)} kinds ({', '.join(found)}): give the COCO JSON file or "
            "the data.yaml itself, or move the other one away."
        )
    unmarked = (layout.find_unmarked(path) for layout in LAYOUTS)
    source = next(iter(found.values()), None) or next((source for source in unmarked if source is not None), None)
    if source is None:
        raise InputError(_nothing_found(path))
    return source


def _nothing_found(path: Path) -> str:
    children = sorted(child for child in path.iterdir() if not child.name.startswith("."))
    near = [child for child in children if child.is_dir()][:20] or [path.parent]
    sets = [str(folder) for folder in near if _is_data_set(folder)]
    if sets:
        some = f"{', '.join(sets[:3])}{' and others' if len(sets) > 3 else ''}"
        return f"{path} is no data set itself, but {some} {'is' if len(sets) == 1 else 'are'}: give one folder."
    shown = [f"{child.name}/" if child.is_dir() else child.name for child in children]
    there = ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
    if children and all(is_image(child) for child in children if child.is_file()) and any(map(is_image, children)):
        return (
            f"{path} holds images but no annotations ({there}): "
            f"looked for {_LOOKED_FOR}; put the boxes there in one of these ways."
        )
    return (
        f"{path} holds no data set: looked for {_LOOKED_FOR}; found {there or 'an empty folder'}: "
        "give the folder that holds the annotations."
    )


def _is_data_set(folder: Path) -> bool:
    try:
        found = next((source for layout in LAYOUTS if (source := layout.find(folder, False)) is not None), None)
        return found is not None or any(layout.find_unmarked(folder) for layout in LAYOUTS)
    except (InputError, OSError):  # a hint must not hide the error that it belongs to
        return False


def _nearest(path: Path) -> str:
    """A did-you-mean among the neighbours of a path that does not exist."""
    names = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1)
    return f": did you mean {path.parent / close[0]}" if close else ": give a folder, a COCO JSON file or a data.yaml"
