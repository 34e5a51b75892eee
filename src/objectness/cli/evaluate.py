"""``objectness evaluate``: how many objects do the proposals of a model, or of a file, find?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from objectness.cli.output import EXIT_SOME_FAILED, JsonFlag, Output, QuietFlag, one_sentence_errors
from objectness.errors import InputError

if TYPE_CHECKING:
    from objectness.datasets import Dataset, Record
    from objectness.evaluation import RecallReport
    from objectness.proposals import Proposals

_SHOWN_FAILURES = 10
_SHOWN_IOUS = (0.5, 0.7, 0.9)


@one_sentence_errors
def command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL-or-PROPOSALS",
            help="A model (.onnx, .safetensors, run folder, or the word default) or proposals (.json).",
        ),
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The data set: a folder, a COCO JSON or a data.yaml.")],
    split: Annotated[
        str | None, typer.Option(help="train, val, test or all; default: val, else test, else all.")
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, help="Use at most this many proposals an image; default: the largest --k."),
    ] = None,
    nms: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Drop boxes that overlap a better one by more; default: the model's own, none for a file.",
        ),
    ] = None,
    score: Annotated[float, typer.Option(help="Leave out proposals that score less.")] = 0.0,
    k: Annotated[
        list[str] | None,
        typer.Option("--k", help="Proposals an image for AR@k, as 1,10,100,300,1000; may be repeated."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the JSON document into this file too.")] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Measure average recall by the COCO definition, all classes as one; images without proposals count."""
    import json

    from objectness.datasets import load_dataset
    from objectness.evaluation import average_recall
    from objectness.formats.replacing import replacing

    output = Output(as_json, quiet)
    ks = _ks(k)
    dataset = load_dataset(data, split or _default_split(data))
    output.note(f"Measuring on {_which(dataset)}: {len(dataset)} images.")
    if dataset.problems:
        output.warn(
            f"{len(dataset.problems)} parts of {data} could not be read or are doubled: objectness check names them."
        )
    failed: dict[str, str] = {}
    if model.lower().endswith(".json"):
        proposals = _from_file(Path(model), dataset.records, top, nms, score, output)
    else:
        proposals, failed = _from_model(model, dataset.records, top or max(ks), nms, score, output)
    report = average_recall(proposals, dataset.records, ks)
    document = {
        "proposals": model,
        "data": str(data),
        "split": dataset.split,
        **report.to_json(),
        "failed": [{"file": file, "error": error} for file, error in failed.items()],
    }
    _print(report, model, _which(dataset), output)
    output.result(document)
    if out is not None:
        with replacing(out) as file:
            json.dump(document, file, indent=2, allow_nan=False)
            file.write("\n")
    if failed:
        output.warn(f"{len(failed)} of {len(dataset)} images could not be used: their objects count as missed.")
        raise typer.Exit(EXIT_SOME_FAILED)


def _ks(texts: Sequence[str] | None) -> tuple[int, ...]:
    from objectness.evaluation.measuring import DEFAULT_KS

    if not texts:
        return DEFAULT_KS
    words = [word.strip() for text in texts for word in text.split(",") if word.strip()]
    # More digits are no number of boxes, and the largest k may become the number of boxes asked for.
    if not words or not all(word.isdecimal() and len(word) < 10 and int(word) > 0 for word in words):
        raise InputError(f"--k is {','.join(texts)!r}, but takes whole numbers from 1, as in --k 1,10,100.")
    return tuple(int(word) for word in words)


def _default_split(data: Path) -> str | None:
    from objectness.datasets import available_splits

    splits = available_splits(data)
    return next((split for split in ("val", "test") if split in splits), None)


def _which(dataset: Dataset) -> str:
    return str(dataset.root) if dataset.split == "all" else f"{dataset.root}, split {dataset.split}"


def _from_file(
    path: Path, records: Sequence[Record], top: int | None, nms: float | None, score: float, output: Output
) -> dict[int, Proposals]:
    """Read proposals, give them the ids of the data set, and select where that was asked for."""
    from objectness import boxes
    from objectness.evaluation.pairing import pair_by_name
    from objectness.formats import coco_results
    from objectness.proposals import Proposals

    proposals = pair_by_name(coco_results.read(path), records)
    sizes = {record.image_id: record.size_hw for record in records}
    others = [
        image_id
        for image_id, found in proposals.items()
        if sizes.get(image_id) and found.size_hw != (0, 0) and found.size_hw != sizes[image_id]
    ]
    if others:
        output.warn(
            f"{len(others)} images, {others[0]} among them, have another size in {path} than in the data: "
            "were the proposals made on resized copies?"
        )
    result = {}
    for image_id, found in proposals.items():
        chosen = found.above(score) if score else found  # a score of 0 takes all, and files may hold logits
        if nms is not None:
            kept = boxes.nms(chosen.boxes_xyxy, chosen.scores, nms, limit=top)
            chosen = Proposals(chosen.boxes_xyxy[kept], chosen.scores[kept], chosen.size_hw, chosen.source)
        result[image_id] = chosen if top is None else chosen.top(top)
    return result


def _from_model(
    model: str, records: Sequence[Record], top: int, nms: float | None, score: float, output: Output
) -> tuple[dict[int, Proposals], dict[str, str]]:
    """Propose for every image: image id -> proposals, and file -> why it could not be used."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from objectness.proposer import load

    propose = load(model, top=top, score=score, nms=nms)
    proposals: dict[int, Proposals] = {}
    failed: dict[str, str] = {}
    columns = (TextColumn("Proposing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Disabled rather than silent: a silent one would swallow the warnings too.
    with Progress(*columns, console=output.progress, transient=True, disable=output.quiet) as progress:
        outcomes = propose.stream(record.path for record in records)
        for record, outcome in zip(records, progress.track(outcomes, total=len(records)), strict=True):
            if outcome.proposals is not None:
                proposals[record.image_id] = outcome.proposals
                continue
            failed[str(record.path)] = str(outcome.error)
            if len(failed) <= _SHOWN_FAILURES:
                output.warn(str(outcome.error))
    if len(failed) > _SHOWN_FAILURES:
        output.warn(f"… and {len(failed) - _SHOWN_FAILURES} more; --json names all.")
    if records and not proposals:
        raise InputError(f"None of the {len(records)} images could be used: do they lie in {records[0].path.parent}?")
    return proposals, failed


def _print(report: RecallReport, model: str, which: str, output: Output) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("AR@k", justify="right", no_wrap=True)
    for name in ("all", *report.ar_by_size, *(f"R@{iou}".replace("0.", ".") for iou in _SHOWN_IOUS)):
        table.add_column(name, justify="right", no_wrap=True)
    for k in report.ks:
        values = [
            report.ar[k],
            *(of_size[k] for of_size in report.ar_by_size.values()),
            *(report.recall_at_iou[iou][k] for iou in _SHOWN_IOUS),
        ]
        table.add_row(f"{k}", *("–" if value is None else f"{value:.4f}" for value in values))
    counts = ", ".join(f"{count} {size}" for size, count in report.objects_by_size.items())
    console = output.tables
    console.print(f"Average recall of {model} on {which}", soft_wrap=True, markup=False)
    console.print(f"{report.images} images, {report.objects} objects ({counts}); R: recall at one IoU", soft_wrap=True)
    console.print(table)
