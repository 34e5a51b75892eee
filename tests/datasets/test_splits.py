from __future__ import annotations

import pytest

from objectness.datasets.splits import in_order, requested_split, split_of
from objectness.errors import InputError


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("instances_train2017", "train"),
        ("Training", "train"),
        ("trainval", "train"),
        ("instances_val2014_100", "val"),
        ("valid", "val"),
        ("validation-set", "val"),
        ("test", "test"),
        ("", None),
        ("street", None),
        ("latest", None),
        ("trains", None),
        ("train_val", None),
        ("_annotations.coco", None),
    ],
)
def test_the_split_in_a_name(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_order() -> None:
    assert in_order([]) == ()
    assert in_order(["test", "all", "train"]) == ("train", "test")


@pytest.mark.parametrize(("asked", "split"), [(None, None), ("all", None), ("val", "val"), ("Validation", "val")])
def test_what_is_asked_for(asked: str | None, split: str | None) -> None:
    assert requested_split(asked, ("train", "val"), "here") == split


@pytest.mark.parametrize(
    ("asked", "present", "says"),
    [
        ("vall", ("train", "val"), "here has no split 'vall'; it has train, val; did you mean 'val'?"),
        ("test", ("train", "val"), "here has no split 'test'; known are train, val."),
        ("val", (), "here has no splits, so there is no 'val' in it: leave the split out to read it all."),
    ],
)
def test_what_is_not_there(asked: str, present: tuple[str, ...], says: str) -> None:
    with pytest.raises(InputError) as error:
        requested_split(asked, present, "here")
    assert str(error.value) == says
