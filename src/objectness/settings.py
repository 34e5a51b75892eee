"""Settings as frozen dataclasses: to a plain dict and back, and ``key=value`` overrides.

The dataclasses hold the only defaults. What is saved with a model and what ``--set`` takes are generated from
their fields; an unknown key or a value of the wrong type is an error that says so.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from objectness.errors import InputError, did_you_mean

S = TypeVar("S")


class SettingError(InputError):
    """A value that a group of settings refuses.

    Attributes:
        key: Dotted name of the setting, counted from the group that was being built.
        complaint: The rest of the sentence: what it must be and what it is. "{here}" in it stands for the place of
            the group among all settings.
    """

    def __init__(self, key: str, complaint: str) -> None:
        super().__init__(f"{key} {complaint.replace('{here}', '')}")
        self.key = key
        self.complaint = complaint


_KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def to_dict(settings: Any) -> dict[str, Any]:
    """Nested plain data (dicts, lists, numbers, strings) of a settings dataclass."""
    return {f.name: _plain(getattr(settings, f.name)) for f in fields(settings)}


def from_dict(kind: type[S], data: object, where: str = "") -> S:
    """Build a settings dataclass from plain data.

    Args:
        kind: The dataclass.
        data: Nested plain data; a key that is absent takes its default.
        where: Dotted place of ``data``, for messages.

    Raises:
        InputError: an unknown key, or a value that does not fit its field.
    """
    if not isinstance(data, Mapping):
        name = where.rstrip(".") or "of a model or run"
        raise InputError(f"Settings {name} take names and values; got {data!r}.")
    hints = get_type_hints(kind)
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in _of_today(kind, data, where).items():
        if key not in names:
            raise InputError(f"Unknown setting {where}{key}: {did_you_mean(key, names)}")
        hint = hints[key]
        if is_dataclass(hint):
            values[key] = from_dict(hint, value, f"{where}{key}.")  # type: ignore[arg-type]
        else:
            values[key] = _checked(hint, value, f"{where}{key}")
    return _built(lambda: kind(**values), where)


def _of_today(kind: type, data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Names and values of version 0.1 in files and assignments, as they are called today.

    A group declares them in class attributes: ``RETIRED`` names keys that nothing asks for any more, ``RENAMED`` maps
    old keys to new ones, ``RENAMED_VALUES`` maps a key of today to its old values and what they are called now.
    """
    retired: Collection[str] = getattr(kind, "RETIRED", ())
    renamed: Mapping[str, str] = getattr(kind, "RENAMED", {})
    renamed_values: Mapping[str, Mapping[str, str]] = getattr(kind, "RENAMED_VALUES", {})
    today = {}
    for old, value in data.items():
        if old in retired:
            continue
        key = renamed.get(old, old)
        if key in today or (key != old and key in data):
            raise InputError(f"Setting {where}{key} is given twice, also by its old name {old}: give one of them.")
        today[key] = renamed_values.get(key, {}).get(value, value) if isinstance(value, str) else value
    return today


def merge(settings: S, data: object, where: str = "") -> S:
    """The settings with what ``data`` (nested plain data) names changed; the rest stays, nothing in place.

    Raises:
        InputError: an unknown key, or a value that does not fit its field.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"Settings {where.rstrip('.') or 'of a run'} take names and values; got {data!r}.")
    hints = get_type_hints(type(settings))
    values: dict[str, Any] = {}
    for key, value in _of_today(type(settings), data, where).items():
        if key not in hints:
            raise InputError(f"Unknown setting {where}{key}: {did_you_mean(key, hints)}")
        current = getattr(settings, key)
        nested = is_dataclass(current)
        values[key] = (
            merge(current, value, f"{where}{key}.") if nested else _checked(hints[key], value, f"{where}{key}")
        )
    return _built(lambda: replace(settings, **values), where)  # type: ignore[type-var]


def override(settings: S, assignments: Sequence[str]) -> S:
    """Apply ``key=value`` assignments, e.g. ``loss.box_weight=5`` or ``anchors.sizes=32,64``.

    Nothing is changed in place. Values that must fit one another may come in any order.

    Raises:
        InputError: not of that form, an unknown key, or a value that does not fit.
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator or not key.strip():
            raise InputError(
                f"A setting is changed by key=value, e.g. optimizer.lr=0.01; got {assignment!r}.", arguments=("set",)
            )
        key = key.strip()
        try:
            _assign(changes, settings, key.split("."), text.strip(), key)
        except _UnknownKeyError:
            raise InputError(f"Unknown setting {key!r}: {_suggestion(settings, key)}") from None
    return merge(settings, changes)


