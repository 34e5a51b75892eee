"""``objectness validate FILE``: faults of a proposals file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from objectness.cli.convert import FORMATS, DataOption, ImagesOption, SplitOption
from objectness.cli.output import EXIT_SOME_FAILED, AllowOutsideFlag, JsonFlag, Output, QuietFlag, one_sentence_errors

if TYPE_CHECKING:
    from rich.console import Console

    from objectness.formats.validation import Finding, Validation

_LISTED = 10


@one_sentence_errors
def command(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The proposals: a file or a folder.")],
    source_format: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="Its format, where it cannot be guessed.")
    ] = None,
    data: DataOption = None,
    split: SplitOption = None,
    images: ImagesOption = None,
    allow_outside: AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Name the faults of a proposals file and what its readers do about them (exit code 1 if one would break)."""
    from objectness.formats.validation import validate

    output = Output(as_json, quiet)
    found = validate(path, source_format, data=data, images=images, split=split, allow_outside=allow_outside)
    output.result(_document(found))
    _print(found, output.tables, is_bare=data is None and images is None)
    if found.breaks:
        raise typer.Exit(EXIT_SOME_FAILED)


command.__doc__ = f"{command.__doc__}{FORMATS}"


def _document(found: Validation) -> dict[str, Any]:
    return {
        "file": found.path,
        "format": found.format.name,
        "images": found.images,
        "proposals": found.proposals,
        "breaks": found.breaks,
        "findings": [
            {
                "kind": finding.kind.value,
                "image": finding.image,
                found.unit.replace(" ", "_"): finding.number,
                "detail": finding.detail,
                "consumer": finding.reaction.consumer,
                "does": finding.reaction.effect,
                "breaks": finding.reaction.breaks,
            }
            for finding in found.findings
        ],
        "notes": list(found.notes),
    }


def _print(found: Validation, console: Console, *, is_bare: bool) -> None:
    counts = f"{found.images:,} images, {found.proposals:,} proposals"
    _say(console, f"{found.path}: {found.format.title}, {counts}")
    for kind, findings in found.by_kind.items():
        reaction = findings[0].reaction
        word = "BREAKS" if reaction.breaks else "note"
        _say(console, f"\n{word}: {kind.value}: {len(findings)}. {reaction.consumer} {reaction.effect}.")
        for finding in findings[:_LISTED]:
            _say(console, f"  {_place(finding, found.unit)}{finding.detail}")
        if len(findings) > _LISTED:
            _say(console, f"  and {len(findings) - _LISTED} more: use --json")
    for note in found.notes:
        _say(console, f"\nnote: {note}.")
    if not found.findings:
        _say(console, "Nothing is wrong.")
    if is_bare:
        _say(console, "\nMissing images, ids and order were not checked: --data gives the data set to check against.")


def _place(finding: Finding, unit: str) -> str:
    image = f"{finding.image}, " if finding.image is not None and finding.number is not None else finding.image or ""
    number = f"{unit} {finding.number} " if finding.number is not None else " " if image else ""
    return f"{image}{number}"


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True)
