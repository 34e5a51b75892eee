"""The table of layouts: each is one row, one reader file and one writer file.

A new layout is a reader (``find``, and a :class:`Source` that it returns), a writer (``write`` and ``image_folder``)
and a row of ``LAYOUTS``. Only the rules for image ids name layouts elsewhere: ``image_index.ImageIndex.has_own_ids``,
``formats.core.spec.ids_for`` and ``formats.validation``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from objectness.datasets import coco, voc, write_coco, write_voc, write_yolo, yolo
from objectness.datasets.records import Dataset
from objectness.datasets.writable import WritableDataset
from objectness.errors import InputError, did_you_mean


class Source(Protocol):
    """The files of one data set, found but not yet read."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that it has, in the order train, val, test."""

    def read(self, split: str | None) -> Dataset:
        """Read the split that the user named, None and "all" for everything; raises ``InputError``."""


@dataclass(frozen=True)
class Layout:
    """One layout of data sets.

    Attributes:
        name: For options and files.
        title: For people.
        signs: The files by which a folder of this layout is known, in words.
        find: Folder and whether names may lead outside -> the data set's files, None where there are none.
        find_unmarked: The same for a folder that only looks like this layout; used when no other layout is found.
        suffixes: Of the file that stands for a whole data set.
        open_file: That file and whether names may lead outside -> the data set's files.
        write: Folder and data set -> sentences about losses.
        image_folder: Split -> folder of its images, relative to the data set's.
        has_ids: Images have ids of their own; otherwise they go by file name.
        in_fractions: Boxes are written as fractions of the image; otherwise in pixels.
        lists_entries: An image may have several entries, any file and class name, and boxes outside of it;
            otherwise it has one annotation file, whose boxes lie within the image.
        shares_annotations: All splits share the annotation file of an image.
        holds_ignored: Crowd and ignore regions are written too.
    """

    name: str
    title: str
    signs: str
    find: Callable[[Path, bool], Source | None]
    write: Callable[[Path, WritableDataset], list[str]]
    image_folder: Callable[[str], str]
    find_unmarked: Callable[[Path], Source | None] = lambda _: None
    suffixes: tuple[str, ...] = ()
    open_file: Callable[[Path, bool], Source] | None = None
    has_ids: bool = False
    in_fractions: bool = False
    lists_entries: bool = False
    shares_annotations: bool = False
    holds_ignored: bool = True


LAYOUTS = (
    Layout(
        name="coco",
        title="COCO",
        signs="a JSON file with 'images' and 'annotations', here, in annotations/ or in train/ and valid/",
        find=coco.find,
        suffixes=(".json",),
        open_file=coco.CocoFile,
        write=write_coco.write,
        image_folder=write_coco.image_folder,
        has_ids=True,
        lists_entries=True,
    ),
    Layout(
        name="voc",
        title="Pascal VOC",
        signs="XML files in Annotations/",
        find=voc.find,
        write=write_voc.write,
        image_folder=write_voc.image_folder,
        shares_annotations=True,
    ),
    Layout(
        name="yolo",
        title="YOLO",
        signs="a data.yaml, or images/ with labels/",
        find=yolo.find,
        find_unmarked=yolo.find_bare,
        suffixes=(".yaml", ".yml"),
        open_file=yolo.read_yaml,
        write=write_yolo.write,
        image_folder=write_yolo.image_folder,
        in_fractions=True,
        holds_ignored=False,
    ),
)


def layout_named(name: str) -> Layout:
    """The row of a layout.

    Raises:
        InputError: there is none of this name.
    """
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    raise InputError(f"There is no layout {name!r}: {did_you_mean(name, [layout.name for layout in LAYOUTS])}")
