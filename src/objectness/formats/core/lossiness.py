"""What a format cannot hold of a set, counted; and the set as the format can hold it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath

import numpy as np

from objectness.formats.core.file_names import stem
from objectness.formats.core.spec import Format
from objectness.proposal_set import ImageId, ProposalSet


def fitted(proposals: ProposalSet, target: Format) -> tuple[ProposalSet, tuple[str, ...]]:
    """Give images whole numbers as ids where the target takes nothing else.

    Returns:
        The set, and a sentence if ids had to be made up.
    """
    if target.holds.ids != "whole numbers" or not any(isinstance(image_id, str) for image_id in proposals):
        return proposals, ()
    try:
        whole: dict[ImageId, ImageId] = {image_id: int(str(image_id), 10) for image_id in proposals}
    except ValueError:
        whole = {}
    if len(set(whole.values())) == len(proposals) and all(str(new) == str(old) for old, new in whole.items()):
        return proposals.renamed(whole), ()
    numbers: dict[ImageId, ImageId] = {image_id: number for number, image_id in enumerate(proposals, start=1)}
    said = f"{target.title} takes whole numbers as image ids: the {len(proposals)} images are numbered from 1"
    return replace(proposals.renamed(numbers), numbered=True), (said,)


def lost(proposals: ProposalSet, target: Format) -> str | None:
    """One sentence with what is lost in the target, counted; None where nothing is."""
    holds = target.holds
    if not proposals and holds.is_file_an_image:
        return f"{target.title} has a file for each image: of a set without images nothing can be read back."
    found = list(proposals.values())
    sources = [image.source for image in found if image.source]
    kept = {"name": 1, "name without suffix": 1, "parent folder and name": 2}.get(holds.names, 0)
    folders = sum(len(PurePath(source).parts) > kept for source in sources) if kept else 0
    suffixes = sum(stem(source) != source for source in sources) if "without suffix" in holds.names else 0
    empty = sum(len(image) == 0 for image in found)
    sized = sum(min(image.size_hw) > 0 for image in found)
    logits = sum(len(values) for values in proposals.logits.values())
    levels = sum(len(values) for values in proposals.levels.values())
    rounded = proposals.count if holds.precision != "as they are" and _is_rounded(proposals, target) else 0
    counts = (
        (0 if holds.ids or proposals.numbered else len(found), "image ids"),
        (len(sources) if not holds.names else 0, "file names"),
        (folders, "folders of file names"),
        (suffixes, "suffixes of file names"),
        (0 if holds.sizes else sized, "image sizes"),
        (0 if holds.empty else empty, "images without proposals"),
        (0 if holds.scores else proposals.count, "scores"),
        (0 if holds.logits else logits, "logits"),
        (0 if holds.levels else levels, "pyramid levels"),
        (0 if holds.metadata else len(proposals.metadata), "metadata entries"),
    )
    missing = [f"{count} {what}" for count, what in counts if count]
    sentence = f"{target.title} cannot hold {_and(missing)}" if missing else ""
    if rounded:
        sentence += f"{'; ' if sentence else f'{target.title} '}keeps {holds.precision}"
    return f"{sentence}." if sentence else None


def _is_rounded(proposals: ProposalSet, target: Format) -> bool:
    """Whether the precision of COCO results changes anything; the other formats' is finer than float32 tells."""
    if target.name != "coco-results":
        return False
    return any(
        not np.allclose(np.round(image.boxes_xyxy.astype(np.float64), 2), image.boxes_xyxy, rtol=1e-7, atol=1e-7)
        or any(float(f"{score:.6g}") != float(f"{score:.9g}") for score in image.scores.tolist())
        for image in proposals.values()
    )


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
