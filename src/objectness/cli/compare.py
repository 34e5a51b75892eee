"""``objectness compare``: recall and time of several methods, side by side, on the same photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from objectness.cli.comparison_options import (
    AtOption,
    DataArgument,
    DrawsOption,
    FromOption,
    KOption,
    RecallOption,
    ReportOption,
    SeenOption,
    ShowOption,
    SplitOption,
    ThumbnailsOption,
    names,
    numbers,
    shares,
)
from objectness.cli.model_options import SizeOption, ThoroughFlag
from objectness.cli.output import (
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    AllowOutsideFlag,
    JsonFlag,
    Output,
    QuietFlag,
    SeedOption,
    one_sentence_errors,
)
from objectness.errors import InputError

USUAL = ("default", "selective-search", "sliding-window", "uniform")
DEFAULT_FOLDER = Path("runs/compare")


@one_sentence_errors
def command(
    data: DataArgument,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            help="Models, proposals files and baselines, as model.onnx,selective-search,sliding-window,uniform; "
            "edge-boxes:MODEL takes the model of its edge detector.",
            show_default=",".join(USUAL),
        ),
    ] = None,
    split: SplitOption = None,
    source_format: FromOption = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Use this many photographs, drawn by the seed.", show_default="all")
    ] = None,
    size: SizeOption = None,
    thorough: ThoroughFlag = False,
    k: KOption = None,
    at: AtOption = None,
    seen: SeenOption = None,
    recall: RecallOption = None,
    show: ShowOption = None,
    report: ReportOption = None,
    thumbnails: ThumbnailsOption = 240,
    keep: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the proposals of the methods; the same command resumes from there.",
            show_default="runs/compare",
        ),
    ] = None,
    no_keep: Annotated[bool, typer.Option("--no-keep", help="Keep nothing; a stopped comparison begins anew.")] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Processor threads a method may use.", show_default="all cores")
    ] = None,
    draws: DrawsOption = 1000,
    seed: SeedOption = 0,
    allow_outside: AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Propose with several methods, photograph by photograph in turn; print recall and time side by side."""
    from objectness.cli.comparison_output import print_comparison, reporter_of
    from objectness.cli.targets import guarded, report_files
    from objectness.evaluation.measurement import DEFAULT_KS
    from objectness.evaluation.proposals_needed import RECALLS
    from objectness.evaluation.run_comparison import compare

    output = Output(as_json, quiet)
    words = [word.strip() for text in methods or [",".join(USUAL)] for word in text.split(",") if word.strip()]
    if not words:
        raise InputError("--with names no method: name some, as in --with default,selective-search,uniform.")
    with guarded(report_files(report), [word.split(":", 1)[-1] for word in words], data):
        comparison = compare(
            data,
            words,
            split=split,
            source_format=source_format,
            limit=limit,
            size=size,
            thorough=thorough,
            ks=numbers(k, "--k", DEFAULT_KS),
            at=at,
            recalls=shares(recall, "--recall", RECALLS),
            seen=names(seen),
            cache=None if no_keep else keep or _default_folder(output),
            partial=True,
            threads=threads,
            draws=draws,
            seed=seed,
            allow_outside=allow_outside,
            reporter=reporter_of(output),
        )
        print_comparison(comparison, output, show=names(show), report=report, thumbnails=thumbnails)
    if comparison.stopped:
        raise typer.Exit(EXIT_INTERRUPTED)
    if comparison.failed or (comparison.missing and methods):  # those that nobody named may be missing
        raise typer.Exit(EXIT_SOME_FAILED)


def _default_folder(output: Output) -> Path | None:
    """The folder that keeps proposals if none is named; None where it cannot be written to."""
    from objectness.files.atomic_write import require_place

    try:
        require_place(DEFAULT_FOLDER / "progress.npz")
    except InputError as error:
        output.warn(f"{error} Nothing is kept; --keep names another folder.")
        return None
    return DEFAULT_FOLDER
