"""A notice of settings by the names of an earlier version."""

from __future__ import annotations

from collections.abc import Sequence

from objectness.cli.output import Output


def note_old_names(output: Output, assignments: Sequence[str], document: object = None) -> None:
    """One note where assignments, or a document of settings, use names of an earlier version."""
    from objectness.settings import old_names
    from objectness.training.settings import RunSettings

    names = old_names(RunSettings(), document, assignments)
    if names:
        renamed = ", ".join(f"{old} is now {new}" for old, new in names.items())
        output.note(f"Settings by old names, which the next version will not read: {renamed}.")
