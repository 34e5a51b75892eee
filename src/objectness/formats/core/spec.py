"""Declaration of a format: its files, what it can hold, how it is recognised, read and written, who reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from objectness.errors import NotInstalledError
from objectness.formats.core.file_names import stem
from objectness.image_spelling import number_of
from objectness.installation import Extra, how_to_install
from objectness.proposal_set import ImageId, ProposalSet
from objectness.proposals import images_path

if TYPE_CHECKING:
    from objectness.formats.core.classes import Labels
    from objectness.formats.core.parsed import ParsedFile
    from objectness.formats.core.sniffing import Signature
    from objectness.image_index import ImageIndex


class Fault(Enum):
    """Faults of a proposals file, in the order of reports."""

    UNREADABLE = "file that cannot be read"
    DOUBLE_IMAGE = "image that is there twice"
    MISSING_IMAGE = "image of the data set that is missing"
    UNKNOWN_IMAGE = "image that the data set does not have"
    UNCLEAR_IMAGE = "images of which it is not clear which they are"
    OTHER_ID = "image id that is not the data set's"
    OTHER_ORDER = "images in another order than the data set"
    NO_SIZE = "image of unknown size"
    OTHER_SIZE = "image of another size than in the data set"
    NOT_FINITE = "box or score that is not finite"
    SWAPPED = "box with swapped corners"
    FRACTIONS = "fractions of the image where pixels are due"
    NO_SCORE = "proposal without a score"
    NO_AREA = "box without area"
    OUTSIDE = "box outside its image"
    STICKS_OUT = "box partly outside its image"
    SCORE_RANGE = "score outside 0 to 1"
    UNSORTED = "scores that do not fall"
    DUPLICATE = "box that is there twice"


@dataclass(frozen=True)
class Reaction:
    """Reaction of a consumer to a fault.

    Attributes:
        consumer: The framework.
        effect: Its reaction; reads on after its name.
        breaks: It fails or its results are wrong, rather than that it copes.
    """

    consumer: str
    effect: str
    breaks: bool = True


class Ids(Enum):
    """Image ids that a format can hold."""

    ANY = "any"
    WHOLE_NUMBERS = "whole numbers"


class FileNames(Enum):
    """File names of images that a format can hold."""

    PATH = "path"
    NAME = "name"
    STEM = "name without suffix"
    PARENT_AND_NAME = "parent folder and name"


class Coverage(Enum):
    """Images that the consumers of a format need."""

    ANY = "any images"
    ALL = "all images of the data set"
    EXACT = "exactly the images of the data set"


class StemIds(Enum):
    """Image ids that consumers make of the stems of files where a data set has no ids (Pascal VOC's "000012")."""

    TEXT = "the stem"
    NUMBER = "the number that the stem spells"


@dataclass(frozen=True)
class Capabilities:
    """Contents that a format can hold besides boxes and their order.

    Attributes:
        ids: Image ids; None for none.
        names: Names of the image files; None for none.
        sizes: Sizes of the images.
        empty: Images without proposals.
        scores: Scores, rather than their order alone.
        logits: Objectness before the sigmoid.
        levels: Pyramid levels.
        metadata: Free text about the whole set.
        precision: How exactly boxes and scores are kept; empty where they are kept as they are.
        is_file_an_image: There is a file for each image, and nothing beside them that is read.
    """

    ids: Ids | None = None
    names: FileNames | None = None
    sizes: bool = False
    empty: bool = False
    scores: bool = True
    logits: bool = False
    levels: bool = False
    metadata: bool = False
    precision: str = ""
    is_file_an_image: bool = False


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: Its name in arguments and options.
        title: Its name in sentences.
        suffixes: Of its files; empty for a folder.
        holds: What it can hold.
        consumers: Its readers.
        signatures: How its files begin: one of these.
        parse: Read a path as it stands, with the index of the images where that helps; raises ``InputError`` where
            the file is damaged or lacks something.
        write: Write a whole set; raises ``InputError`` where the set lacks something or the place cannot be written to.
        write_without_scores: The same without scores, where readers want that; None for most.
        write_labelled: The same with classes; None where the format holds none.
        reactions: Reactions of its consumers to faults.
        coverage: Images that its consumers need; missing ones are added, others are left out.
        parts: Suffixes of the files in its folder; empty for a file.
        needs: What must be installed to use it, by import name, and the extra that brings it.
        has_image_table: A table of the images lies beside its file (``images_path``).
        has_category_table: So does a table of the classes, where boxes have some (``categories_path``).
        stem_ids: Ids of images that have none.
        strict_ids: Its consumers tell 1 from "1".
        shows_rounding: Its precision may change values that float32 tells apart.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    holds: Capabilities
    consumers: str
    signatures: tuple[Signature, ...]
    parse: Callable[[Path, ImageIndex | None], ParsedFile]
    write: Callable[[Path, ProposalSet], None]
    write_without_scores: Callable[[Path, ProposalSet], None] | None = None
    write_labelled: Callable[[Path, ProposalSet, Labels], None] | None = None
    reactions: Mapping[Fault, Reaction] = field(default_factory=dict)
    coverage: Coverage = Coverage.ANY
    parts: tuple[str, ...] = ()
    needs: tuple[str, Extra] | None = None
    has_image_table: bool = False
    has_category_table: bool = False
    stem_ids: StemIds | None = None
    strict_ids: bool = False
    shows_rounding: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder rather than a file."""
        return not self.suffixes

    def files(self, path: Path) -> tuple[Path, ...]:
        """The files at ``path`` whose names are known before they are written; none of a folder."""
        if self.is_folder:
            return ()
        return (path, images_path(path)) if self.has_image_table else (path,)

    @contextmanager
    def place(self, path: Path) -> Iterator[Path]:
        """The path itself, or a temporary folder that takes the place of a new one when it is whole."""
        from objectness.files.atomic_write import filling

        if not self.is_folder or (path.is_dir() and any(path.iterdir())):
            yield path
        else:
            with filling(path) as folder:
                yield folder


def ids_for(target: Format, image_index: ImageIndex) -> list[ImageId | None]:
    """The ids by which the consumers of a format find the images of a data set, in its order.

    Where a data set has no ids, its stems are ids to some consumers, if no two images share one.
    """
    usual = [image.image_id for image in image_index.images]
    if image_index.layout not in ("voc", "yolo") or target.stem_ids is None:
        return usual
    stems = [image.own_id for image in image_index.images]
    numbers = [None if stem is None else number_of(stem) for stem in stems]
    choices: list[list[ImageId | None]] = [list(numbers), stems] if target.stem_ids is StemIds.NUMBER else [stems]
    return next((ids for ids in choices if None not in ids and len(set(ids)) == len(ids)), usual)


def adapt_ids(proposals: ProposalSet, target: Format) -> tuple[ProposalSet, tuple[str, ...]]:
    """Give images whole numbers as ids where the target takes nothing else.

    Returns:
        The set, and a sentence if ids had to be made up.
    """
    if target.holds.ids is not Ids.WHOLE_NUMBERS or not any(isinstance(image_id, str) for image_id in proposals):
        return proposals, ()
    try:
        whole: dict[ImageId, ImageId] = {image_id: int(str(image_id), 10) for image_id in proposals}
    except ValueError:
        whole = {}
    if len(set(whole.values())) == len(proposals) and all(str(new) == str(old) for old, new in whole.items()):
        return proposals.renamed(whole), ()
    numbers: dict[ImageId, ImageId] = {image_id: number for number, image_id in enumerate(proposals, start=1)}
    note = f"{target.title} takes whole numbers as image ids: the {len(proposals)} images are numbered from 1"
    return replace(proposals.renamed(numbers), numbered=True), (note,)


def describe_loss(proposals: ProposalSet, target: Format) -> str | None:
    """One sentence with what is lost in the target, counted; None where nothing is."""
    holds = target.holds
    if not proposals and holds.is_file_an_image:
        return f"{target.title} has a file for each image: of a set without images nothing can be read back."
    found = list(proposals.values())
    sources = [image.source for image in found if image.source]
    kept = {FileNames.NAME: 1, FileNames.STEM: 1, FileNames.PARENT_AND_NAME: 2}.get(holds.names or FileNames.PATH, 0)
    counts = (
        (0 if holds.ids or proposals.numbered else len(found), "image ids"),
        (0 if holds.names else len(sources), "file names"),
        (sum(len(PurePath(source).parts) > kept for source in sources) if kept else 0, "folders of file names"),
        (
            sum(stem(source) != source for source in sources) if holds.names is FileNames.STEM else 0,
            "suffixes of file names",
        ),
        (0 if holds.sizes else sum(min(image.size_hw) > 0 for image in found), "image sizes"),
        (0 if holds.empty else sum(len(image) == 0 for image in found), "images without proposals"),
        (0 if holds.scores else proposals.count, "scores"),
        (0 if holds.logits else sum(map(len, proposals.logits.values())), "logits"),
        (0 if holds.levels else sum(map(len, proposals.levels.values())), "pyramid levels"),
        (0 if holds.metadata else len(proposals.metadata), "metadata entries"),
    )
    missing = [f"{count} {name}" for count, name in counts if count]
    sentences = [f"cannot hold {_and(missing)}"] if missing else []
    if target.shows_rounding and _is_rounded(proposals):
        sentences.append(f"keeps {holds.precision}")
    return f"{target.title} {'; '.join(sentences)}." if sentences else None


def _is_rounded(proposals: ProposalSet) -> bool:
    """Whether 0.01 pixel and six digits of the score change anything."""
    return any(
        not np.allclose(np.round(image.boxes_xyxy.astype(np.float64), 2), image.boxes_xyxy, rtol=1e-7, atol=1e-7)
        or any(float(f"{score:.6g}") != float(f"{score:.9g}") for score in image.scores.tolist())
        for image in proposals.values()
    )


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def need_module(module: str, extra: Extra, what: str) -> None:
    """Refuse in a sentence when an optional library is not there.

    Raises:
        NotInstalledError: with the command that installs it.
    """
    if find_spec(module) is None:
        raise NotInstalledError(f"{what} needs {module}: {how_to_install(extra)}.")
