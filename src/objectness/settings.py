"""Settings as frozen dataclasses with bounds in their types; to a plain dict and back, and ``key=value`` overrides.

The dataclasses hold the only defaults. A model or run is saved with all of their fields, and ``--set`` takes any of
them by its dotted key; an unknown key, a wrong type or a number out of bounds is an error with the key in full.
"""

from __future__ import annotations

import functools
import math
import reprlib
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from objectness.errors import InputError, did_you_mean

_KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_HERE = "{here}"


class SettingError(InputError):
    """A value that a group of settings refuses.

    Args:
        sentence: "{here}" before a key stands for the place of the group among all settings.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence.replace(_HERE, ""))
        self._sentence = sentence

    def inside(self, group: str) -> SettingError:
        """The same error, with the keys counted from the settings that hold the group by this name."""
        return SettingError(self._sentence.replace(_HERE, f"{_HERE}{group}."))


@dataclass(frozen=True)
class Bounds:
    """Bounds of a number, as a part of the type of its field: ``Annotated[float, Bounds(ge=0, lt=1)]``.

    ``ge`` and ``le`` belong to the range, ``gt`` and ``lt`` do not.
    """

    ge: float = -math.inf
    gt: float = -math.inf
    le: float = math.inf
    lt: float = math.inf

    def __contains__(self, number: float) -> bool:  # only finite numbers come here
        return self.ge <= number <= self.le and self.gt < number < self.lt

    def __str__(self) -> str:
        if -math.inf < self.ge and self.le < math.inf:
            return f"between {self.ge:,} and {self.le:,}"
        parts = (("at least", self.ge), ("above", self.gt), ("at most", self.le), ("below", self.lt))
        return " and ".join(f"{words} {bound:,}" for words, bound in parts if math.isfinite(bound))


Fraction = Annotated[float, Bounds(ge=0, le=1)]
NonNegative = Annotated[float, Bounds(ge=0)]


@dataclass(frozen=True)
class Settings:
    """Base of all groups of settings: values that do not fit the types and bounds of their fields are refused.

    A whole number becomes a float and a list a tuple where the field is one.

    Raises:
        SettingError: a value that does not fit.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {}
    """Keys of earlier versions, with their names of today."""
    RENAMED_VALUES: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """Values of earlier versions for a key of today, with their names of today."""
    RETIRED: ClassVar[frozenset[str]] = frozenset()
    """Keys of earlier versions that have no effect any more."""

    def __post_init__(self) -> None:
        for name, kind in _types(type(self)).items():
            object.__setattr__(self, name, _fitting(kind, getattr(self, name), name))


S = TypeVar("S", bound=Settings)


def require(name: str, value: object, wanted: str, fits: bool) -> None:
    """Refuse a value that does not fit, in one sentence: what it must be and what it is.

    Args:
        name: Key, counted from the group that calls; its place among all settings is added.
        value: The value of the user.
        wanted: What it must be; "{here}" before another key stands for the place of the group.
        fits: Whether it is that.

    Raises:
        SettingError: it is not.
    """
    if not fits:
        given = (", ".join(map(str, value)) or "empty") if isinstance(value, tuple) else reprlib.repr(value)
        raise SettingError(f"{_HERE}{name} must be {wanted}; it is {given}.")


def to_dict(settings: Settings) -> dict[str, Any]:
    """Nested plain data (dicts, lists, numbers, strings) of settings."""
    values = {f.name: getattr(settings, f.name) for f in fields(settings)}
    return {
        name: to_dict(value) if isinstance(value, Settings) else list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
    }


def from_dict(kind: type[S], data: object) -> S:
    """Settings of plain data, where an absent key takes its default; raises as ``merge``."""
    return merge(kind(), data)


def merge(settings: S, data: object) -> S:
    """A copy of the settings with the values of nested plain data.

    Raises:
        InputError: an unknown key, or a value that does not fit its field.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"Settings of a model or run take names and values; got {reprlib.repr(data)}.")
    kinds = _types(type(settings))
    values: dict[str, Any] = {}
    for old, value in data.items():
        if old in settings.RETIRED:
            continue
        key, value = _of_today(settings, old, value)
        if key in values or (key != old and key in data):
            raise SettingError(f"Setting {_HERE}{key} is given twice, also by its old name {old}: give one of them.")
        if key not in kinds:
            raise SettingError(f"Unknown setting {_HERE}{key}: {did_you_mean(key, kinds)}")
        current = getattr(settings, key)
        if isinstance(current, Settings):
            require(key, value, "a group of names and values", isinstance(value, Mapping))
            try:
                value = merge(current, value)
            except SettingError as error:
                raise error.inside(key) from None
        values[key] = _fitting(kinds[key], value, key)
    return replace(settings, **values)


def override(settings: S, assignments: Sequence[str]) -> S:
    """Apply ``key=value`` assignments, e.g. ``loss.box_weight=5`` or ``anchors.sizes=32,64``.

    Nothing is changed in place. Values that must fit one another may come in any order.

    Raises:
        InputError: not of that form, an unknown key, or a value that does not fit.
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        key, text = _split(assignment)
        place: dict[str, Any] = changes
        group: Any = settings
        *groups, last = key.split(".")
        for old in groups:
            name, _ = _of_today(group, old, None)
            group = getattr(group, name, None)
            place = place.setdefault(name, {})
            _require_known(isinstance(group, Settings), settings, key)
        name, text = _of_today(group, last, text)
        kind = _types(type(group)).get(name)
        _require_known(kind is not None, settings, key)
        if isinstance(getattr(group, name), Settings):
            inner = ", ".join(f"{key}.{f.name}" for f in fields(getattr(group, name)))
            raise InputError(f"Setting {key!r} is a group: set one of {inner}.")
        place[name] = _parsed(kind, text)
    return merge(settings, changes)


