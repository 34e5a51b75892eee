"""Names of rows mean the changes that they say."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import pytest

from objectness.errors import InputError
from objectness.settings import override
from objectness.training.recipes import recipe

SIZES = (20, 40, 80.5, 160)


@pytest.fixture
def rows(benchmarks: None) -> ModuleType:
    return import_module("quality_rows")


def test_ours_changes_nothing_and_torchvision_looks_at_nothing(rows: ModuleType) -> None:
    assert rows.overrides("ours", SIZES) == []
    assert rows.overrides("torchvision", SIZES) == []


def test_without_some(rows: ModuleType) -> None:
    assert rows.overrides("ours-mosaic-level", SIZES) == ["augment.mosaic=0", "rpn.backbone.extra_by=pool"]


def test_the_standard_is_without_all(rows: ModuleType) -> None:
    every = "-".join(["ours", *rows.INGREDIENTS])
    assert rows.overrides("standard", SIZES) == rows.overrides(every, SIZES)
    settings = override(recipe("task-aligned"), rows.overrides("standard", SIZES))
    assert settings.rpn.loss.objective == "faster-rcnn"
    assert settings.rpn.anchors.sizes == SIZES
    assert settings.rpn.anchors.ratios_height_over_width == (0.5, 1, 2)
    assert settings.augment.mosaic == 0


def test_with_one_and_with_all(rows: ModuleType) -> None:
    with_one = rows.overrides("standard+aligned", SIZES)
    assert set(rows.overrides("standard", SIZES)) - set(with_one) == set(rows.INGREDIENTS["aligned"])
    assert rows.overrides("+".join(["standard", *rows.INGREDIENTS]), SIZES) == []


def test_every_row_changes_the_settings_of_its_base(rows: ModuleType) -> None:
    def settings(row: str) -> object:
        return override(recipe("task-aligned"), rows.overrides(row, SIZES))

    bases = {row: base for row, (base, _) in rows.MORE.items()}
    bases |= {f"ours-{name}": "ours" for name in rows.INGREDIENTS}
    bases |= {f"standard+{name}": "standard" for name in rows.INGREDIENTS}
    assert {*bases, "standard"} == set(rows.ABLATION)
    assert [row for row, base in bases.items() if settings(row) == settings(base)] == []
    # Two rows of torchvision change the same settings as two rows of ours.
    assert len({repr(settings(row)) for row in bases}) == len(bases) - 2


def test_more_rows_start_from_another(rows: ModuleType) -> None:
    name = "standard, hard windows"
    assert rows.overrides(name, SIZES)[:-1] == rows.overrides("standard", SIZES)
    assert [row for row in rows.MORE if rows.is_torchvision(row)] == [
        "torchvision, 256 wide",
        "torchvision, no mosaic",
        "torchvision, whole photographs",
    ]


@pytest.mark.parametrize("row", ["our", "ours+giou", "standard-giou", "ours-giuo", "standard+", ""])
def test_an_unknown_row_is_told(rows: ModuleType, row: str) -> None:
    with pytest.raises(InputError, match="Unknown row"):
        rows.overrides(row, SIZES)
