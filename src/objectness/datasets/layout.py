"""Which of the three layouts a path holds, found by looking at it."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from objectness.datasets import coco, voc, yolo
from objectness.datasets.locating import exists
from objectness.datasets.records import Dataset
from objectness.datasets.splits import ALL, SPLITS, split_of, wanted_split
from objectness.errors import InputError
from objectness.images.finding import is_image

Source = coco.CocoFiles | voc.VocFiles | yolo.YoloFiles
_FINDERS: tuple[tuple[str, Callable[[Path, bool], Source | None]], ...] = (
    ("COCO", coco.find),
    ("YOLO", yolo.find),
    ("Pascal VOC", voc.find),
)
_LOOKED_FOR = (
    "COCO (a JSON file with 'images' and 'annotations', here, in annotations/ or in train/ and valid/), "
    "Pascal VOC (XML files in Annotations/) and YOLO (a data.yaml, or images/ with labels/)"
)


def load_dataset(path: str | Path, split: str | None = None, *, allow_outside: bool = False) -> Dataset:
    """Read ground truth in COCO, Pascal VOC or YOLO layout.

    Args:
        path: The data set's folder, a COCO JSON file or a data.yaml.
        split: "train", "val" or "test" (also "valid", "validation"); None or "all" reads everything that is
            there, each image once.
        allow_outside: The names in the data set's files may lead out of its folder, the one that is named or
            holds the file that is named (or the one above, where that is called ``annotations``).

    Returns:
        The records as annotated, nothing repaired; what could not be read is in ``problems``. Images of VOC
        and YOLO data sets are numbered over the whole data set, so an image has one id in every split.

    Raises:
        InputError: there is nothing there that can be read, or no such split; a name leads out of the folder.
    """
    path = Path(path)
    source = _find(path, allow_outside)
    if isinstance(source, coco.CocoFiles) and path.is_file():
        own = split_of(path.stem)  # one COCO file has no splits, but may be asked for by the one it is
        chosen = wanted_split(split, (own,) if own in SPLITS and own else (), str(path))
        return coco.read_file(path, source.boundary, chosen or ALL)
    chosen = wanted_split(split, source.splits, str(path))
    if isinstance(source, coco.CocoFiles):
        return coco.read(source, chosen)
    return voc.read(source, chosen) if isinstance(source, voc.VocFiles) else yolo.read(source, chosen)


def available_splits(path: str | Path, *, allow_outside: bool = False) -> tuple[str, ...]:
    """The splits of a data set in the order train, val, test; empty where it has none, as one COCO file.

    Raises:
        InputError: there is nothing there that can be read; see :func:`load_dataset` for ``allow_outside``.
    """
    return _find(Path(path), allow_outside).splits


def hold_out(dataset: Dataset, fraction: float = 0.1, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Set a random part of a data set aside for validation.

    Args:
        dataset: Two images or more.
        fraction: Share of the images for validation, above 0 and below 1; each part gets at least one.
        seed: The same seed gives the same parts.

    Returns:
        (train, val); the records keep their order.

    Raises:
        InputError: too few images, or a fraction that leaves one part empty.
    """
    count = len(dataset)
    if not 0 < fraction < 1:
        raise InputError(f"The share held out for validation must lie between 0 and 1, not {fraction}.")
    if count < 2:
        raise InputError(f"{dataset.root} has {count} image(s): at least 2 are needed to hold one out for validation.")
    held = min(count - 1, max(1, round(count * fraction)))
    chosen = set(np.random.default_rng(seed).permutation(count)[:held].tolist())

    def part(split: str, is_held: bool) -> Dataset:
        records = tuple(record for index, record in enumerate(dataset.records) if (index in chosen) == is_held)
        return replace(
            dataset,
            split=split,
            records=records,
            problems=() if is_held else dataset.problems,
            notes=() if is_held else dataset.notes,
        )

    return part("train", False), part("val", True)


def _find(path: Path, allow_outside: bool) -> Source:
    try:
        return _find_in_file(path, allow_outside) if path.is_file() else _find_in_folder(path, allow_outside)
    except PermissionError as error:
        raise InputError(f"{error.filename} may not be read (permission denied).") from None
    except OSError as error:  # a name that is too long
        raise InputError(f"{str(path)[:200]} cannot be read ({error.strerror or error}).") from None


def _find_in_file(path: Path, allow_outside: bool) -> Source:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return coco.of_file(path, allow_outside)
    if suffix in (".yaml", ".yml"):
        return yolo.read_yaml(path, allow_outside)
    if suffix in (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"):
        raise InputError(f"{path} is an archive: unpack it and give the folder.")
    raise InputError(f"{path} is no data set: give a folder, a COCO JSON file or a YOLO data.yaml.")


def _find_in_folder(path: Path, allow_outside: bool) -> Source:
    if exists(path) and not path.is_dir():
        raise InputError(f"{path} is a pipe or a device: give a folder, a COCO JSON file or a YOLO data.yaml.")
    if not path.is_dir():
        raise InputError(f"{path} does not exist{_nearest(path)}.")
    if path.name == "Annotations":
        path = path.parent
    found = {name: source for name, find in _FINDERS if (source := find(path, allow_outside)) is not None}
    if len(found) > 1:
        raise InputError(
            f"{path} holds data sets of {len(found)} kinds ({', '.join(found)}): give the COCO JSON file or "
            "the data.yaml itself, or move the other one away."
        )
    source = next(iter(found.values()), None) or yolo.find_bare(path)
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
        found = next((source for _, find in _FINDERS if (source := find(folder, False))), None)
        if isinstance(found, coco.CocoFiles) and found.doubles:
            return False
        return found is not None or yolo.find_bare(folder) is not None
    except (InputError, OSError):  # a hint must not fail in the place of what it is for
        return False


def _nearest(path: Path) -> str:
    """A did-you-mean among the neighbours of a path that does not exist."""
    names = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1)
    return f": did you mean {path.parent / close[0]}" if close else ": give a folder, a COCO JSON file or a data.yaml"
