import math

import pytest

from objectness.files.json_values import flag, image_id, number, shown, side, spelled


@pytest.mark.parametrize(
    ("value", "expected"),
    [(640, 640), (640.0, 640), ("640", 640), ("640.0", 640), (640.5, None), (0, None), (2**31, None), ("wide", None)],
)
def test_a_side_is_a_whole_number_of_pixels(value: object, expected: int | None) -> None:
    assert side(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(25, 25), (25.0, 25), ("25", "25"), (25.5, None), (True, None), (10**40, None), (2.0**60, None), (None, None)],
)
def test_an_id_is_text_or_a_whole_number(value: object, expected: int | str | None) -> None:
    assert image_id(value) == expected


def test_numbers_too_large_for_a_float_keep_their_sign() -> None:
    assert number(10**400) == math.inf
    assert number(-(10**400)) == -math.inf
    assert number("1") is None
    assert number(True) is None
    assert spelled("1e400") == math.inf
    assert spelled("one") is None


@pytest.mark.parametrize(
    ("value", "expected"), [(None, False), ("", False), ("True", True), ("1.0", True), (0.0, False), ("perhaps", None)]
)
def test_flags(value: object, expected: bool | None) -> None:
    assert flag(value) is expected


def test_a_message_holds_no_endless_value() -> None:
    assert len(shown(10**5000)) < 60
    assert len(shown("a" * 5000)) < 60
