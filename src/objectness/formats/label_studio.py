"""Label Studio: a JSON list of tasks, each with one prediction whose regions keep their scores.

Boxes are percent (0 to 100) of the image. The labelling configuration that fits is ``CONFIG``. The image of a
task is an address that Label Studio can open: a path is written as ``/data/local-files/?d=path``, which its
local storage serves; the path itself, the image's id and its size stand beside it in ``data``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from objectness.datasets.outlines import Box, around_rotated
from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing
from objectness.formats.core.classes import Labels, names_of
from objectness.formats.core.missing_context import need_sizes, unknown_size
from objectness.formats.core.parsed import FileBuilder, ImageBuilder, ParsedFile
from objectness.formats.core.sniffing import Content, Signature
from objectness.formats.core.spec import Capabilities, Fault, FileNames, Format, Ids, Reaction
from objectness.image_index import ImageIndex
from objectness.proposal_set import ProposalSet

CONFIG = """<View>
  <Image name="image" value="$image"/>
  <RectangleLabels name="label" toName="image"><Label value="object"/></RectangleLabels>
</View>
"""
_LOCAL = "/data/local-files/?d="
_MODEL = "model_version"


def parse(path: Path, image_index: ImageIndex | None = None) -> ParsedFile:
    """Read the rectangles of each task's first prediction (or annotation that was not cancelled).

    Of a rotated rectangle the upright one around it is taken; other regions are left out; ``notes`` says both.

    Raises:
        InputError: the file is no list of tasks; a region is malformed or relative to an unknown size.
    """
    document = json_values.load(path)
    if not isinstance(document, list):
        raise InputError(f"{path} holds {json_values.kind(document)}, but Label Studio tasks are a list.")
    builder = FileBuilder()
    metadata: dict[str, str] = {}
    said: Counter[str] = Counter()
    for number, task in enumerate(document, start=1):
        data = task.get("data") if isinstance(task, dict) else None
        address = data.get("image") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(address, str):
            raise InputError(f"{path}: task {number} has no 'data' with an 'image'.")
        name = json_values.text(data.get("path")) or _path_of(address)
        image_id = json_values.image_id(data.get("image_id"))
        size = json_values.size_hw(data) or (image_index.size_of(name) if image_index and name else None)
        rows = builder.image(number, image_id, name or None, size)
        results, version = _regions(task, said)
        if version:
            metadata.setdefault(_MODEL, version)
        for position, region in enumerate(results, start=1):
            _add(path, builder, rows, region, number, position, image_index, said)
    notes = [what.format(count) for what, count in said.items()]
    return builder.finish("region", metadata, notes)


def write(path: Path, proposals: ProposalSet, labels: Labels | None = None) -> None:
    """Write one task an image.

    Raises:
        InputError: the size of an image with proposals is unknown; the place cannot be written to.
    """
    need_sizes(proposals, FORMAT.title)
    with replacing(path) as file:
        json_values.write_list(file, _tasks(proposals, labels))


def _regions(task: dict[str, Any], said: Counter[str]) -> tuple[list[Any], str | None]:
    """The regions of the first prediction, else of the first annotation that was not cancelled, and its model."""
    predictions, annotations = (
        [entry for entry in given if isinstance(entry, dict)] if isinstance(given, list) else []
        for given in (task.get("predictions"), task.get("annotations"))
    )
    done = [entry for entry in annotations if entry.get("was_cancelled") is not True]
    if not predictions and len(done) < len(annotations):
        said["left out {} cancelled annotations"] += len(annotations) - len(done)
    chosen = predictions or done
    if len(chosen) > 1:
        said["left out {} further predictions or annotations of a task"] += len(chosen) - 1
    if predictions and done:
        said["left out {} annotations of tasks that have predictions"] += len(done)
    if not chosen:
        return [], None
    results = chosen[0].get("result")
    return results if isinstance(results, list) else [], json_values.text(chosen[0].get(_MODEL))


def _add(
    path: Path,
    builder: FileBuilder,
    rows: ImageBuilder,
    region: Any,
    task: int,
    position: int,
    image_index: ImageIndex | None,
    said: Counter[str],
) -> None:
    where = f"region {position} of task {task}"
    value = region.get("value") if isinstance(region, dict) else None
    if not isinstance(value, dict):
        raise InputError(f"{path}: {where} has no 'value'.")
    if not str(region.get("type")).startswith("rectangle"):
        said["left out {} regions that are no rectangles"] += 1
        return
    if json_values.score(region, "image_rotation", path, where):
        said["left out {} regions that were drawn on a turned image (image_rotation)"] += 1
        return
    percent = json_values.numbers([value.get(key) for key in ("x", "y", "width", "height")], 4)
    if percent is None:
        raise InputError(f"{path}: {where} has no x, y, width and height as numbers.")
    own = {"height": region.get("original_height"), "width": region.get("original_width")}
    size_hw = json_values.size_hw(own) or rows.size_hw
    if size_hw is None:
        raise unknown_size(path, f"task {task}", image_index)
    rows.size_hw = rows.size_hw or size_hw
    height, width = size_hw
    x, y = percent[0] * width / 100, percent[1] * height / 100
    box: Box = (x, y, x + percent[2] * width / 100, y + percent[3] * height / 100)
    degrees = json_values.score(value, "rotation", path, where)
    if degrees:
        said["took the upright rectangles around {} rotated ones"] += 1
        box = around_rotated(box, degrees, (x, y))  # Label Studio turns about the first corner
    words = value.get("rectanglelabels")
    label = builder.class_number(json_values.text(words[0]) if isinstance(words, list) and words else None)
    rows.add(box, json_values.score(region, "score", path, where), position, class_number=label)


def _tasks(proposals: ProposalSet, labels: Labels | None) -> Iterator[str]:
    version = proposals.metadata.get(_MODEL) or proposals.metadata.get("model") or "objectness"
    for image_id, found in proposals.items():
        height, width = found.size_hw
        source = found.source or str(image_id)
        address = source if "://" in source else _LOCAL + quote(source.lstrip("/"))
        scores, names = json_values.short(found.scores), names_of(labels, image_id, len(found))
        result = [
            {
                "id": f"{image_id}-{index + 1}",
                "type": "rectanglelabels",
                "from_name": "label",
                "to_name": "image",
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "score": scores[index],
                "value": {
                    "x": 100 * x1 / width,
                    "y": 100 * y1 / height,
                    "width": 100 * (x2 - x1) / width,
                    "height": 100 * (y2 - y1) / height,
                    "rotation": 0,
                    "rectanglelabels": [names[index]],
                },
            }
            for index, (x1, y1, x2, y2) in enumerate(found.boxes_xyxy.astype(float).tolist())
        ]
        data: dict[str, Any] = {"image": address, "image_id": image_id, "width": width, "height": height}
        if found.source:
            data["path"] = found.source
        prediction = {"model_version": version, "score": scores[0] if scores else 0.0, "result": result}
        yield json.dumps({"data": data, "predictions": [prediction]})


def _path_of(address: str) -> str:
    """The file that an address stands for: the path in local storage, else the address itself."""
    try:
        parts = urlsplit(address)
        asked = parse_qs(parts.query).get("d") if parts.path.endswith("/local-files/") else None
    except ValueError:
        return address
    return asked[0] if asked else address


FORMAT = Format(
    name="label-studio",
    title="Label Studio",
    suffixes=(".json",),
    holds=Capabilities(ids=Ids.ANY, names=FileNames.PATH, sizes=True, empty=True),
    consumers="Label Studio (task import), label-studio-sdk",
    signatures=(
        Signature(
            Content.JSON,
            outermost=("[{",),
            keys=frozenset({"data"}),
            any_key=frozenset({"predictions", "annotations", "id"}),
        ),
    ),
    parse=parse,
    write=write,
    write_labelled=write,
    reactions={
        Fault.OUTSIDE: Reaction("Label Studio", "shows a region beyond the image that cannot be grasped"),
        Fault.STICKS_OUT: Reaction("Label Studio", "draws a region whose percentages leave 0 to 100", breaks=False),
        Fault.NO_SCORE: Reaction("Label Studio", "cannot sort or filter the regions by score", breaks=False),
        Fault.NO_SIZE: Reaction("Label Studio", "cannot export the region in pixels"),
    },
)
