"""Targets that a command may write: never its own inputs, and checked before the work is begun."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from objectness.errors import InputError
from objectness.files.atomic_write import protecting, require_place
from objectness.files.untrusted import is_inside
from objectness.inference.model_files import OPENVINO, SUFFIXES, is_run_folder

_BESIDE_A_MODEL = (".json", ".bin")
_COCO = re.compile(rb'\s*\{\s*"(info|images|annotations|categories|licenses|type)"')
_HEAD, _MOST = 4096, 256 << 20


@contextmanager
def guarded(
    targets: Iterable[Path | None], inputs: Iterable[Path | str | None], data: Path | None = None
) -> Iterator[None]:
    """Refuse targets that cannot be written or that stand in the place of an input; protect the inputs meanwhile.

    Args:
        targets: Files that will be written.
        inputs: Files and folders that are read; words that are no paths (a method's name, say) are passed over.
        data: The data set that is read: none of its files is replaced, also none of a part that is not read.

    Raises:
        InputError: which target, and why.
    """
    root = None if data is None else data if data.is_dir() else data.parent
    files = [file for one in inputs if one is not None for file in _files(Path(one))]
    if data is not None and not data.is_dir():
        files.append(data)
    with protecting(files):
        for target in targets:
            if target is None:
                continue
            if root is not None and is_inside(target, root) and _is_ground_truth(target):
                raise InputError(f"{target} is a file of the data set {data} and would be overwritten: name another.")
            if _is_annotated(target):
                raise InputError(f"{target} holds annotations and would be overwritten: name another, or delete it.")
            require_place(target)
        yield


def require_targets(
    targets: Iterable[Path | None], inputs: Iterable[Path | str | None], data: Path | None = None
) -> None:
    """The same check, once before the work; raises as :func:`guarded`."""
    with guarded(targets, inputs, data):
        pass


def report_files(page: Path | None) -> tuple[Path, ...]:
    """The page and the files beside it that are known before the work.

    Raises:
        InputError: one of them is there and was not written with an older page.
    """
    if page is None:
        return ()
    beside = (page.with_suffix(".csv"), page.with_suffix(".json"))
    if page in beside:
        raise InputError(f"--report {page} is a page and gets {page.name} beside it: name it *.html.")
    if not _is_page(page) and (strange := next((file for file in beside if file.exists()), None)):
        raise InputError(f"--report {page} would overwrite {strange}, which is no older report's: name another page.")
    return (page, *beside)


def _is_page(path: Path) -> bool:
    return path.is_file() and any(b"<title>" + kind in _head(path) for kind in (b"Proposals: ", b"Detections: "))


def _files(place: Path) -> Iterator[Path]:
    """The files that may be read where a file or folder is named, and those that are known to lie beside it."""
    from objectness.proposals import images_path

    if place.is_dir():
        if is_run_folder(place):
            suffixes = (*SUFFIXES, *_BESIDE_A_MODEL)
            yield from (file for file in place.iterdir() if file.suffix.lower() in suffixes)
            yield from (place / "results.csv", place / "results.png")
        else:
            from objectness.formats.registry import file_suffixes

            yield from (file for file in place.rglob("*") if file.suffix.lower() in file_suffixes())
        return
    yield place
    if place.suffix:
        yield images_path(place)
    if place.suffix.lower() == OPENVINO:
        yield place.with_suffix(".bin")


def _is_ground_truth(path: Path) -> bool:
    """Whether a file that is there may be a part of a data set: annotations, labels or an image."""
    from objectness.drawing.saving import is_drawn_by_us
    from objectness.images.finding import DRAWN_SUFFIX, PHOTO_SUFFIXES

    if not path.is_file():
        return False
    match path.suffix.lower():
        case ".json":
            return _COCO.match(_head(path)) is not None
        case ".txt":
            return not _head(path).lstrip().startswith((b"{", b"["))
        case ".xml" | ".yaml" | ".yml":
            return True
        case suffix:
            return suffix in PHOTO_SUFFIXES and not path.stem.endswith(DRAWN_SUFFIX) and not is_drawn_by_us(path)


def _is_annotated(path: Path) -> bool:
    """Whether a COCO file of ground truth is there, wherever it lies: boxes, and no scores as ours have."""
    if path.suffix.lower() != ".json" or not path.is_file() or not _COCO.match(_head(path)):
        return False
    content = _head(path, _MOST)
    return b'"bbox"' in content and b'"score"' not in content


def _head(path: Path, most: int = _HEAD) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError:
        return b""
