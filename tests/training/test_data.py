from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from objectness.datasets import load_dataset, repair
from objectness.training.augment import Example
from objectness.training.data import (
    batch_generator,
    batches_an_epoch,
    collate,
    epoch_batches,
    epoch_order,
    planned_epochs,
    planned_steps,
)
from objectness.training.settings import LoopSettings, RunSettings

Tiny = Callable[..., RunSettings]


def test_an_epoch_takes_every_photograph_once_in_an_order_of_its_own() -> None:
    settings = LoopSettings(seed=3)
    first, second = epoch_order(50, settings, 0), epoch_order(50, settings, 1)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert first == epoch_order(50, settings, 0)
    assert epoch_order(0, settings, 0) == []


def test_a_short_epoch_draws_other_photographs_each_time() -> None:
    settings = LoopSettings(epoch_images=5, batch_size=2)
    assert len(epoch_order(50, settings, 0)) == 5
    assert set(epoch_order(50, settings, 0)) != set(epoch_order(50, settings, 1))
    assert batches_an_epoch(50, settings) == 3
    assert batches_an_epoch(3, settings) == 2


def test_few_photographs_have_as_many_updates_as_is_least() -> None:
    """20 photographs: 5 batches of 4, so 3 updates of 2 batches an epoch; 4 epochs are 12 updates, 14 begin a fifth."""
    settings = LoopSettings(epochs=4, batch_size=4, accumulate=2)
    assert (planned_steps(20, settings), planned_epochs(20, settings)) == (12, 4)
    least = LoopSettings(epochs=4, batch_size=4, accumulate=2, min_steps=14)
    assert (planned_steps(20, least), planned_epochs(20, least)) == (14, 5)
    assert (planned_steps(200, least), planned_epochs(200, least)) == (100, 4)
    exact = LoopSettings(epochs=4, batch_size=4, accumulate=2, min_steps=14, steps=2)
    assert (planned_steps(20, exact), planned_epochs(20, exact)) == (2, 1)


def test_collate_pads_below_and_right_and_keeps_true_sizes() -> None:
    def example(height: int, width: int, ignore: list[bool]) -> Example:
        boxes = np.array([[1, 2, 5, 6]] * len(ignore), dtype=np.float32).reshape(-1, 4)
        return Example(
            np.full((height, width, 3), 7, dtype=np.uint8), boxes, np.array(ignore, dtype=bool), np.arange(len(ignore))
        )

    batch = collate([(example(10, 20, [False, True]), "a"), (example(16, 8, []), "b")])
    assert batch.pixels.shape == (2, 3, 16, 20)
    assert batch.pixels[0, :, :10, :20].unique().tolist() == [7]
    assert batch.pixels[0, :, 10:].unique().tolist() == [114]
    assert batch.pixels[1, :, :, 8:].unique().tolist() == [114]
    assert [target.size_hw for target in batch.targets] == [(10, 20), (16, 8)]
    assert batch.targets[0].boxes_xyxy.tolist() == [[1, 2, 5, 6]]
    assert batch.targets[0].ignore_xyxy.tolist() == [[1, 2, 5, 6]]
    assert batch.targets[1].boxes_xyxy.shape == (0, 4)


def test_starting_in_mid_epoch_gives_the_same_batches(photographs: Path, tiny: Tiny) -> None:
    records = repair(load_dataset(photographs, "train"))[0].records
    whole = list(epoch_batches(records, tiny(), 1))
    rest = list(epoch_batches(records, tiny(), 1, first_batch=2))
    assert len(whole) == 3
    assert len(rest) == 1
    assert rest[0].names == whole[2].names
    assert torch.equal(rest[0].pixels, whole[2].pixels)


def test_batch_generator_is_a_function_of_its_arguments() -> None:
    def draw(*key: int) -> list[int]:
        return torch.randperm(20, generator=batch_generator(*key)).tolist()

    assert draw(0, 1, 2) == draw(0, 1, 2)
    assert len({tuple(draw(*key)) for key in ((0, 1, 2), (1, 1, 2), (0, 2, 2), (0, 1, 3))}) == 4