def describe(settings: Settings, prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted key and value of every setting."""
    rows: list[tuple[str, Any]] = []
    for f in fields(settings):
        value = getattr(settings, f.name)
        key = f"{prefix}{f.name}"
        rows += describe(value, f"{key}.") if isinstance(value, Settings) else [(key, value)]
    return rows


def old_names(settings: Settings, data: object, assignments: Sequence[str] = ()) -> dict[str, str]:
    """Keys, and values as "key=value", of earlier versions that data or assignments use, with their names of today."""
    pairs = list(_names(settings, data))
    for assignment in assignments:
        key, nested = _split(assignment)
        for name in reversed(key.split(".")):
            nested = {name: nested}
        pairs += _names(settings, nested)
    return {old: new for old, new in pairs if old != new}


def _names(settings: Settings, data: object) -> Iterator[tuple[str, str]]:
    """Dotted key of each value in nested data, as given and as of today."""
    for old, value in data.items() if isinstance(data, Mapping) else ():
        key, today = _of_today(settings, old, value)
        current = getattr(settings, key, None)
        if isinstance(current, Settings):
            yield from ((f"{old}.{inner}", f"{key}.{new}") for inner, new in _names(current, value))
        else:
            yield (old, key) if value == today else (f"{old}={value}", f"{key}={today}")


def _of_today(settings: Settings, old: str, value: Any) -> tuple[str, Any]:
    """Key and value of a file or assignment, under their names of today."""
    key = settings.RENAMED.get(old, old)
    words = settings.RENAMED_VALUES.get(key, {})
    return key, words.get(value, value) if isinstance(value, str) else value


def _read_types(group: type) -> dict[str, Any]:
    """Type of each field, with its bounds."""
    hints = get_type_hints(group, include_extras=True)
    return {f.name: hints[f.name] for f in fields(group)}


_types: Callable[[type], dict[str, Any]] = functools.cache(_read_types)


def _fitting(kind: Any, value: Any, key: str) -> Any:
    """``value`` as a value of type ``kind``; a SettingError where it is none."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        value = _fitting(inner[0], value, key)
        require(key, value, str(inner[1]), value in inner[1])
        return value
    if origin in (Union, types.UnionType):
        return None if value is None else _fitting(inner[0], value, key)
    if origin is Literal:
        if value not in inner:
            raise SettingError(f"{_HERE}{key} cannot be {reprlib.repr(value)}: {did_you_mean(str(value), inner)}")
        return value
    if origin is tuple:
        require(key, value, "a list", isinstance(value, list | tuple))
        return tuple(_fitting(inner[0], part, f"{key}[{index}]") for index, part in enumerate(value))
    whole = isinstance(value, int) and not isinstance(value, bool)
    if kind is float and (whole or isinstance(value, float)):
        finite = math.isfinite(value) if isinstance(value, float) else abs(value) < 10**308
        require(key, value, "a finite number", finite)
        return float(value)
    fits = whole if kind is int else isinstance(value, kind)
    require(key, value, _KINDS.get(kind, "a group of settings"), fits)
    return value


def _split(assignment: str) -> tuple[str, Any]:
    """Key and text of ``key=value``."""
    key, separator, text = assignment.partition("=")
    if not separator or not key.strip():
        raise InputError(
            f"A setting is changed by key=value, e.g. optimizer.lr=0.01; got {assignment!r}.", arguments=("set",)
        )
    return key.strip(), text.strip()


def _require_known(known: bool, settings: Settings, key: str) -> None:
    """Refuse an unknown dotted key, with a known one of the same end or else of similar spelling."""
    if not known:
        names = [name for name, _ in describe(settings)]
        same_end = [name for name in names if name.endswith(f".{key}")]
        meant = f"did you mean {same_end[0]!r}?" if same_end else did_you_mean(key, names)
        raise InputError(f"Unknown setting {key!r}: {meant}")


def _parsed(kind: Any, text: str) -> Any:
    """The value that a text means for a field of type ``kind``; the text itself where it means none."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _parsed(inner[0], text)
    if origin in (Union, types.UnionType):
        return None if text.lower() in ("none", "null", "") else _parsed(inner[0], text)
    if origin is tuple:
        return tuple(_parsed(inner[0], part.strip()) for part in text.strip("()[]").split(",") if part.strip())
    if kind is bool:
        return _WORDS.get(text.lower(), text)
    try:
        return kind(text) if kind in (int, float) else text
    except ValueError:
        return text
