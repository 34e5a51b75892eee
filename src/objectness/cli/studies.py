"""What ``evaluate`` and ``compare`` share: the data set, the study, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objectness.cli.output import Output
from objectness.cli.progress import bar
from objectness.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from objectness.datasets import Dataset
    from objectness.evaluation.comparison import Options, Study
    from objectness.evaluation.tables import Table
    from objectness.proposals import Proposals

_SHOWN_FAILURES = 10
_SEEN = "by-seen-in-training"
_ALWAYS = ("recall-and-time", "average-recall", "differences", "budget")


def numbers(texts: Sequence[str] | None, option: str, default: Sequence[int]) -> tuple[int, ...]:
    """Whole numbers from 1, from words like ``1,10,100`` that may be repeated."""
    if not texts:
        return tuple(default)
    words = [word.strip() for text in texts for word in text.split(",") if word.strip()]
    # More digits are no number of boxes, and the largest k may become the number of boxes asked for.
    if not words or not all(word.isdecimal() and len(word) < 10 and int(word) > 0 for word in words):
        raise InputError(f"{option} is {','.join(texts)!r}, but takes whole numbers from 1, as in {option} 1,10,100.")
    return tuple(int(word) for word in words)


def shares(texts: Sequence[str] | None, option: str, default: Sequence[float]) -> tuple[float, ...]:
    """Numbers above 0 and up to 1, from words like ``.5,.9``."""
    if not texts:
        return tuple(default)
    try:
        found = tuple(float(word) for text in texts for word in text.split(",") if word.strip())
    except ValueError:
        found = ()
    if not found or not all(0 < share <= 1 for share in found):
        raise InputError(
            f"{option} is {','.join(texts)!r}, but takes numbers above 0 and up to 1, as in {option} .5,.9."
        )
    return found


def words(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Words separated by commas; a ``.txt`` file stands for its lines."""
    found: list[str] = []
    for text in texts or ():
        for word in (part.strip() for part in text.split(",") if part.strip()):
            if word.lower().endswith(".txt"):
                try:
                    lines = Path(word).read_text(encoding="utf-8-sig").splitlines()
                except (OSError, UnicodeDecodeError) as error:
                    raise InputError(f"{word} cannot be read as a list of names, one a line ({error}).") from None
                found += [line.strip() for line in lines if line.strip()]
            else:
                found.append(word)
    return tuple(found)


def open_data(data: Path, split: str | None, output: Output, *, allow_outside: bool = False) -> Dataset:
    """Read the ground truth: by default the validation split, else the test split, else everything."""
    from objectness.datasets import available_splits, load_dataset
    from objectness.datasets.repair import refuse_fractions, unreachable_boxes, without_endless_boxes

    splits = available_splits(data, allow_outside=allow_outside)
    usual = next((name for name in ("val", "test") if name in splits), None)
    dataset, left_out = without_endless_boxes(load_dataset(data, split or usual, allow_outside=allow_outside))
    output.note(f"Measuring on {which(dataset)}: {len(dataset)} images.")
    for note in dataset.notes:
        output.note(note)
    refuse_fractions(dataset)
    if dataset.records and not any((~record.ignore).any() for record in dataset.records):
        output.warn(f"{which(dataset)} has no objects that count: there is no recall to measure.")
    for sentence in (left_out, unreachable_boxes(dataset)):
        if sentence:
            output.warn(sentence)
    if dataset.problems:
        output.warn(
            f"{len(dataset.problems)} parts of {data} could not be read or are doubled: objectness check names them."
        )
    return dataset


def which(dataset: Dataset) -> str:
    """The data set in words."""
    return str(dataset.root) if dataset.split == "all" else f"{dataset.root}, split {dataset.split}"


def warn_of(failed: Mapping[str, str], output: Output) -> None:
    """Name the photographs that could not be used, the first ones."""
    for error in list(failed.values())[:_SHOWN_FAILURES]:
        output.warn(error)
    if len(failed) > _SHOWN_FAILURES:
        output.warn(f"… and {len(failed) - _SHOWN_FAILURES} more; --json names all.")


def warn_of_sizes(dataset: Dataset, done: Iterable[Mapping[int, Proposals]], output: Output) -> None:
    """Say where photographs that were looked at have another size than their annotations: boxes may be misplaced."""
    found = {image_id: one.size_hw for proposals in done for image_id, one in proposals.items()}
    others = [
        record
        for record in dataset.records
        if record.size_hw is not None and found.get(record.image_id, record.size_hw) != record.size_hw
    ]
    if others:
        output.warn(
            f"{len(others)} photographs, {others[0].path} among them, have another size than the annotations of "
            f"{dataset.root} say, as if these were made on turned or resized ones: the figures hold only if the boxes "
            "are in pixels of the upright file (objectness check names them)."
        )


