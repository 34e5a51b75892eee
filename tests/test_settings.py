from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

import pytest

from objectness.errors import InputError
from objectness.settings import (
    Bounds,
    SettingError,
    Settings,
    describe,
    from_dict,
    merge,
    old_names,
    override,
    require,
    to_dict,
)


@dataclass(frozen=True)
class Engine(Settings):
    power: float = 1.5
    gears: int = 5
    kind: Literal["petrol", "electric"] = "petrol"


@dataclass(frozen=True)
class Car(Settings):
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
        ("fast=maybe", "fast must be true or false; it is 'maybe'."),
        ("engine.gears=2.5", "engine.gears must be a whole number; it is '2.5'."),
        ("engine.gears=none", "engine.gears must be a whole number; it is 'none'."),
        ("engine.power=much", "engine.power must be a number; it is 'much'."),
        ("engine.power=", "engine.power must be a number; it is ''."),
        ("engine.power=nan", "engine.power must be a finite number; it is nan."),
        ("limit=inf", "limit must be a finite number; it is inf."),
        ("weights=1,two", "weights[1] must be a number; it is 'two'."),
        ("engine.kind=electrik", "engine.kind cannot be 'electrik': did you mean 'electric'?"),
        ("engine.kind=7", "engine.kind cannot be '7': known are electric, petrol."),
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
        ({"engine": 5}, "engine must be a group of names and values; it is 5."),
        ({"engine": {"gears": 2.0}}, "engine.gears must be a whole number; it is 2.0."),
        ({"engine": {"gears": True}}, "engine.gears must be a whole number; it is True."),
        ({"engine": {"power": "2"}}, "engine.power must be a number; it is '2'."),
        ({"engine": {"power": float("nan")}}, "engine.power must be a finite number; it is nan."),
        (
            {"engine": {"power": 10**400}},
            "engine.power must be a finite number; it is 100000000000000000...0000000000000000000.",
        ),
        ({"engine": {"kind": "steam"}}, "engine.kind cannot be 'steam': known are electric, petrol."),
        ({"fast": 1}, "fast must be true or false; it is 1."),
        ({"name": None}, "name must be a text; it is None."),
        ({"weights": 3.0}, "weights must be a list; it is 3.0."),
        ({"weights": ["a"]}, "weights[0] must be a number; it is 'a'."),
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
class Range(Settings):
    low: float = 2.0
    high: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require("high", self.high, "above low", self.high > self.low)


@pytest.mark.parametrize("assignments", [["low=7", "high=8"], ["high=8", "low=7"], ["high=0", "low=7", "high=8"]])
def test_values_that_must_fit_one_another_come_in_any_order(assignments: list[str]) -> None:
    assert override(Range(), assignments) == Range(7.0, 8.0)
    with pytest.raises(InputError, match="high must be above low"):
        override(Range(), ["low=7"])


@dataclass(frozen=True)
class Bounded(Settings):
    share: Annotated[float, Bounds(ge=0, lt=1)] = 0.5
    count: Annotated[int, Bounds(ge=1, le=1_000_000)] = 1
    open: Annotated[float, Bounds(gt=0, lt=1)] = 0.5
    least: Annotated[float, Bounds(ge=-10)] = 0.0
    steps: tuple[Annotated[float, Bounds(ge=0, le=1)], ...] = (0.5,)
    width: Annotated[int, Bounds(gt=0)] | None = None


@dataclass(frozen=True)
class Holder(Settings):
    bounded: Bounded = field(default_factory=Bounded)

    RENAMED: ClassVar = {"bound": "bounded"}


@pytest.mark.parametrize(
    ("name", "inside", "outside", "sentence"),
    [
        ("share", [0, 0.999], [-1e-9, 1], "must be at least 0 and below 1; it is"),
        ("count", [1, 1_000_000], [0, 1_000_001], "must be between 1 and 1,000,000; it is"),
        ("open", [1e-9, 0.999], [0, 1], "must be above 0 and below 1; it is"),
        ("least", [-10, 1e300], [-10.001], "must be at least -10; it is"),
        ("steps", [(), (0, 1)], [], ""),
        ("width", [None, 1], [0, -1], "must be above 0; it is"),
        ("share", [], [math.nan, math.inf, -math.inf, 10**400], "must be a finite number; it is"),
        ("least", [], ["1", None, True, 1j], "must be a number; it is"),
        ("count", [], [1.0, "1", True, math.nan], "must be a whole number; it is"),
        ("steps", [], [0.5, "0.5", None], "must be a list; it is"),
    ],
)
def test_bounds_and_types_hold_however_a_group_is_built(
    name: str, inside: list[Any], outside: list[Any], sentence: str
) -> None:
    for value in inside:
        assert getattr(Bounded(**{name: value}), name) == value == getattr(replace(Bounded(), **{name: value}), name)
    for value in outside:
        with pytest.raises(SettingError) as caught:
            replace(Bounded(), **{name: value})
        assert str(caught.value).startswith(f"{name} {sentence}")
        with pytest.raises(SettingError) as caught:
            from_dict(Holder, {"bounded": {name: value}})
        assert str(caught.value).startswith(f"bounded.{name} {sentence}")


def test_a_number_of_a_list_is_named_by_its_place() -> None:
    with pytest.raises(SettingError, match=r"^bounded\.steps\[1\] must be between 0 and 1; it is 2\.0\.$"):
        override(Holder(), ["bounded.steps=0.5,2"])


def test_groups_stay_values() -> None:
    assert Bounded(share=0) == Bounded(share=0.0) == merge(Bounded(), {"share": 0})
    assert hash(Bounded(steps=[0, 1])) == hash(Bounded(steps=(0.0, 1.0)))  # type: ignore[arg-type]
    assert type(Bounded(share=0).share) is float
    with pytest.raises(SettingError, match=r"^bounded must be a group of settings; it is 5\.$"):
        Holder(bounded=5)  # type: ignore[arg-type]


def test_a_value_of_any_length_makes_a_short_sentence() -> None:
    with pytest.raises(SettingError) as caught:
        from_dict(Holder, {"bounded": {"count": "x" * 100_000}})
    assert len(str(caught.value)) < 100


def test_old_names_of_groups_keys_and_values() -> None:
    @dataclass(frozen=True)
    class Plain(Settings):
        pass

    assert old_names(Holder(), {"bound": {"count": 2}}) == {"bound.count": "bounded.count"}
    assert old_names(Holder(), {"bounded": {"count": 2}}, ["bounded.count=3"]) == {}
    assert old_names(Holder(), {}, ["bound.count=3"]) == {"bound.count": "bounded.count"}
    assert old_names(Plain(), 5) == {}
