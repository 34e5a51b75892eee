"""``objectness anchors DATA``: how well an anchor set fits a data set's boxes, and one that fits better."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from objectness.cli.old_names import note_old_names
from objectness.cli.output import AllowOutsideFlag, JsonFlag, Output, QuietFlag, one_sentence_errors
from objectness.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from objectness.autoanchor.report import Examination, SeenBoxes, Suggestion
    from objectness.datasets.records import Record

_LISTED = 10


@one_sentence_errors
def command(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A COCO, Pascal VOC or YOLO folder or file.")],
    split: Annotated[str | None, typer.Option(help="train, val or test (default: train where there is one).")] = None,
    recipe: Annotated[str, typer.Option(help="Whose anchors, image size and strides to examine.")] = "small",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw boxes, anchors and suggested anchors into this file.")
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option(metavar="JSON", help="Write the suggestion, and the recipe it is for, for `train --settings`."),
    ] = None,
    allow_outside: AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Best possible recall of an anchor set on your boxes, the boxes that no anchor reaches, and better anchors.

    Boxes are scaled as the network scales their photographs. A box is matched by its best anchor alone where none
    overlaps it by more than the positive threshold; the best possible recall counts what anchors reach before
    the network moves them.
    """
    from objectness.autoanchor.report import boxes_as_seen, examine, suggest
    from objectness.cli.targets import require_targets
    from objectness.datasets import available_splits, load_dataset, repair
    from objectness.settings import override, to_dict
    from objectness.training.recipes import recipe as recipe_of

    output = Output(as_json, quiet)
    require_targets((picture, apply), (), data)
    base = recipe_of(recipe)
    if apply is not None and base.initial_weights:
        raise InputError(
            f"The recipe {recipe} takes its anchors over from the network that it starts from, whose head was trained "
            "for them: choose a recipe that trains a head of its own (--recipe small), or leave out --apply."
        )
    note_old_names(output, [f"recipe={recipe}", *(set_ or ())])
    settings = override(base, set_ or ())
    chosen = split or ("train" if "train" in available_splits(data, allow_outside=allow_outside) else None)
    dataset, notes = repair(load_dataset(data, chosen, allow_outside=allow_outside), decode=False)
    for note in notes:
        output.note(note)
    seen = boxes_as_seen(dataset.records, settings.rpn.images)
    present = examine(seen, settings.rpn)
    suggestion = suggested = None
    try:
        suggestion = suggest(seen, settings.rpn)
        if suggestion.anchors is not None:
            suggested = examine(seen, settings.rpn, suggestion.anchors)
        judgement = _judgement(present, suggested)
    except InputError as error:
        judgement = f"No anchors are suggested: {error}"
    _print(output, recipe, seen, present, suggested, suggestion, dataset.records)
    output.tables.print(judgement, soft_wrap=True)
    if picture is not None:
        _draw(picture, seen, present, suggested)
        output.note(f"Drawn to {picture}.")
    if apply is not None:
        if suggested is None:
            output.warn(f"{apply} is not written: there are no better anchors to apply.")
        else:
            changed = _difference(to_dict(base), to_dict(settings))
            changed.setdefault("rpn", {})["anchors"] = to_dict(suggested.anchors)
            _write(apply, (json.dumps({"recipe": recipe, **changed}, indent=2) + "\n").encode())
            words = " ".join(map(shlex.quote, ("objectness", "train", str(data), "--settings", str(apply))))
            output.note(f"Written to {apply}, for the recipe {recipe}: {words}")
    output.result(
        {
            "boxes": len(seen.boxes_xyxy),
            "recipe": recipe,
            "present": _document(present),
            "suggested": None if suggested is None else _document(suggested),
            "judgement": judgement,
            "free k-means": None
            if suggestion is None
            else {"shapes": suggestion.free_wh.round(1).tolist(), "mean IoU": suggestion.free_mean_iou},
            "out of reach": [
                {
                    "file": str(dataset.records[seen.record[i]].path),
                    "box": int(seen.box[i]),
                    "iou": present.reach.iou[i],
                }
                for i in present.out_of_reach
            ],
        }
    )


