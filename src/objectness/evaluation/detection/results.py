"""Results of methods that name boxes, on the same ground truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from objectness.datasets.records import Record
from objectness.detections import Detections
from objectness.evaluation.detection.bound import Bound
from objectness.evaluation.detection.figures import Figures
from objectness.evaluation.detection.matches import ALL, Matches
from objectness.evaluation.detection.mistakes import Mistakes


@dataclass(frozen=True, eq=False)
class NamedResult:
    """Detections of one method and what became of them.

    Attributes:
        name: Shown in tables; unique among the methods.
        detections: Image id -> detections.
        matches: Of these with the objects.
        figures: Every figure with its draws.
        mistakes: At one score.
        bound: What the proposals allow; None where they are not known.
    """

    name: str
    detections: Mapping[int, Detections]
    matches: Matches
    figures: Figures
    mistakes: Mistakes
    bound: Bound | None = None


@dataclass(frozen=True, eq=False)
class NamedResults:
    """Results of methods on the same ground truth.

    Attributes:
        data: Name of the ground truth for titles.
        records: The images.
        class_names: A name for each class, no two alike.
        methods: One or more.
        draws: Draws of the bootstrap.
    """

    data: str
    records: Sequence[Record]
    class_names: tuple[str, ...]
    methods: tuple[NamedResult, ...]
    draws: int

    @property
    def images(self) -> int:
        """Images that were measured, with or without detections."""
        return len(self.records)

    @property
    def objects(self) -> int:
        """Objects to be found."""
        return int(self.methods[0].matches.counted[ALL].sum())

    def objects_of_classes(self) -> list[tuple[int, str, int]]:
        """Position, name and number of objects of each class that has some, most frequent first."""
        matches = self.methods[0].matches
        found = np.bincount(matches.flat.object_label[matches.counted[ALL]], minlength=len(self.class_names)).tolist()
        counts = [(label, name, found[label]) for label, name in enumerate(self.class_names)]
        return sorted((one for one in counts if one[2]), key=lambda one: -one[2])
