"""What a format is: its name, what it can hold, how it is recognised, read and written, who reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from importlib.util import find_spec
from pathlib import Path

from objectness.errors import NotInstalledError
from objectness.formats.core.known_images import KnownImages
from objectness.formats.core.parsed import RawFile
from objectness.formats.core.sniffing import Peek
from objectness.image_spelling import number_of
from objectness.installation import Extra, how_to_install
from objectness.proposal_set import ImageId, ProposalSet


class Kind(Enum):
    """What can be wrong with a proposals file; the order is that of reports."""

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
class Rule:
    """What a consumer does when it meets one of these.

    Attributes:
        consumer: The framework.
        says: What it does; reads on after its name.
        breaks: It fails or its results are wrong, rather than that it copes.
    """

    consumer: str
    says: str
    breaks: bool = True


@dataclass(frozen=True)
class Holds:
    """What a format can hold besides boxes and their order.

    Attributes:
        ids: "any", "whole numbers" or "" (none).
        names: The image files: "path", "name" (without folders) or "" (none).
        sizes: The images' sizes.
        empty: Images without proposals.
        scores: Scores, rather than their order alone.
        logits: Objectness before the sigmoid.
        levels: Pyramid levels.
        metadata: Free words about the whole set.
        precision: How exactly boxes and scores are kept.
        is_file_an_image: There is a file for each image, and nothing beside them that is read.
    """

    ids: str = ""
    names: str = ""
    sizes: bool = False
    empty: bool = False
    scores: bool = True
    logits: bool = False
    levels: bool = False
    metadata: bool = False
    precision: str = "as they are"
    is_file_an_image: bool = False


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: What ``--from`` and ``--to`` call it.
        title: What sentences call it.
        suffixes: Of its files; empty for a folder.
        holds: What it can hold.
        consumers: Who reads it.
        recognise: Whether a path holds it, by content.
        parse: Read a path as it stands.
        write: Write a whole set.
        rules: What its consumers do with what is wrong.
        whole_data: Its consumers need exactly the images of the data set, so those without proposals are added
            ("all") and others are left out too ("exactly").
        needs: What must be installed to use it, by import name, and the extra that brings it.
        has_image_table: A table of the images lies beside its file (``coco_results.images_path``).
        stems: Its consumers call images that have no ids by the stems of their files (Pascal VOC's "000012"), as
            text ("text") or as the number that it spells ("number").
        strict_ids: Its consumers tell 1 from "1".
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    holds: Holds
    consumers: str
    recognise: Callable[[Peek], bool]
    parse: Callable[[Path, KnownImages | None], RawFile]
    write: Callable[[Path, ProposalSet], None]
    rules: Mapping[Kind, Rule] = field(default_factory=dict)
    whole_data: str = ""
    needs: tuple[str, str] | None = None
    has_image_table: bool = False
    stems: str = ""
    strict_ids: bool = False


def ids_for(target: Format, known: KnownImages) -> list[ImageId | None]:
    """The ids by which the consumers of a format look for the images of a data set, in its order.

    Where a data set has no ids, its stems are ids to some consumers, if no two images share one.
    """
    usual = [image.image_id for image in known.images]
    if known.layout not in ("voc", "yolo") or not target.stems:
        return usual
    stems = [image.own_id for image in known.images]
    numbers = [None if stem is None else number_of(stem) for stem in stems]
    ways: list[list[ImageId | None]] = [list(numbers), stems] if target.stems == "number" else [stems]
    return next((ids for ids in ways if None not in ids and len(set(ids)) == len(ids)), usual)


def need_module(module: str, extra: Extra, what: str) -> None:
    """Refuse in a sentence when an optional library is not there.

    Raises:
        NotInstalledError: with the command that installs it.
    """
    if find_spec(module) is None:
        raise NotInstalledError(f"{what} needs {module}: {how_to_install(extra)}.")
