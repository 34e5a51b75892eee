from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from objectness.errors import InputError
from objectness.settings import describe, from_dict, override, require, to_dict


@dataclass(frozen=True)
class Engine:
    power: float = 1.5
    gears: int = 5
    kind: Literal["petrol", "electric"] = "petrol"


@dataclass(frozen=True)
class Car:
    name: str = "car"
    owner: str | None = None
    fast: bool = False
    weights: tuple[float, ...] = (1.0, 2.0)
    seats: tuple[int, ...] = (2, 3)
    limit: float | None = None
    engine: Engine = field(default_factory=Engine)


def test_nothing_given_is_the_default() -> None:
    assert from_dict(Car, {}) == Car() == override(Car(), [])


def test_to_plain_data_and_back() -> None:
    car = Car("van", "Ann", True, (0.5,), (), 3.0, Engine(2.0, 6, "electric"))
    plain = to_dict(car)
    assert plain == {
        "name": "van",
        "owner": "Ann",
        "fast": True,
        "weights": [0.5],
        "seats": [],
        "limit": 3.0,
        "engine": {"power": 2.0, "gears": 6, "kind": "electric"},
    }
    assert from_dict(Car, plain) == car


def test_every_knob_by_its_dotted_name() -> None:
    rows = dict(describe(Car()))
    assert list(rows) == [
        "name",
        "owner",
        "fast",
        "weights",
        "seats",
        "limit",
        "engine.power",
        "engine.gears",
        "engine.kind",
    ]
    assert rows["engine.gears"] == 5


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("name=van", Car(name="van")),
        ("name=a=b", Car(name="a=b")),
        ("owner=Ann", Car(owner="Ann")),
        ("fast=true", Car(fast=True)),
        ("fast=Yes", Car(fast=True)),
        ("fast=0", Car(fast=False)),
        ("weights=32,64.5", Car(weights=(32.0, 64.5))),
        ("weights=(3,)", Car(weights=(3.0,))),
        ("weights=[3, 4]", Car(weights=(3.0, 4.0))),
        ("weights=", Car(weights=())),
        ("seats=7", Car(seats=(7,))),
        ("limit=2", Car(limit=2.0)),
        ("engine.power=2", Car(engine=Engine(power=2.0))),
        ("engine.power=1e-3", Car(engine=Engine(power=0.001))),
        (" engine.gears = 6 ", Car(engine=Engine(gears=6))),
        ("engine.kind=electric", Car(engine=Engine(kind="electric"))),
    ],
)
def test_overrides(assignment: str, expected: Car) -> None:
    found = override(Car(), [assignment])
    assert found == expected
    assert [type(value) for _, value in describe(found)] == [type(value) for _, value in describe(expected)]


@pytest.mark.parametrize("text", ["none", "None", "null", ""])
def test_an_optional_setting_can_be_taken_away(text: str) -> None:
    assert override(Car(owner="Ann", limit=1.0), [f"owner={text}", f"limit={text}"]) == Car()


def test_later_overrides_win_and_nothing_changes_in_place() -> None:
    car = Car()
    assert override(car, ["engine.gears=3", "engine.gears=4", "fast=on"]) == Car(fast=True, engine=Engine(gears=4))
    assert car == Car()


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("gears", "A setting is changed by key=value, e.g. optimizer.lr=0.01; got 'gears'."),
        ("=5", "A setting is changed by key=value"),
        ("nmae=van", "Unknown setting 'nmae': did you mean 'name'?"),
        ("gears=5", "Unknown setting 'gears': did you mean 'engine.gears'?"),
        ("engine.gaers=5", "Unknown setting 'engine.gaers': did you mean 'engine.gears'?"),
        ("name.first=x", "Unknown setting 'name.first':"),
        ("engine=5", "Setting 'engine' is a group: set one of engine.power, engine.gears, engine.kind."),
        ("fast=maybe", "Setting fast takes true or false; got 'maybe'."),
        ("engine.gears=2.5", "Setting engine.gears takes a whole number; got '2.5'."),
        ("engine.gears=none", "Setting engine.gears takes a whole number; got 'none'."),
        ("engine.power=much", "Setting engine.power takes a number; got 'much'."),
        ("engine.power=", "Setting engine.power takes a number; got ''."),
        ("engine.power=nan", "Setting engine.power takes a finite number; got nan."),
        ("limit=inf", "Setting limit takes a finite number; got inf."),
        ("weights=1,two", "Setting weights takes a number; got 'two'."),
        ("engine.kind=electrik", "Setting engine.kind got 'electrik': did you mean 'electric'?"),
        ("engine.kind=7", "Setting engine.kind got '7': known are electric, petrol."),
    ],
)
def test_overrides_that_do_not_fit(assignment: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        override(Car(), [assignment])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"nmae": "van"}, "Unknown setting nmae: did you mean 'name'?"),
        ({"engine": {"gaers": 5}}, "Unknown setting engine.gaers: did you mean 'gears'?"),
        ({"engine": 5}, "Settings engine take names and values; got 5."),
        ({"engine": {"gears": 2.0}}, "Setting engine.gears takes a whole number; got 2.0."),
        ({"engine": {"gears": True}}, "Setting engine.gears takes a whole number; got True."),
        ({"engine": {"power": "2"}}, "Setting engine.power takes a number; got '2'."),
        ({"engine": {"power": float("nan")}}, "Setting engine.power takes a finite number; got nan."),
        ({"engine": {"power": 10**400}}, "Setting engine.power takes a finite number; got one of hundreds of digits."),
        ({"engine": {"kind": "steam"}}, "Setting engine.kind got 'steam': known are electric, petrol."),
        ({"fast": 1}, "Setting fast takes true or false; got 1."),
        ({"name": None}, "Setting name takes a text; got None."),
        ({"weights": 3.0}, "Setting weights takes a list; got 3.0."),
        ({"weights": ["a"]}, "Setting weights takes a number; got 'a'."),
    ],
)
def test_data_that_do_not_fit(data: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        from_dict(Car, data)
    assert str(caught.value) == message


def test_something_else_than_a_mapping() -> None:
    with pytest.raises(InputError, match="take names and values; got"):
        from_dict(Car, [1, 2])  # type: ignore[arg-type]


def test_whole_numbers_pass_for_numbers_and_become_such() -> None:
    car = from_dict(Car, {"weights": [1, 2], "limit": 3, "engine": {"power": 4}})
    assert [type(value) for value in (*car.weights, car.limit, car.engine.power)] == [float] * 4


@dataclass(frozen=True)
class Range:
    low: float = 2.0
    high: float = 3.0

    def __post_init__(self) -> None:
        require("high", self.high, "above low", self.high > self.low)


@pytest.mark.parametrize("assignments", [["low=7", "high=8"], ["high=8", "low=7"], ["high=0", "low=7", "high=8"]])
def test_values_that_must_fit_one_another_come_in_any_order(assignments: list[str]) -> None:
    assert override(Range(), assignments) == Range(7.0, 8.0)
    with pytest.raises(InputError, match="high must be above low"):
        override(Range(), ["low=7"])
