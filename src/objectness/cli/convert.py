"""``objectness convert IN OUT``: a proposals file in the format of another framework."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from objectness.cli.output import AllowOutsideFlag, JsonFlag, Output, QuietFlag, one_sentence_errors

if TYPE_CHECKING:
    from objectness.formats.core.known_images import KnownImages
    from objectness.formats.core.spec import Format
    from objectness.proposal_set import ProposalSet

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="The data set the proposals are for: gives image ids, files, sizes and order."),
]
SplitOption = Annotated[str | None, typer.Option("--split", help="The part of the data set: train, val or test.")]
ImagesOption = Annotated[
    Path | None, typer.Option("--images", help="In place of --data, the folder of images: gives files and sizes.")
]


@one_sentence_errors
def command(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The proposals: a file or a folder.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="What to write; its suffix says the format.")],
    source_format: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="Format of IN, where it cannot be guessed.")
    ] = None,
    target_format: Annotated[
        str | None, typer.Option("--to", metavar="FORMAT", help="Format of OUT, where its suffix does not say.")
    ] = None,
    data: DataOption = None,
    split: SplitOption = None,
    images: ImagesOption = None,
    top: Annotated[int | None, typer.Option(min=1, help="Keep the best this many proposals of each image.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Leave out proposals that cannot be used instead of refusing the file.")
    ] = False,
    scores: Annotated[
        bool, typer.Option("--scores/--no-scores", help="YOLO only: write the score as the sixth column.")
    ] = True,
    allow_outside: AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Turn proposals into another format; say what the other format cannot hold.

    Formats: parquet, coco-results, coco, yolo, csv, detectron2, detectron1, mmdet3, mmdet2, selective-search,
    hosang, label-studio, cvat, fiftyone, geojson, huggingface.
    """
    from objectness import formats
    from objectness.formats import yolo
    from objectness.formats.core.known_images import known_images, need_own_ids
    from objectness.formats.registry import format_named, guess_to_read, guess_to_write
    from objectness.image_spelling import is_running

    output = Output(as_json, quiet)
    reading = format_named(source_format) if source_format else guess_to_read(source)
    writing = format_named(target_format) if target_format else guess_to_write(target)
    known = known_images(data, images, split, allow_outside=allow_outside)
    found = formats.read(source, reading.name, known=known, repair=repair)
    said = list(found.notes)
    if top is not None:
        found = found.top(top)
    if known is not None:
        if writing.holds.ids:
            need_own_ids(known)
        found, sentences = _as_the_data_has_it(found, known, writing)
        said.extend(sentences)
    if found.numbered and writing.holds.ids:
        said.append(f"{reading.title} has no image ids: images are numbered from 1 (--data gives the data set's)")
    elif known is None and not writing.holds.names:
        if not writing.holds.ids:
            said.append(f"{writing.title} knows images by their order alone, which must be the data set's (--data)")
        elif is_running(list(found)):
            said.append(f"{writing.title} knows images by id alone, and these are numbered from 1 (--data gives ids)")
    with _place(target, writing, [source, images], data) as place:
        if writing is yolo.FORMAT and not scores:
            yolo.write(place, found, with_scores=False)
            lost: tuple[str, ...] = (f"{found.count} scores were left out, as --no-scores asks.",)
        else:
            lost = formats.write(place, found, writing.name)
    for sentence in (*said, *lost):
        output.warn(f"{sentence[0].upper()}{sentence[1:].rstrip('.')}.")
    output.result(
        {
            "in": str(source),
            "from": reading.name,
            "out": str(target),
            "to": writing.name,
            "images": len(found),
            "proposals": found.count,
            "notes": said,
            "lost": list(lost),
        }
    )
    counted = f"{found.count:,} proposals of {len(found):,} images"
    output.summary(f"Wrote {target}: {counted}, from {reading.title} to {writing.title}.")


@contextmanager
def _place(target: Path, writing: Format, inputs: Sequence[Path | None], data: Path | None) -> Iterator[Path]:
    """Where to write: a new folder appears whole, and nothing that is read is replaced."""
    from objectness.cli.targets import guarded
    from objectness.files.atomic_write import filling

    with guarded(_files(target, writing), inputs, data):
        if writing.suffixes or (target.is_dir() and any(target.iterdir())):
            yield target
        else:
            with filling(target) as folder:
                yield folder


def _files(target: Path, writing: Format) -> list[Path]:
    """The files of the target whose names are known; those in a folder are looked at one by one."""
    from objectness.formats.core.coco_entries import images_path

    if not writing.suffixes:
        return []
    return [target, images_path(target)] if writing.has_image_table else [target]


def _as_the_data_has_it(found: ProposalSet, known: KnownImages, writing: Format) -> tuple[ProposalSet, list[str]]:
    """The images as the target's readers need them: in the order of the data, none missing, none too many."""
    from dataclasses import replace

    from objectness.formats.core.known_images import complete
    from objectness.formats.core.spec import ids_for

    whole, added, strangers = complete(found, known)
    due = {image.image_id: own for image, own in zip(known.images, ids_for(writing, known), strict=True)}
    if not writing.whole_data:
        present = {image_id: image for image_id, image in whole.items() if image_id in found}
        return replace(whole, images=present), []
    said = []
    if added:
        said.append(f"{added} images of {known.where} have no proposals: they are written as empty")
    if strangers and writing.whole_data == "exactly":
        ids = {image.image_id for image in known.images}
        whole = whole.renamed({image_id: image_id for image_id in whole if image_id in ids})
        said.append(f"{strangers} images that {known.where} does not have are left out, as {writing.title} goes by it")
    if any(image_id != own for image_id, own in due.items()):
        whole = whole.renamed({image_id: own for image_id in whole if (own := due.get(image_id)) is not None})
    return whole, said
