"""``objectness evaluate``: how many objects do the proposals of models, files and baselines find?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The data set: a folder, a COCO JSON or a data.yaml.")],
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
    from objectness.cli import studies
    from objectness.cli.methods import Selection, is_proposals_file, open_methods, read_file
    from objectness.cli.progress import bar
    from objectness.cli.targets import guarded, report_files
    from objectness.evaluation.baselines import is_baseline
    from objectness.evaluation.comparison import Options, unique_names
    from objectness.evaluation.measurement import DEFAULT_KS
    from objectness.evaluation.proposals_needed import RECALLS
    from objectness.evaluation.run_methods import Progress, run
    from objectness.formats.registry import format_named

    output = Output(as_json, quiet)
    if source_format is not None:
        format_named(source_format)
    ks = studies.numbers(k, "--k", DEFAULT_KS)
    options = Options(at, studies.shares(recall, "--recall", RECALLS), studies.words(seen), draws, seed)
    with guarded([out, *report_files(report)], methods, data):
        dataset = studies.open_data(data, split, output, allow_outside=allow_outside)
        options.check(ks, dataset.class_names)
        sources = dict(zip(unique_names(methods), methods, strict=True))
        selection = Selection(top, nms, score)
        files = {name: word for name, word in sources.items() if is_proposals_file(word, source_format)}
        proposals = {
            name: read_file(word, dataset.records, selection, output, source_format) for name, word in files.items()
        }
        others = {name: word for name, word in sources.items() if name not in files}
        proposing, missing = open_methods(others, selection, max(ks), output, seed=seed)
        failed: dict[str, str] = {}
        if proposing:
            done = {name: Progress() for name in proposing}
            models = {name for name in proposing if not is_baseline(sources[name])}
            with bar(output, "Proposing", len(dataset)) as advance:
                run(proposing, dataset.records, done, failed, read_ahead=True, on_image=advance, by_file=models)
            studies.warn_of(failed, output)
            studies.warn_of_sizes(dataset, [progress.proposals for progress in done.values()], output)
            if len(failed) == len(dataset) > 0:
                folder = dataset.records[0].path.parent
                raise InputError(f"None of the {len(dataset)} images could be used: do they lie in {folder}?")
            proposals.update({name: progress.proposals for name, progress in done.items()})
        in_order = {name: proposals[name] for name in sources if name in proposals}
        study = studies.build(dataset, in_order, {}, ks, options, output)
        tables = studies.chosen_tables(study, studies.words(show))
        told = studies.document(study, dataset, data, sources, failed, missing)
        if out is not None:
            studies.write_document(out, told)
        if report is not None:
            studies.report(report, study, told, thumbnails, (), output)
        studies.show(study, tables, output)
        output.result(told)
        if failed:
            output.warn(f"{len(failed)} of {len(dataset)} images could not be used: their objects count as missed.")
        if failed or missing:
            raise typer.Exit(EXIT_SOME_FAILED)
