"""``objectness evaluate``: recall of models, proposals files and baselines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

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
    names,
    numbers,
    shares,
)
from objectness.cli.model_options import SizeOption, ThoroughFlag
from objectness.cli.output import (
    EXIT_SOME_FAILED,
    AllowOutsideFlag,
    JsonFlag,
    Output,
    QuietFlag,
    SeedOption,
    one_sentence_errors,
)
from objectness.errors import InputError


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
    by_map: Annotated[
        bool,
        typer.Option(
            "--map",
            help="Measure mean average precision of named boxes (COCO's and VOC's) in place of recall: METHODs are "
            "files of detections in a format that holds classes, or detectors (.safetensors, run folder).",
        ),
    ] = False,
    proposals: Annotated[
        Path | None,
        typer.Option(help="With --map: the proposals that the detections were made of; says what they allow."),
    ] = None,
    at_score: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="With --map: the score from which on a detection counts for confusion and missed objects.",
            show_default="where F1 is highest",
        ),
    ] = None,
    size: SizeOption = None,
    thorough: ThoroughFlag = False,
    k: KOption = None,
    at: AtOption = None,
    seen: SeenOption = None,
    recall: RecallOption = None,
    show: ShowOption = None,
    report: ReportOption = None,
    thumbnails: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Missed objects, or with --map photographs with mistakes, shown in the report, at most.",
            show_default="240, or 24",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the JSON document into this file too.")] = None,
    draws: DrawsOption = 1000,
    seed: SeedOption = 0,
    allow_outside: AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Measure average recall by the COCO definition, all classes as one; images without proposals count.

    With --map, mean average precision of named boxes.
    """
    from objectness.cli.comparison_output import print_comparison, reporter_of
    from objectness.cli.targets import guarded, report_files
    from objectness.evaluation.measurement import DEFAULT_KS
    from objectness.evaluation.proposals_needed import RECALLS
    from objectness.evaluation.run_comparison import evaluate

    output = Output(as_json, quiet)
    if by_map:
        recall_only = {"--top": top, "--nms": nms, "--score": score or None, "--k": k, "--at": at}
        recall_only |= {"--seen": seen, "--recall": recall, "--size": size, "--thorough": thorough or None}
        _refuse(recall_only, "is about recall, which --map does not measure")
        _evaluate_named(
            methods,
            data,
            output,
            report=report,
            out=out,
            show=names(show),
            photographs=thumbnails,
            split=split,
            source_format=source_format,
            score=at_score,
            proposals=proposals,
            draws=draws,
            seed=seed,
            allow_outside=allow_outside,
        )
        return
    _refuse({"--proposals": proposals, "--at-score": at_score}, "goes with --map alone")
    with guarded([out, *report_files(report)], methods, data):
        comparison = evaluate(
            data,
            methods,
            split=split,
            source_format=source_format,
            top=top,
            nms=nms,
            score=score,
            size=size,
            thorough=thorough,
            ks=numbers(k, "--k", DEFAULT_KS),
            at=at,
            recalls=shares(recall, "--recall", RECALLS),
            seen=names(seen),
            draws=draws,
            seed=seed,
            allow_outside=allow_outside,
            reporter=reporter_of(output),
        )
        print_comparison(
            comparison,
            output,
            show=names(show),
            out=out,
            report=report,
            thumbnails=240 if thumbnails is None else thumbnails,
        )
    if comparison.failed or comparison.missing:
        raise typer.Exit(EXIT_SOME_FAILED)


def _refuse(options: Mapping[str, object], reason: str) -> None:
    for option, value in options.items():
        if value is not None:
            raise InputError(f"{option} {reason}: leave it out.")


def _evaluate_named(
    methods: list[str],
    data: Path,
    output: Output,
    *,
    report: Path | None,
    out: Path | None,
    show: tuple[str, ...],
    photographs: int | None,
    **options: Any,
) -> None:
    from objectness.cli.comparison_output import reporter_of
    from objectness.cli.detection_output import print_detections
    from objectness.cli.targets import guarded, report_files
    from objectness.evaluation.detection.run import evaluate_detections

    with guarded([out, *report_files(report)], [*methods, options["proposals"]], data):
        comparison = evaluate_detections(data, methods, reporter=reporter_of(output), **options)
        print_detections(comparison, output, show=show, out=out, report=report, photographs=photographs)
    if comparison.failed:
        raise typer.Exit(EXIT_SOME_FAILED)
