"""Options of every command that runs a model on photographs."""

from __future__ import annotations

from typing import Annotated

import typer

SizeOption = Annotated[
    int | None,
    typer.Option(
        min=32,
        metavar="PX",
        help="Shrink or enlarge photos to this short side before the model sees them: larger finds smaller objects, "
        "in more time.",
        show_default="the model's own",
    ),
]
ThoroughFlag = Annotated[
    bool,
    typer.Option("--thorough", help="Look at each photo at several sizes: finds more, in several times the time."),
]