def build(
    dataset: Dataset,
    proposals: Mapping[str, Mapping[int, Proposals]],
    seconds: Mapping[str, Mapping[int, float]],
    ks: Sequence[int],
    options: Options,
    output: Output,
) -> Study:
    """Measure every method and put them side by side.

    Args:
        dataset: The images that count.
        proposals: Name of the method -> image id -> proposals.
        seconds: The same for methods that were timed.
        ks: Counts of proposals.
        options: What else is asked.
        output: For progress.
    """
    import numpy as np

    from objectness.evaluation.comparison import Result, Study
    from objectness.evaluation.measurement import measure

    results = []
    with bar(output, "Measuring", len(proposals) * len(dataset)) as advance:
        for name, found in proposals.items():
            measured = measure(found, dataset.records, ks, advance)
            timed = seconds.get(name)
            clock = None if timed is None else np.array([timed.get(r.image_id, np.nan) for r in dataset.records])
            results.append(Result(name, measured, found, clock))
    return Study(which(dataset), dataset.records, dataset.class_names, tuple(results), options)


def chosen_tables(study: Study, more: Sequence[str]) -> list[Table]:
    """The tables to print: the usual ones, and those that were asked for by key ("all" for every one)."""
    from objectness.evaluation.tables import tables

    found = tables(study)
    keys = [table.key for table in found]
    for key in more:
        if key not in keys and key != "all":
            raise InputError(f"--show {key!r} is no table: {did_you_mean(key, [*keys, 'all'])}")
    shown = (*_ALWAYS, *more, *([_SEEN] if study.options.seen else []))
    return found if "all" in more else [table for table in found if table.key in shown]


def show(study: Study, tables: Sequence[Table], output: Output) -> None:
    """Print tables; a column that says the same in every row (the one method) is left out."""
    console = output.tables
    measured = study.results[0].measured
    sizes = ", ".join(f"{int(mask.sum())} {name}" for name, mask in study.members["size"].items())
    console.print(f"Proposals on {study.data}", soft_wrap=True, markup=False)
    console.print(
        f"{measured.images} images, {measured.objects} objects ({sizes}); "
        f"brackets: 95 % over {study.options.draws} draws of the images",
        soft_wrap=True,
        markup=False,
    )
    for table in tables:
        _print(study, table, output)


def _print(study: Study, table: Table, output: Output) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Grid
    from rich.text import Text

    from objectness.evaluation import tables
    from objectness.evaluation.bootstrap import Estimate

    alone = len(study.results) == 1 and table.columns[0] == tables.METHOD and table.labels > 1
    rows = table.rows
    if table.key == "differences":
        rows = tuple(row for row in rows if row[1] == study.at)
    if table.key == "budget":
        rows = tuple(row for row in rows if row[1] == tables.BUDGET_IOUS[0])
    # One interval has a column of its own, as a terminal has no room for them all: that of AR, or of AR@k for the k
    # that is looked at closely.
    with_interval = next((i for i, name in enumerate(table.columns) if name in ("AR", f"AR@{study.at}")), -1)
    grid = Grid(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for number, name in enumerate(table.columns):
        if not (alone and number == 0):
            grid.add_column(Text(name), justify="left" if number < table.labels - 1 else "right", no_wrap=True)
        if number == with_interval:
            grid.add_column("95 %", justify="right", no_wrap=True)
    for row in rows:
        cells: list[Text] = []
        for number, cell in enumerate(row):
            if not (alone and number == 0):
                cells.append(Text(tables.show(cell, 4 if number >= table.labels else 2)))
            if number == with_interval and isinstance(cell, Estimate):
                cells.append(Text(tables.show_interval(cell)))
        grid.add_row(*cells)
    console = output.tables
    console.print(Text(table.title, style="bold"), soft_wrap=True)
    output.table(grid)


def document(
    study: Study,
    dataset: Dataset,
    data: Path,
    sources: Mapping[str, str],
    failed: Mapping[str, str],
    missing: Mapping[str, str],
) -> dict[str, Any]:
    """The study as plain values; one method's figures stand at the top, those of several under "methods".

    Args:
        study: To be told.
        dataset: Its ground truth.
        data: As the user named it.
        sources: Name of the method -> as the user named it.
        failed: File -> why it could not be used.
        missing: Name of a method -> why it was left out.
    """
    from objectness.evaluation.recall import recall_report
    from objectness.evaluation.tables import tables

    told = [
        {
            "name": result.name,
            "proposals": sources[result.name],
            "images_without_proposals": int((result.measured.counts == 0).sum()),
            **recall_report(result.measured).to_json(),
        }
        for result in study.results
    ]
    return {
        "data": str(data),
        "split": dataset.split,
        **(told[0] if len(told) == 1 else {"methods": told}),
        "at": study.at,
        "failed": [{"file": file, "error": error} for file, error in failed.items()],
        "missing": [{"method": name, "error": error} for name, error in missing.items()],
        "tables": {table.key: table.to_json() for table in tables(study)},
    }


def report(
    path: Path, study: Study, told: dict[str, Any], thumbnails: int, notes: Sequence[str], output: Output
) -> None:
    """Write the page and the files beside it, with progress."""
    from objectness.evaluation.report import write_report

    with bar(output, "Drawing", thumbnails) as advance:
        files = write_report(path, study, told, limit=thumbnails, notes=notes, on_image=advance)
    beside = ", ".join(file.name for file in files[1:])
    output.note(f"Wrote {path}, and beside it {beside}.")


def write_document(path: Path, told: dict[str, Any]) -> None:
    """Write the JSON document into a file."""
    import json

    from objectness.files.atomic_write import replacing

    with replacing(path) as file:
        json.dump(told, file, indent=2, allow_nan=False)
        file.write("\n")
