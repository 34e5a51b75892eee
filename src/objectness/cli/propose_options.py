"""Options of ``propose``, by the panels of its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SELECTION, PICTURES, MACHINE, IDS = "Which boxes", "Pictures", "Model and machine", "Image ids"

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
    int, typer.Option(min=1, help="Boxes drawn on each picture, the best ones.", rich_help_panel=PICTURES)
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
MaxPixelsOption = Annotated[
    int, typer.Option(min=1, help="Refuse photos of more pixels than this.", rich_help_panel=MACHINE)
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
