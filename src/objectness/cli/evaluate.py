"""``objectness evaluate``: recall of models, proposals files and baselines."""

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
from objectness.cli.output import (
    EXIT_SOME_FAILED,
    AllowOutsideFlag,
    JsonFlag,
    Output,
    QuietFlag,
    SeedOption,
    one_sentence_errors,
)


@one_sentence_errors
def command(
    methods: Annotated[
        list[str],
        typer.Argument(
            metavar="METHOD",
            help="Proposals (every format that convert reads), models (.onnx, .xml, .safetensors, run folder, "
            "the word default), or baselines "
            "(uniform, sliding-window, selective-search, edge-boxes:MODEL).",
        ),
    ],
    data: DataArgument,
    split: SplitOption = None,
    source_format: FromOption = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, help="Use at most this many proposals an image; default: the largest --k."),
    ] = None,
    nms: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Drop boxes that overlap a better one by more; default: the model's own, none for the others.",
        ),
    ] = None,
    score: Annotated[float, typer.Option(help="Leave out proposals that score less.")] = 0.0,
    k: KOption = None,
    at: AtOption = None,
    seen: SeenOption = None,
    recall: RecallOption = None,
    show: ShowOption = None,
    report: ReportOption = None,
    thumbnails: ThumbnailsOption = 240,
    out: Annotated[Path | None, typer.Option(help="Write the JSON document into this file too.")] = None,
    draws: DrawsOption = 1000,
    seed: SeedOption = 0,
    allow_outside: AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Measure average recall by the COCO definition, all classes as one; images without proposals count."""
    from objectness.cli.comparison_output import print_comparison, reporter_of
    from objectness.cli.targets import guarded, report_files
    from objectness.evaluation.measurement import DEFAULT_KS
    from objectness.evaluation.proposals_needed import RECALLS
    from objectness.evaluation.run_comparison import evaluate

    output = Output(as_json, quiet)
    with guarded([out, *report_files(report)], methods, data):
        comparison = evaluate(
            data,
            methods,
            split=split,
            source_format=source_format,
            top=top,
            nms=nms,
            score=score,
            ks=numbers(k, "--k", DEFAULT_KS),
            at=at,
            recalls=shares(recall, "--recall", RECALLS),
            seen=names(seen),
            draws=draws,
            seed=seed,
            allow_outside=allow_outside,
            reporter=reporter_of(output),
        )
        print_comparison(comparison, output, show=names(show), out=out, report=report, thumbnails=thumbnails)
    if comparison.failed or comparison.missing:
        raise typer.Exit(EXIT_SOME_FAILED)
