from __future__ import annotations

import numpy as np
import pytest

from objectness.errors import InputError
from objectness.evaluation import groups


def members(found: groups.Groups) -> dict[str, list[int]]:
    return {label: np.flatnonzero(mask).tolist() for label, mask in found.items() if mask.any()}


def test_empty() -> None:
    none = np.zeros(0)
    ids = np.zeros(0, np.int64)
    assert members(groups.by_size(none)) == {}
    assert members(groups.by_relative_size(none, none)) == {}
    assert members(groups.by_aspect(np.zeros((0, 4)))) == {}
    assert members(groups.by_objects_per_image(ids)) == {}
    assert groups.by_class(ids, ("cat",)) == {}
    assert members(groups.by_seen(ids, ("cat",), ("cat",))) == {}


def test_size_borders_are_in_both() -> None:
    got = members(groups.by_size(np.array([0, 1023, 1024, 1025, 9216, 9217])))
    assert got == {"small": [0, 1, 2], "medium": [2, 3, 4], "large": [4, 5]}


def test_relative_size_is_cocos_on_a_photograph_of_640_x_480() -> None:
    areas = np.array([1000, 5000, 20000, 1000, 1000])
    images = np.array([640 * 480] * 3 + [64 * 48, np.nan])
    assert members(groups.by_relative_size(areas, images)) == {"small": [0], "medium": [1], "large": [2, 3]}


def test_aspect_is_height_to_width() -> None:
    boxes = np.array([[0, 0, 40, 10], [0, 0, 20, 10], [0, 0, 10, 10], [0, 0, 10, 20], [0, 0, 10, 30], [5, 5, 5, 9]])
    got = members(groups.by_aspect(boxes))
    assert got == {"under 1:3": [0], "1:3 to 2:3": [1], "2:3 to 3:2": [2], "3:2 to 3:1": [3], "over 3:1": [4]}


def test_objects_of_the_image_are_counted() -> None:
    image_of = np.array([0] + [1] * 3 + [4] * 16)
    found = members(groups.by_objects_per_image(image_of))
    assert found == {
        "1": [0],
        "2 to 3": [1, 2, 3],
        "16 or more": list(range(4, 20)),
    }


def test_classes_most_frequent_first_and_names_that_repeat_are_told_apart() -> None:
    got = groups.by_class(np.array([2, 1, 1, 0, 7]), ("cat", "dog", "cat"))
    assert members(got) == {"dog": [1, 2], "cat (0)": [3], "cat (2)": [0], "class 7": [4]}


def test_seen() -> None:
    ids, names = np.array([0, 1, 2, 1]), ("person", "zebra", "tvmonitor")
    assert members(groups.by_seen(ids, names, ("zebra",))) == {"seen": [1, 3], "unseen": [0, 2]}
    assert members(groups.by_seen(ids, names, ("voc",))) == {"seen": [0, 2], "unseen": [1, 3]}


def test_seen_classes_that_are_not_there() -> None:
    with pytest.raises(InputError, match="no class 'zebr': did you mean 'zebra'"):
        groups.by_seen(np.zeros(0, np.int64), ("person", "zebra"), ("zebr",))
    with pytest.raises(InputError, match="None of the data set's classes"):
        groups.by_seen(np.zeros(0, np.int64), ("cell",), ("voc",))


def test_the_twenty_classes_of_voc() -> None:
    old = {"aeroplane", "diningtable", "motorbike", "pottedplant", "sofa", "tvmonitor"}
    assert len(groups.VOC_CLASSES - old) == 20
