"""Bootstrap intervals: images are resampled, not objects, because objects of one image are not independent.

I images, M objects, C figures, B draws. A figure is a sum over images divided by another sum over images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError

DRAWS = 1000
LEVEL = 0.95
_AT_ONCE = 4_000_000  # weights of a chunk of draws: 32 MB


@dataclass(frozen=True)
class Estimate:
    """A figure with its bootstrap interval.

    Attributes:
        value: None where there is nothing to average.
        low: Lower end of the 95 % interval; None where fewer than two images count.
        high: Upper end.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, eq=False)
class Sampled:
    """Figures and their values in each draw.

    The draws are those of (seed, number of images) alone: figures of two methods on the same images are drawn
    in pairs, and so their difference has an interval of its own, much narrower than the two intervals suggest.

    Attributes:
        values: ``(C,)``; NaN where there is nothing to average.
        draws: ``(B, C)``; NaN where a draw holds nothing to average.
        counted: ``(C,)`` images that hold something to average.
    """

    values: NDArray[np.float64]
    draws: NDArray[np.float64]
    counted: NDArray[np.int64]

    def part(self, start: int, count: int) -> Sampled:
        """Some neighbouring figures."""
        chosen = slice(start, start + count)
        return Sampled(self.values[chosen], self.draws[:, chosen], self.counted[chosen])

    def estimates(self) -> list[Estimate]:
        """Each figure with its percentile interval."""
        return [
            _estimate(float(value), draws, int(counted))
            for value, draws, counted in zip(self.values, self.draws.T, self.counted, strict=True)
        ]

    def minus(self, other: Sampled) -> list[Estimate]:
        """Each figure less the other method's, with the interval of the difference (paired by image)."""
        return Sampled(
            self.values - other.values, self.draws - other.draws, np.minimum(self.counted, other.counted)
        ).estimates()


def over_images(
    values: NDArray[np.floating[Any]], image_of: NDArray[np.integer[Any]], images: int
) -> NDArray[np.float64]:
    """Sums of the objects' values ``(M, C)`` over each image: ``(I, C)``."""
    sums = np.empty((images, values.shape[1]))
    for column in range(values.shape[1]):
        sums[:, column] = np.bincount(image_of, weights=values[:, column], minlength=images)
    return sums


def sample(
    numerators: NDArray[np.float64], denominators: NDArray[np.float64], draws: int = DRAWS, seed: int = 0
) -> Sampled:
    """Ratios of sums over images, and their values where as many images are drawn with replacement.

    Args:
        numerators: ``(I, C)``.
        denominators: ``(I, C)`` or ``(I, 1)``; at least 0.
        draws: B.
        seed: The same seed and number of images give the same draws.

    Raises:
        InputError: no draws.
    """
    if draws < 1:
        raise InputError(f"The bootstrap needs at least 1 draw, not {draws}.")
    images, columns = numerators.shape
    counted = np.broadcast_to((denominators > 0).sum(axis=0), columns)
    values = _ratio(numerators.sum(axis=0), denominators.sum(axis=0))
    drawn = np.full((draws, columns), np.nan)
    for start, weights in drawn_images(images, draws, seed):
        drawn[start : start + len(weights)] = _ratio(weights @ numerators, weights @ denominators)
    return Sampled(values, drawn, counted)


def drawn_images(
    images: int, draws: int, seed: int, most: int | None = None
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """How often each image is drawn, for some draws at a time.

    Args:
        images: I.
        draws: B in all.
        seed: The same seed and number of images give the same draws.
        most: Draws at a time, at most.

    Yields:
        The number of the first of these draws, and ``(rows, I)`` counts.
    """
    generator = np.random.default_rng(seed)
    chunk = max(1, min(_AT_ONCE // max(1, images), most or draws))
    for start in range(0, draws if images else 0, chunk):
        rows = min(chunk, draws - start)
        chosen = generator.integers(0, images, (rows, images))
        weights = np.empty((rows, images))
        for row in range(rows):
            weights[row] = np.bincount(chosen[row], minlength=images)
        yield start, weights


def _ratio(numerators: NDArray[np.float64], denominators: NDArray[np.float64]) -> NDArray[np.float64]:
    wide = np.broadcast_to(denominators, numerators.shape)
    ratio: NDArray[np.float64] = np.divide(numerators, wide, out=np.full(numerators.shape, np.nan), where=wide > 0)
    return ratio


def _estimate(value: float, draws: NDArray[np.float64], counted: int) -> Estimate:
    if np.isnan(value):
        return Estimate(None)
    usable = draws[~np.isnan(draws)]
    if counted < 2 or not len(usable):  # one image drawn again and again is no spread
        return Estimate(value)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(usable, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))
