from __future__ import annotations

from typing import Any

import pytest

from objectness.errors import InputError
from objectness.inference.tiling.settings import TileSettings


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"tile": "off"},
        {"tile": 768, "overlap": 0, "scales": 2},
        {"overlap": "exact", "scales": [1.0, 0.5]},
        {"scales": (1,)},
    ],
)
def test_accepted(given: dict[str, Any]) -> None:
    TileSettings(**given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("tile", value) for value in (0, -5, 1.5, True, "exact", None, 10**6)),
        *(("overlap", value) for value in (-1, "off", 2.5)),
        *(("scales", value) for value in (0, 99, "all", (), (0.5, 2.0), (0.0,), ("a",), 0.5, [float("nan")])),
    ],
)
def test_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"^{name} is .*, but must be") as error:
        TileSettings(**{name: value})
    assert error.value.arguments == (name,)
