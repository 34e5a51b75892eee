"""Whether an argument of a public function is a number in its range, whatever it is."""

from __future__ import annotations

from numbers import Integral, Real


def is_whole(value: object, least: int, most: int | None = None) -> bool:
    """Whether it is a whole number from ``least`` to ``most``; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        return False
    return int(value) >= least and (most is None or int(value) <= most)


def is_number(value: object, least: float, most: float) -> bool:
    """Whether it is a finite number from ``least`` to ``most``."""
    return isinstance(value, Real) and least <= float(value) <= most
