from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from objectness.detections import Detections

NAMES = ("cat", "dog")


@pytest.fixture(scope="session")
def make_detections() -> Callable[..., Detections]:
    """Detections of one image in one line; scores fall in steps unless they are given, all are cats."""

    def make(
        boxes_xyxy: Sequence[Sequence[float]] = (),
        scores: Sequence[float] | None = None,
        labels: Sequence[int] | None = None,
        class_names: tuple[str, ...] = NAMES,
        source: str | None = None,
    ) -> Detections:
        falling = [1 - index / 1000 for index in range(len(boxes_xyxy))]
        return Detections(
            np.array(boxes_xyxy, dtype=np.float32),
            np.array(falling if scores is None else scores, dtype=np.float32),
            np.array([0] * len(boxes_xyxy) if labels is None else labels, dtype=np.int64),
            class_names,
            (480, 640),
            source,
        )

    return make
