"""The table of layouts: a row is all that the rest of the code knows of a layout."""

from pathlib import Path

import pytest

from objectness.datasets.layouts import LAYOUTS, layout_named
from objectness.datasets.loading import load_dataset
from objectness.errors import InputError


def test_rows_are_found_by_name() -> None:
    assert [layout_named(layout.name) for layout in LAYOUTS] == list(LAYOUTS)
    with pytest.raises(InputError, match="There is no layout 'coc': did you mean 'coco'"):
        layout_named("coc")


def test_an_empty_folder_is_of_no_layout_and_all_titles_are_named(tmp_path: Path) -> None:
    empty = tmp_path / "apart" / "empty"  # a data set beside or above it would be named instead
    empty.mkdir(parents=True)
    assert not any(layout.find(empty, False) or layout.find_unmarked(empty) for layout in LAYOUTS)
    with pytest.raises(InputError, match="holds no data set") as refused:
        load_dataset(empty)
    assert all(f"{layout.title} ({layout.signs})" in str(refused.value) for layout in LAYOUTS)


def test_a_file_belongs_to_one_row() -> None:
    suffixes = [suffix for layout in LAYOUTS for suffix in layout.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert all((layout.open_file is None) == (not layout.suffixes) for layout in LAYOUTS)
