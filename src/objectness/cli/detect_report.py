"""Final report of ``objectness detect``: table, closing line, JSON document, classes beside the results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from objectness.cli.output import Output
from objectness.cli.propose_report import Left, Written, counted, without_common_folder

if TYPE_CHECKING:
    from rich.table import Table

    from objectness.cli.detect_run import DetectResults
    from objectness.detections import Detections
    from objectness.engines.detection import DetectorDescription
    from objectness.inference.detector import Detector

__all__ = ["Left", "Written", "category_ids", "document", "show", "write_classes"]

_MAX_ROWS = 100  # of the table: more scroll away, and all of them are in detections.json


def category_ids(description: DetectorDescription) -> tuple[int, ...]:
    """The ids of the classes in the COCO data set that the detector was trained on; else 1, 2 ..."""
    given = description.details.get("category_ids")
    count = len(description.class_names)
    if isinstance(given, list) and len(set(map(str, given))) == count and all(type(one) is int for one in given):
        return tuple(given)
    return tuple(range(1, count + 1))


def write_classes(results_file: Path, results: DetectResults) -> None:
    """Write the table of the classes beside the results; raises InputError where that fails."""
    from objectness.files.atomic_write import replacing
    from objectness.formats.coco_journal import category_rows
    from objectness.proposals import categories_path

    with replacing(categories_path(results_file)) as file:
        file.write(json.dumps(category_rows(results.class_names, results.category_ids), indent=1) + "\n")


def document(detector: Detector, results: DetectResults, left: Left, written: Written) -> dict[str, Any]:
    """The JSON document; boxes are x1, y1, x2, y2 in the photograph's pixels."""
    return {
        "model": detector.description.name,
        "device": detector.device,
        "classes": [
            {"category_id": key, "name": name}
            for name, key in zip(results.class_names, results.category_ids, strict=True)
        ],
        "images": [
            row | _boxes(results.detections[row["image_id"]], results.category_ids)
            for row in results.rows
            if row["image_id"] in results.detections
        ],
        "failed": list(left.failed),
        "passed_over": dict(left.passed_over),
        "out": None if written.folder is None else str(written.folder),
        "results": None if written.results is None else str(written.results),
        "older_pictures": written.older_pictures,
        "unfinished": list(written.unfinished),
    }


def _boxes(found: Detections, ids: Sequence[int]) -> dict[str, Any]:
    import numpy as np

    return {
        "boxes": np.round(found.boxes_xyxy.astype(np.float64), 2).tolist(),
        "scores": [float(f"{score:.6g}") for score in found.scores.tolist()],
        "names": found.names,
        "category_ids": [ids[label] for label in found.labels.tolist()],
    }


def show(detector: Detector, results: DetectResults, left: Left, written: Written, output: Output) -> None:
    """Print the table and the closing line."""
    from objectness.images.finding import not_taken

    if output.as_json or output.quiet:
        return
    rows = results.rows
    if rows:
        output.table(_table(rows[:_MAX_ROWS], detector.device))
    if len(rows) > _MAX_ROWS:
        output.summary(f"... and {len(rows) - _MAX_ROWS} more photos.")
    said = []
    if results.interrupted:
        said.append("Stopped: what was done so far was kept." if rows else "Stopped.")
    if written.results is None:
        said.append("No photo could be used: nothing was written.")
    else:
        drawn = len(written.pictures)
        also = f" and {counted(drawn, 'picture')}" if drawn else ""
        said.append(f"Wrote {written.results}{also} (model {detector.description.name}).")
    said += [f"{len(left.failed)} failed."] if left.failed else []
    said += [not_taken(left.passed_over)] if left.passed_over else []
    if written.results is not None and written.replaced > len(rows):
        earlier = counted(written.replaced, "photo")
        if written.results == (written.folder or Path()) / "detections.json":
            said.append(f"It replaced that of an earlier run, which was for {earlier}.")
        else:
            said.append(f"detections.json there is still that of an earlier run, for {earlier}.")
    output.summary(" ".join(said))


def _table(rows: Sequence[Mapping[str, Any]], device: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("objects", overflow="fold")
    table.add_column(f"ms on {device}", justify="right", no_wrap=True)
    for row, shown in zip(rows, without_common_folder([row["file"] for row in rows]), strict=True):
        names = ", ".join(f"{count} {name}" for name, count in row["by_class"].items()) or "none"
        table.add_row(shown, f"{row['width']} x {row['height']}", names, f"{row['seconds'] * 1000:.0f}")
    return table
