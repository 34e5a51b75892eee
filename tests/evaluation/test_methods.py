from __future__ import annotations

import pytest

from objectness.errors import InputError
from objectness.evaluation.methods import unique_names, with_ids_of


def test_empty(make_record) -> None:
    assert with_ids_of({}, []) == {}
    assert with_ids_of({}, [make_record(1)]) == {}


def test_running_numbers_become_the_ids_of_the_data_set(make_record, make_proposals) -> None:
    # Number 2 is an id of the data set too, of another photograph.
    records = [make_record(2, name="photos/b.jpg"), make_record(5, name="photos/a.jpg")]
    a, b = make_proposals([[0, 0, 1, 1]], source="elsewhere/a.jpg"), make_proposals(source="elsewhere/b.jpg")
    assert with_ids_of({1: b, 2: a}, records) == {2: b, 5: a}


def test_without_names_the_ids_stand(make_record, make_proposals) -> None:
    found = {1: make_proposals(), 9: make_proposals()}
    assert with_ids_of(found, [make_record(9), make_record(1), make_record(2)]) == found
    with pytest.raises(InputError, match=r"proposals for image 9, which the data set does not have"):
        with_ids_of(found, [make_record(1), make_record(2)])


def test_where_no_name_is_known_the_ids_stand(make_record, make_proposals) -> None:
    found = {1: make_proposals(source="1.webp"), 2: make_proposals(source="2.webp")}
    assert with_ids_of(found, [make_record(1), make_record(2)]) == found


def test_a_name_that_occurs_twice_goes_by_an_id_that_is_no_running_number(make_record, make_proposals) -> None:
    records = [make_record(17, name="left/0.jpg"), make_record(24, name="right/0.jpg")]
    found = {17: make_proposals(source="0.jpg"), 24: make_proposals(source="0.jpg")}
    assert with_ids_of(found, records) == found
    records = [make_record(1, name="left/0.jpg"), make_record(2, name="right/0.jpg")]
    found = {1: make_proposals(source="0.jpg"), 2: make_proposals(source="0.jpg")}
    with pytest.raises(InputError, match=r"not clear which image is meant"):
        with_ids_of(found, records)


def test_a_photograph_that_the_data_set_does_not_have(make_record, make_proposals) -> None:
    found = {1: make_proposals(source="1.jpg"), 2: make_proposals(source="other.jpg")}
    with pytest.raises(InputError, match=r"other\.jpg, which the data set does not have"):
        with_ids_of(found, [make_record(1), make_record(2)])


def test_two_for_one_photograph(make_record, make_proposals) -> None:
    found = {7: make_proposals(source="x/1.jpg"), 8: make_proposals(source="y/1.jpg")}
    with pytest.raises(InputError, match=r"images 7 \(x/1\.jpg\) and 8 \(y/1\.jpg\) are both for 1\.jpg"):
        with_ids_of(found, [make_record(1)])


def test_names() -> None:
    assert unique_names([]) == []
    assert unique_names(["a/rpn.json", "default", "runs/x"]) == ["rpn", "default", "runs/x"]
    assert unique_names(["a/rpn.json", "b/rpn.json"]) == ["a/rpn.json", "b/rpn.json"]
    assert unique_names(["default", "default"]) == ["default (1)", "default (2)"]
