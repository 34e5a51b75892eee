"""Options of ``evaluate`` and ``compare``, and how their words become numbers and names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from objectness.errors import InputError

DataArgument = Annotated[
    Path, typer.Argument(metavar="DATA", help="The data set: a folder, a COCO JSON or a data.yaml.")
]
KOption = Annotated[
    list[str] | None,
    typer.Option("--k", help="Proposals an image for AR@k, as 1,10,100,300,1000; may be repeated."),
]
AtOption = Annotated[
    int | None,
    typer.Option(
        "--at", help="The k to look at closely: missed objects, differences.", show_default="100, else the largest"
    ),
]
SplitOption = Annotated[str | None, typer.Option(help="train, val, test or all; default: val, else test, else all.")]
SeenOption = Annotated[
    list[str] | None,
    typer.Option(help="Classes that training saw, to part the others from: names, a .txt list, or the word voc."),
]
RecallOption = Annotated[
    list[str] | None, typer.Option("--recall", help="Say how many proposals reach these recalls, as .5,.9.")
]
ShowOption = Annotated[
    list[str] | None, typer.Option("--show", help="More tables to print, as by-class,calibration; or all.")
]
ReportOption = Annotated[
    Path | None, typer.Option(help="Write an HTML page there, and CSV, JSON and PNG curves beside it.")
]
ThumbnailsOption = Annotated[int, typer.Option(min=0, help="Missed objects shown in the report, at most.")]
FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="FORMAT", help="Format of the proposals files, where it cannot be guessed."),
]
DrawsOption = Annotated[int, typer.Option(min=1, help="Draws of the bootstrap behind the intervals.")]


def numbers(texts: Sequence[str] | None, option: str, default: Sequence[int]) -> tuple[int, ...]:
    """Whole numbers from 1, from words like ``1,10,100`` that may be repeated."""
    if not texts:
        return tuple(default)
    found = _words(texts)
    # More digits are no number of boxes, and the largest k may become the number of boxes asked for.
    if not found or not all(word.isdecimal() and len(word) < 10 and int(word) > 0 for word in found):
        raise InputError(f"{option} is {','.join(texts)!r}, but takes whole numbers from 1, as in {option} 1,10,100.")
    return tuple(int(word) for word in found)


def shares(texts: Sequence[str] | None, option: str, default: Sequence[float]) -> tuple[float, ...]:
    """Numbers above 0 and up to 1, from words like ``.5,.9``."""
    if not texts:
        return tuple(default)
    try:
        found = tuple(float(word) for word in _words(texts))
    except ValueError:
        found = ()
    if not found or not all(0 < share <= 1 for share in found):
        raise InputError(
            f"{option} is {','.join(texts)!r}, but takes numbers above 0 and up to 1, as in {option} .5,.9."
        )
    return found


def names(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Names separated by commas; a ``.txt`` file stands for its lines."""
    found: list[str] = []
    for word in _words(texts or ()):
        if not word.lower().endswith(".txt"):
            found.append(word)
            continue
        try:
            lines = Path(word).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{word} cannot be read as a list of names, one a line ({error}).") from None
        found += [line.strip() for line in lines if line.strip()]
    return tuple(found)


def _words(texts: Sequence[str]) -> list[str]:
    return [word.strip() for text in texts for word in text.split(",") if word.strip()]
