"""``objectness compare``: recall and time of several methods, side by side, on the same photographs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from objectness.cli.evaluate import (
    AtOption,
    DrawsOption,
    FromOption,
    KOption,
    RecallOption,
    ReportOption,
    SeenOption,
    ShowOption,
    SplitOption,
    ThumbnailsOption,
)
from objectness.cli.output import (
    EXIT_INTERRUPTED,
    EXIT_SOME_FAILED,
    AllowOutsideFlag,
    JsonFlag,
    Output,
    QuietFlag,
    SeedOption,
    one_sentence_errors,
    tell_error,
)
from objectness.errors import InputError

if TYPE_CHECKING:
    from objectness.cli.kept import Kept
    from objectness.datasets import Dataset
    from objectness.evaluation.run_methods import Propose

USUAL = ("default", "selective-search", "sliding-window", "uniform")
_SAVE_SECONDS = 60


@one_sentence_errors
def command(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The data set: a folder, a COCO JSON or a data.yaml.")],
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
            help="Folder for what the methods proposed; the same command goes on from there.",
            show_default="runs/compare",
        ),
    ] = None,
    no_keep: Annotated[bool, typer.Option("--no-keep", help="Keep nothing; what was stopped begins anew.")] = False,
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
    from objectness.cli import studies
    from objectness.cli.kept import open_kept
    from objectness.cli.methods import Selection, is_proposals_file, open_methods, read_file
    from objectness.cli.targets import guarded, report_files
    from objectness.evaluation.comparison import Options, unique_names
    from objectness.evaluation.measurement import DEFAULT_KS
    from objectness.evaluation.proposals_needed import RECALLS
    from objectness.formats.registry import format_named

    output = Output(as_json, quiet)
    if source_format is not None:
        format_named(source_format)
    ks = studies.numbers(k, "--k", DEFAULT_KS)
    options = Options(at, studies.shares(recall, "--recall", RECALLS), studies.words(seen), draws, seed)
    words = [word.strip() for text in methods or [",".join(USUAL)] for word in text.split(",") if word.strip()]
    if not words:
        raise InputError("--with names no method: name some, as in --with default,selective-search,uniform.")
    with guarded(report_files(report), [word.split(":", 1)[-1] for word in words], data):
        whole = studies.open_data(data, split, output, allow_outside=allow_outside)
        dataset = _limited(whole, limit, seed)
        options.check(ks, dataset.class_names)
        sources = dict(zip(unique_names(words), words, strict=True))
        selection = Selection(max(ks))
        files = {
            name: read_file(word, whole.records, selection, output, source_format)
            for name, word in sources.items()
            if is_proposals_file(word, source_format)
        }
        others = {name: word for name, word in sources.items() if name not in files}
        proposing, missing = open_methods(others, selection, max(ks), output, seed=seed, threads=threads)
        sources = {name: word for name, word in sources.items() if name not in missing}
        settings = {
            "data": str(data.resolve()),
            "split": dataset.split,
            "images": _digest(
                "\n".join(f"{one.image_id} {one.path}" for one in whole.records).encode(errors="replace")
            ),
            "top": max(ks),
            "seed": seed,
            "threads": threads,
        }
        about = {name: {**settings, **_identity(sources[name])} for name in proposing}
        kept = open_kept(keep, not no_keep, about, output)
        failed: dict[str, str] = {}
        stopped = _propose(proposing, dataset, kept, failed, output)
        studies.warn_of(failed, output)
        studies.warn_of_sizes(dataset, [kept.done[name].proposals for name in proposing], output)
        seen_by_all = [
            record
            for record in dataset.records
            if all(record.image_id in kept.done[name].proposals for name in proposing)
        ]
        if not seen_by_all and dataset.records:
            if not stopped:
                folder = dataset.records[0].path.parent
                raise InputError(f"None of the {len(dataset)} images could be used: do they lie in {folder}?")
            tell_error(f"stopped before any photograph was seen by all methods; {kept.where}.", as_json)
            raise typer.Exit(EXIT_INTERRUPTED)
        if stopped:  # photographs that could not be used count as missed only where all had their turn
            dataset = replace(dataset, records=tuple(seen_by_all))
        ids = {record.image_id for record in dataset.records}
        everything = {**files, **{name: kept.done[name].proposals for name in proposing}}
        proposals = {name: {i: found for i, found in everything[name].items() if i in ids} for name in sources}
        seconds = {name: kept.done[name].seconds for name in proposing}
        study = studies.build(dataset, proposals, seconds, ks, options, output)
        tables = studies.chosen_tables(study, studies.words(show))
        told = studies.document(study, dataset, data, sources, failed, missing)
        if report is not None:
            studies.report(report, study, told, thumbnails, (_how(threads),), output)
        studies.show(study, tables, output)
        output.result(told)
        if stopped:
            goes_on = "" if kept.folder is None else ", and the same command goes on from there"
            output.warn(
                f"Stopped after {len(seen_by_all)} photographs: the figures are of these, {kept.where}{goes_on}."
            )
            raise typer.Exit(EXIT_INTERRUPTED)
        if failed:
            output.warn(f"{len(failed)} of {len(dataset)} images could not be used: their objects count as missed.")
        if failed or (missing and methods):  # what was not asked for by name may be missing
            raise typer.Exit(EXIT_SOME_FAILED)


def _propose(
    methods: Mapping[str, Propose], dataset: Dataset, kept: Kept, failed: dict[str, str], output: Output
) -> bool:
    """Let every method propose, keeping what is done; whether it was stopped by Ctrl-C."""
    from time import monotonic

    from objectness.cli.progress import bar
    from objectness.evaluation.run_methods import run

    if not methods:
        return False
    known = sum(all(record.image_id in kept.done[name].proposals for name in methods) for record in dataset.records)
    if known:
        output.note(f"{known} photographs are known from an earlier run.")
    saved = monotonic()
    try:
        with bar(output, "Proposing", len(dataset)) as advance:

            def on_image() -> None:
                nonlocal saved
                advance()
                if monotonic() - saved > _SAVE_SECONDS:
                    kept.save()
                    saved = monotonic()

            run(methods, dataset.records, kept.done, failed, read_ahead=False, on_image=on_image)
    except KeyboardInterrupt:
        return True
    finally:
        kept.save()
    return False


def _limited(dataset: Dataset, limit: int | None, seed: int) -> Dataset:
    if limit is None or limit >= len(dataset):
        return dataset
    import numpy as np

    chosen = np.random.default_rng(seed).permutation(len(dataset))[:limit]
    return replace(dataset, records=tuple(dataset.records[index] for index in sorted(chosen.tolist())))


def _identity(word: str) -> dict[str, object]:
    """What a method is: its name, and the bytes of its files, so that a retrained model is not taken for the old."""
    from objectness.inference.model_files import CHECKPOINT, DEFAULT, bundled_model
    from objectness.version import __version__

    found: dict[str, object] = {"method": word, "version": __version__}
    if word == DEFAULT:
        found["model"] = _digest(bundled_model())
        return found
    path = Path(word.split(":", 1)[1] if word.startswith("edge-boxes:") else word)
    files = [path] if path.is_file() else sorted(path.glob(f"*{CHECKPOINT}")) if path.is_dir() else []
    for file in files:
        found[file.name] = _digest(file.read_bytes())
    return found


def _digest(content: bytes) -> str:
    import hashlib

    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _how(threads: int | None) -> str:
    cores = "all cores" if threads is None else f"{threads} thread{'s' if threads > 1 else ''}"
    return f"Times were taken with {cores}, the methods in turn on each photograph."