def _judgement(present: Examination, suggested: Examination | None) -> str:
    """One sentence on the figures that rise and fall."""
    if suggested is None:
        return (
            "No anchors are suggested: as many of other shapes do not overlap these boxes better without losing some "
            "(at IoU 0.5, or out of reach)."
        )
    figures = [(f"recall at IoU {at}", present.recall[at], suggested.recall[at]) for at in present.recall]
    figures.append(("the share with a positive by threshold", present.positive, suggested.positive))
    worse = [f"{name} falls from {before:.4f} to {after:.4f}" for name, before, after in figures if after < before]
    gain = (
        f"mean IoU rises from {present.mean_iou:.4f} to {suggested.mean_iou:.4f}, and recall at IoU 0.5 does not fall"
    )
    return f"The suggested anchors are better: {gain}" + (f"; in exchange {' and '.join(worse)}." if worse else ".")


def _difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Nested settings that differ from before."""
    changed = {}
    for key, value in after.items():
        if value != before[key]:
            changed[key] = _difference(before[key], value) if isinstance(value, dict) else value
    return changed


def _document(found: Examination) -> dict[str, object]:
    from objectness.settings import to_dict

    return {
        "anchors": to_dict(found.anchors),
        "best possible recall": {str(at): value for at, value in found.recall.items()},
        "mean IoU": found.mean_iou,
        "above the positive threshold": found.positive,
        "out of reach": len(found.out_of_reach),
    }


def _print(
    output: Output,
    recipe: str,
    seen: SeenBoxes,
    present: Examination,
    suggested: Examination | None,
    suggestion: Suggestion | None,
    records: Sequence[Record],
) -> None:
    from rich.table import Table

    console = output.tables
    columns = {"present": present} if suggested is None else {"present": present, "suggested": suggested}
    table = Table(title=f"{len(seen.boxes_xyxy):,} boxes against the anchors of {recipe}")
    for column in ("", *columns):
        table.add_column(column, justify="left" if not column else "right")
    for at in present.recall:
        table.add_row(f"best possible recall at IoU {at}", *(f"{found.recall[at]:.4f}" for found in columns.values()))
    table.add_row("mean IoU of the best anchor", *(f"{found.mean_iou:.4f}" for found in columns.values()))
    table.add_row("boxes with a positive by threshold", *(f"{found.positive:.1%}" for found in columns.values()))
    table.add_row("boxes out of reach", *(f"{len(found.out_of_reach):,}" for found in columns.values()))
    output.table(table)
    for name, found in columns.items():
        ratios = _row(found.anchors.ratios_height_over_width)
        console.print(f"{name}: sizes {_row(found.anchors.sizes)}; ratios {ratios}", soft_wrap=True)
    if suggestion is not None:
        free = f"As many free shapes (k-means) would overlap a box by {suggestion.free_mean_iou:.4f}"
        console.print(f"{free} on average if one of each stood in every pixel.", soft_wrap=True)
    if len(present.out_of_reach):
        console.print("\nWorst boxes for the present anchors:")
    for index in present.out_of_reach[:_LISTED]:
        width, height = seen.boxes_wh[index]
        line = f"  {records[seen.record[index]].path}, box {seen.box[index]}: {width:.0f} x {height:.0f} px, "
        console.print(f"{line}IoU {present.reach.iou[index]:.2f}", markup=False, soft_wrap=True)
    if len(present.out_of_reach) > _LISTED:
        console.print(f"  and {len(present.out_of_reach) - _LISTED:,} more: use --json")


def _row(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def _draw(path: Path, seen: SeenBoxes, present: Examination, suggested: Examination | None) -> None:
    import numpy as np

    from objectness.autoanchor.reach import level_shapes
    from objectness.drawing.anchors import draw_shapes
    from objectness.drawing.saving import save_picture

    missed = np.zeros(len(seen.boxes_xyxy), dtype=bool)
    missed[present.out_of_reach] = True
    shapes = [
        level_shapes([anchors.sizes], anchors.ratios_height_over_width, [1.0])[0].shapes_wh
        for anchors in (present.anchors, (suggested or present).anchors)
    ]
    save_picture(draw_shapes(seen.boxes_wh, missed, *shapes), path)


def _write(path: Path, content: bytes) -> None:
    from objectness.files.atomic_write import replacing_bytes

    with replacing_bytes(path) as file:
        file.write(content)
