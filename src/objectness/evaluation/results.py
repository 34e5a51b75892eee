"""Results of methods on the same ground truth: every figure of each, with its interval.

I images, M objects, K counts of proposals, G points of a curve.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from objectness.datasets.records import Record
from objectness.errors import InputError
from objectness.evaluation import bootstrap, groups, per_object
from objectness.evaluation.bootstrap import Sampled
from objectness.evaluation.measurement import Measurement
from objectness.evaluation.proposals_needed import RECALLS
from objectness.proposals import Proposals

Key = tuple[str, ...]

ASPECT, OBJECTS_PER_IMAGE, CLASS, SEEN = "height : width", "objects in the image", "class", "seen in training"
RECALL_IOUS = (0.5, 0.7, 0.9)

USUAL_AT = 100
_AT_ONCE = 4_000_000  # sums of images to hold: a thousand classes on many images would fill the memory


@dataclass(frozen=True)
class Options:
    """Options of a comparison.

    Attributes:
        at: Number of proposals for differences and missed objects (one of the ks); None for 100 where that is one of
            them, else the largest.
        recalls: Shares of the objects; the number of proposals that reaches each is computed.
        seen: Names of the classes that training saw, or the one word "voc"; empty for no such split.
        draws: Draws of the bootstrap.
        seed: Seed of the bootstrap.
    """

    at: int | None = None
    recalls: tuple[float, ...] = RECALLS
    seen: tuple[str, ...] = ()
    draws: int = bootstrap.DRAWS
    seed: int = 0

    def check(self, ks: Collection[int], class_names: Sequence[str]) -> None:
        """Refuse what cannot be, before minutes of work.

        Raises:
            InputError: an ``at`` that is none of the ks, a recall outside (0, 1], or seen classes that do not
                exist.
        """
        if self.at is not None and self.at not in ks:
            known = ", ".join(map(str, sorted(ks)))
            raise InputError(f"at is {self.at}, but must be one of the counts of proposals: {known}.")
        for recall in self.recalls:
            if not 0 < recall <= 1:
                raise InputError(f"A recall to reach lies above 0 and is at most 1, not {recall}.")
        if self.seen:
            groups.by_seen(np.zeros(0, dtype=np.int64), class_names, self.seen)


@dataclass(frozen=True, eq=False)
class MethodResult:
    """Proposals of one method and their measurement.

    Attributes:
        name: Shown in tables; unique among the methods.
        measured: All methods have the same images, objects and ks.
        proposals: image id -> proposals.
        seconds: ``(I,)`` to propose for each image, NaN for one that it was not measured on; None where the
            proposals came from a file.
    """

    name: str
    measured: Measurement
    proposals: Mapping[int, Proposals]
    seconds: NDArray[np.float64] | None = None


Figures = Mapping[Key, Sampled]
"""Every figure of one method: a value for each k, with its draws."""


@dataclass(frozen=True, eq=False)
class Results:
    """Results of methods on the same ground truth.

    Attributes:
        data: Name of the ground truth for titles.
        records: The images, in the order of the measurements.
        class_names: By class id.
        methods: One or more.
        options: See there.

    Raises:
        InputError: options that cannot be (see ``Options.check``).
    """

    data: str
    records: Sequence[Record]
    class_names: Sequence[str]
    methods: tuple[MethodResult, ...]
    options: Options = field(default_factory=Options)

    def __post_init__(self) -> None:
        self.options.check(self.ks, self.class_names)

    @property
    def ks(self) -> tuple[int, ...]:
        """Counts of proposals, ascending."""
        return self.methods[0].measured.ks

    @property
    def at(self) -> int:
        """Number of proposals for differences and missed objects."""
        return choose_at(self.options.at, self.ks)

    @cached_property
    def members(self) -> dict[str, groups.Groups]:
        """Question (size, class, ...) -> label -> mask of objects ``(M,)``; the same for every method."""
        measured = self.methods[0].measured
        found = {
            **measured.sizes(),
            ASPECT: groups.by_aspect(measured.boxes_xyxy),
            OBJECTS_PER_IMAGE: groups.by_objects_per_image(measured.image_of),
            CLASS: groups.by_class(measured.class_ids, self.class_names),
        }
        if self.options.seen:
            found[SEEN] = groups.by_seen(measured.class_ids, self.class_names, self.options.seen)
        return found

    @cached_property
    def figures(self) -> tuple[Figures, ...]:
        """Of each result; the draws are the same images for all."""
        return tuple(_figures(method.measured, self.members, self.options) for method in self.methods)


def choose_at(at: int | None, ks: Sequence[int]) -> int:
    """``at`` where it is given, else 100 where it is one of the ks, else the largest."""
    if at is not None:
        return at
    return USUAL_AT if USUAL_AT in ks else max(ks)


def _figures(measured: Measurement, members: Mapping[str, groups.Groups], options: Options) -> Figures:
    ks = measured.ks
    shares = per_object.ar(measured.ranks, ks)
    everything = np.ones(measured.objects, dtype=bool)
    parts: list[tuple[Key, NDArray[np.float64], NDArray[np.bool_]]] = [
        (("AR",), shares, everything),
        (("AR Hosang",), per_object.ar_hosang(measured), everything),
        (("AUC",), per_object.auc(measured), everything),
        (("ABO",), per_object.best_overlap(measured), everything),
        *((("R", f"{iou:.2f}"), per_object.recall(measured, iou), everything) for iou in RECALL_IOUS),
    ]
    for question, masks in members.items():
        for label, mask in masks.items():
            own = measured.ranks_by_size.get(question)
            parts.append((("AR", question, label), shares if own is None else per_object.ar(own[label], ks), mask))
    return sampled_means(measured, parts, options)


def sampled_means(
    measured: Measurement,
    parts: Sequence[tuple[Key, NDArray[np.float64], NDArray[np.bool_]]],
    options: Options,
) -> Figures:
    """Means over objects with their draws.

    Args:
        measured: Whose images are drawn.
        parts: Key, values ``(M, G)`` and which objects ``(M,)`` they are averaged over.
        options: Number and seed of the draws.
    """
    width = parts[0][1].shape[1]
    # All parts draw the same images, so it makes no difference how many are summed at once.
    together = max(1, _AT_ONCE // (width * max(1, measured.images)))
    found: dict[Key, Sampled] = {}
    for start in range(0, len(parts), together):
        chunk = parts[start : start + together]
        sums, counts = [], []
        for _, contributions, mask in chunk:
            image_of = measured.image_of[mask]
            sums.append(bootstrap.over_images(contributions[mask], image_of, measured.images))
            count = np.bincount(image_of, minlength=measured.images).astype(np.float64)
            counts.append(np.broadcast_to(count[:, None], sums[-1].shape))
        whole = bootstrap.sample(
            np.concatenate(sums, axis=1), np.concatenate(counts, axis=1), options.draws, options.seed
        )
        found.update({key: whole.part(index * width, width) for index, (key, _, _) in enumerate(chunk)})
    return found