def describe(settings: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Every dotted key with its value: the whole list of knobs."""
    rows: list[tuple[str, Any]] = []
    for f in fields(settings):
        value = getattr(settings, f.name)
        if is_dataclass(value):
            rows += describe(value, f"{prefix}{f.name}.")
        else:
            rows.append((f"{prefix}{f.name}", value))
    return rows


def require(name: str, value: object, wanted: str, fits: bool) -> None:
    """Refuse a setting that does not fit, in one sentence: what it must be and what it is.

    A number that is not finite never fits.

    Args:
        name: Of the field, or dotted from the group that asks; where the group itself lies is added when it is
            built from data or changed by assignments, so that the sentence names the key that the user gave.
        value: What was given.
        wanted: What it must be; "{here}" before the name of another field stands for where the group lies.
        fits: Whether it is that.

    Raises:
        SettingError: it is not.
    """
    numbers = value if isinstance(value, tuple) else (value,)
    finite = all(math.isfinite(number) for number in numbers if isinstance(number, float))
    if not (fits and finite):
        given = ", ".join(map(str, value)) if isinstance(value, tuple) else value
        raise SettingError(name, f"must be {wanted}; it is {'empty' if given == '' else given}.")


def require_within(settings: object, names: Sequence[str], low: float, high: float) -> None:
    """Refuse each of the named numbers of ``settings`` that lies outside ``low`` to ``high``, both included.

    Raises:
        SettingError: as ``require``.
    """
    wanted = f"at least {low:,}" if high == math.inf else f"between {low:,} and {high:,}"
    for name in names:
        value = getattr(settings, name)
        require(name, value, wanted, low <= value <= high)


def _built(build: Callable[[], S], where: str) -> S:
    """The settings that ``build`` makes; what they refuse is named from the whole: ``where`` and its own name."""
    try:
        return build()
    except SettingError as error:
        raise SettingError(f"{where}{error.key}", error.complaint.replace("{here}", where)) from None


def _assign(changes: dict[str, Any], settings: Any, path: list[str], text: str, whole: str) -> None:
    """Put the value of one assignment to its place among the changes."""
    hints = get_type_hints(type(settings))
    old, rest = path[0], path[1:]
    head = getattr(type(settings), "RENAMED", {}).get(old, old)
    if head not in hints:
        raise _UnknownKeyError
    current = getattr(settings, head)
    if is_dataclass(current):
        if not rest:
            inner = ", ".join(f"{whole}.{f.name}" for f in fields(current))
            raise InputError(f"Setting {whole!r} is a group: set one of {inner}.")
        _assign(changes.setdefault(head, {}), current, rest, text, whole)
    elif rest:
        raise _UnknownKeyError
    else:
        new_words: Mapping[str, str] = getattr(type(settings), "RENAMED_VALUES", {}).get(head, {})
        changes[head] = _parsed(hints[head], new_words.get(text, text), whole)


class _UnknownKeyError(Exception):
    """A dotted key that leads nowhere."""


def _suggestion(settings: Any, key: str) -> str:
    """The end of a sentence about an unknown key: a known one with the same end, else one spelt alike."""
    known = [name for name, _ in describe(settings)]
    same_end = [name for name in known if name == key or name.endswith(f".{key}")]
    return f"did you mean {same_end[0]!r}?" if same_end else did_you_mean(key, known)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return to_dict(value)
    return list(value) if isinstance(value, tuple) else value


def _parsed(hint: Any, text: str, key: str) -> Any:
    """``text`` from a command line as a value of type ``hint``."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if type(None) in options and text.lower() in ("none", "null", ""):
        return None
    hint = next(option for option in options if option is not type(None))
    origin = get_origin(hint)
    if origin is tuple:
        inner = get_args(hint)[0]
        parts = [part for part in text.strip("()[]").split(",") if part.strip()]
        return tuple(_parsed(inner, part.strip(), key) for part in parts)
    if hint is bool:
        if text.lower() in ("true", "yes", "on", "1"):
            return True
        if text.lower() in ("false", "no", "off", "0"):
            return False
        raise InputError(f"Setting {key} takes true or false; got {text!r}.")
    if hint is int or hint is float:
        try:
            return _checked(hint, hint(text), key)
        except InputError:
            raise
        except ValueError:
            raise InputError(f"Setting {key} takes {_KINDS[hint]}; got {text!r}.") from None
    return _checked(hint, text, key)


def _checked(hint: Any, value: Any, key: str) -> Any:
    """``value`` from plain data as a value of type ``hint``."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        options = get_args(hint)
        if value is None and type(None) in options:
            return None
        return _checked(next(option for option in options if option is not type(None)), value, key)
    if origin is Literal:
        if value not in get_args(hint):
            known = did_you_mean(str(value), map(str, get_args(hint)))
            raise InputError(f"Setting {key} got {value!r}: {known}")
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"Setting {key} takes a list; got {value!r}.")
        return tuple(_checked(get_args(hint)[0], part, key) for part in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise InputError(f"Setting {key} takes a finite number; got one of hundreds of digits.") from None
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise InputError(f"Setting {key} takes {_KINDS.get(hint, hint.__name__)}; got {value!r}.")
    if hint is float and not math.isfinite(value):
        raise InputError(f"Setting {key} takes a finite number; got {value!r}.")
    return value
