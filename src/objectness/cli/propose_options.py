"""Options of ``propose``, by the panels of its help."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from objectness.errors import InputError

if TYPE_CHECKING:
    from objectness.images.windows.protocol import Rectangle

SELECTION, LARGE, PICTURES, MACHINE, IDS = (
    "Which boxes",
    "Large images",
    "Pictures",
    "Model and machine",
    "Image ids",
)

SourceArgument = Annotated[
    list[str],
    typer.Argument(help="Photos, folders (with their subfolders), quoted patterns, or .txt lists of paths."),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder for the pictures and proposals.json.",
        show_default="proposals; none with --json --no-pictures, which then writes no file",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        help="An .onnx or OpenVINO .xml file, a .safetensors checkpoint or a run folder.",
        show_default="built in",
    ),
]
TopOption = Annotated[
    int | None, typer.Option(min=1, help="Proposals a photo, at most.", show_default="the model's own")
]

TileOption = Annotated[
    str,
    typer.Option(
        metavar="auto|off|PX",
        help="Photos of more than 50 megapixels are read in tiles, at full resolution; PX: all photos, in tiles of "
        "this side; off: none, all are shrunk.",
        rich_help_panel=LARGE,
    ),
]
OverlapOption = Annotated[
    str,
    typer.Option(
        metavar="auto|exact|PX",
        help="How far a tile sees beyond its own part. exact: as far as the model sees, so that tiles change nothing.",
        rich_help_panel=LARGE,
    ),
]
ScalesOption = Annotated[
    str,
    typer.Option(
        metavar="auto|N|F,F",
        help="Sizes at which the image is seen. auto: full, half, quarter, and so on; N: the N largest of these; "
        "or fractions as 1,.5,.1.",
        rich_help_panel=LARGE,
    ),
]
ResumeFlag = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with what a stopped or killed run left in --out; done photos and tiles are not done again.",
        rich_help_panel=LARGE,
    ),
]
MaxPixelsOption = Annotated[
    int, typer.Option(min=1, help="Refuse photos of more pixels than this.", rich_help_panel=LARGE)
]
GeojsonFlag = Annotated[
    bool,
    typer.Option(
        "--geojson/--no-geojson",
        help="For a GeoTIFF: write its boxes as GeoJSON in its coordinate system too.",
        rich_help_panel=LARGE,
    ),
]

ScoreOption = Annotated[
    float, typer.Option(min=0, max=1, help="Leave out proposals below this score.", rich_help_panel=SELECTION)
]
NmsOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Drop the worse of two boxes that overlap by more than this IoU.",
        show_default="the model's own",
        rich_help_panel=SELECTION,
    ),
]
MinSideOption = Annotated[
    float,
    typer.Option(
        min=0,
        help="Leave out boxes less wide or high than this, in pixels of the photo.",
        rich_help_panel=SELECTION,
    ),
]

PicturesFlag = Annotated[
    bool,
    typer.Option("--pictures/--no-pictures", help="Draw a picture of each photo.", rich_help_panel=PICTURES),
]
DrawOption = Annotated[
    int,
    typer.Option(
        min=1,
        help="Boxes drawn on each picture, the best ones; five times as many on the overview of a large image.",
        rich_help_panel=PICTURES,
    ),
]
DetailsOption = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Draw the N parts of 1,000 x 1,000 pixels in which most was found, at full resolution.",
        rich_help_panel=PICTURES,
    ),
]
DetailOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="X,Y,W,H",
        help="Draw this part of each photo at full resolution; may be repeated.",
        rich_help_panel=PICTURES,
    ),
]

EngineOption = Annotated[
    str,
    typer.Option(help="auto (the engine of the file), onnxruntime, openvino or torch.", rich_help_panel=MACHINE),
]
DeviceOption = Annotated[
    str, typer.Option(help="cpu or cuda; for OpenVINO cpu, gpu, npu or auto.", rich_help_panel=MACHINE)
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Processor threads.", show_default="all cores", rich_help_panel=MACHINE),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        help="Ground truth whose image ids to use, by file name.",
        show_default="photos are numbered from 1",
        rich_help_panel=IDS,
    ),
]
AllowOutsideFlag = Annotated[
    bool,
    typer.Option(
        "--allow-outside",
        help="Let the names in the data set's files lead out of its folder.",
        rich_help_panel=IDS,
    ),
]


def word_or_number(text: str) -> str | int:
    """``auto``, ``off`` or ``exact`` as they are, a whole number as such; the library refuses all else."""
    return int(text) if text.isdecimal() and len(text) < 10 else text


def word_number_or_fractions(text: str) -> str | int | tuple[float, ...]:
    """``auto``, a whole number, or fractions with a point or a comma between them."""
    if text.isdecimal() and len(text) < 10:
        return int(text)
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        return text


def rectangles(texts: Sequence[str] | None) -> tuple[Rectangle, ...]:
    """Parts of an image, from words like ``0,500,1000,800``: x, y, width, height.

    Raises:
        InputError: Other words.
    """
    from objectness.images.windows.protocol import Rectangle

    found = []
    for text in texts or ():
        parts = [part.strip() for part in text.split(",")]
        if len(parts) != 4 or not all(part.isdecimal() and len(part) < 10 for part in parts):
            raise InputError(
                f"--detail is {text!r}, but takes x,y,width,height in pixels, as in --detail 0,500,1000,800."
            )
        x, y, width, height = map(int, parts)
        found.append(Rectangle(y, x, height, width))
    return tuple(found)
