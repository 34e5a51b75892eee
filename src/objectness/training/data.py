"""Photographs into batches. Everything random is a function of (seed, epoch, photograph), so a run can be resumed.

B photographs of a batch, padded right and below to a common size.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from objectness.datasets.records import Record
from objectness.errors import InputError, to_keep
from objectness.images import open_upright
from objectness.rpn.targets import Target
from objectness.training.augment import PADDING_GREY, Example, augment
from objectness.training.settings import LoopSettings, RunSettings


@dataclass(frozen=True, eq=False)
class Batch:
    """Photographs of one forward pass, with their boxes.

    Attributes:
        pixels: ``uint8 (B, 3, H, W)``.
        targets: Boxes and size before padding, one entry for each photograph.
        names: File names, for messages and pictures.
        class_ids: ``int64 (G,)`` of the boxes of each photograph.
        proposals: ``float32 (P, 4)`` boxes of each photograph that are to be classified; empty where the network
            proposes them.
    """

    pixels: Tensor
    targets: list[Target]
    names: list[str]
    class_ids: list[Tensor]
    proposals: list[Tensor]

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``."""
        targets = [
            Target(target.boxes_xyxy.to(device), target.ignore_xyxy.to(device), target.size_hw)
            for target in self.targets
        ]
        class_ids = [ids.to(device) for ids in self.class_ids]
        proposals = [boxes.to(device) for boxes in self.proposals]
        return Batch(self.pixels.to(device, non_blocking=True), targets, self.names, class_ids, proposals)


class TrainingPhotographs(Dataset[tuple[Example, str] | InputError]):
    """Augmented photographs by (epoch, index), or the error: one raised in a worker process would lose its type."""

    def __init__(
        self,
        records: Sequence[Record],
        settings: RunSettings,
        proposals: Mapping[int, NDArray[np.float32]] | None = None,
    ) -> None:
        self._records = records
        self._proposals = proposals or {}
        self._settings = settings
        self._epochs = planned_epochs(len(records), settings.loop)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Example, str] | InputError:
        epoch, index = key
        settings = self._settings
        generator = np.random.default_rng((settings.loop.seed, epoch, index))
        chosen = [index]
        if epoch < settings.augment.mosaic_until * self._epochs and generator.random() < settings.augment.mosaic:
            chosen += generator.integers(0, len(self._records), size=3).tolist()
        try:
            examples = [self._read(one) for one in chosen]
        except InputError as error:
            return to_keep(error)
        example = augment(examples, settings.rpn.images, settings.augment, generator)
        return example, str(self._records[index].path)

    def _read(self, index: int) -> Example:
        record = self._records[index]
        example = Example(open_upright(record.path), record.boxes_xyxy, record.ignore, record.class_ids)
        proposals = self._proposals.get(record.image_id)
        return example if proposals is None else replace(example, proposals_xyxy=proposals)


def epoch_order(count: int, settings: LoopSettings, epoch: int) -> list[int]:
    """The photographs of an epoch, out of ``count``, in their order."""
    order = np.random.default_rng((settings.seed, epoch)).permutation(count)
    return order[: settings.epoch_images or count].tolist()


def batch_generator(seed: int, epoch: int, batch: int) -> torch.Generator:
    """The generator that samples the anchors of one batch."""
    drawn = np.random.SeedSequence((seed, epoch, batch)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(drawn >> np.uint64(1)))


def batches_an_epoch(count: int, settings: LoopSettings) -> int:
    """Number of batches in an epoch of ``count`` photographs; the last one may be smaller."""
    return -(-min(count, settings.epoch_images or count) // settings.batch_size)


def images_of(count: int, settings: LoopSettings, first: int, batches: int) -> int:
    """Number of photographs in that many batches of an epoch of ``count`` photographs, from batch ``first`` on."""
    drawn = min(count, settings.epoch_images or count)
    return min(drawn, (first + batches) * settings.batch_size) - first * settings.batch_size


def planned_steps(count: int, settings: LoopSettings) -> int:
    """Number of updates in a run on ``count`` photographs."""
    return settings.steps or max(settings.epochs * _updates_an_epoch(count, settings), settings.min_steps)


def planned_epochs(count: int, settings: LoopSettings) -> int:
    """Number of epochs that these updates take; the last one may be cut short."""
    return -(-planned_steps(count, settings) // _updates_an_epoch(count, settings))


def _updates_an_epoch(count: int, settings: LoopSettings) -> int:
    return -(-batches_an_epoch(count, settings) // settings.accumulate)


def epoch_batches(
    records: Sequence[Record],
    settings: RunSettings,
    epoch: int,
    first_batch: int = 0,
    proposals: Mapping[int, NDArray[np.float32]] | None = None,
) -> Iterator[Batch]:
    """The batches of an epoch from ``first_batch`` on, read ahead by worker processes.

    Proposals by image id, in pixels of the photograph, come along where they are given.

    Raises:
        InputError: a photograph that can no longer be read.
    """
    size = settings.loop.batch_size
    order = epoch_order(len(records), settings.loop, epoch)
    plan = [[(epoch, index) for index in order[at : at + size]] for at in range(first_batch * size, len(order), size)]
    loader = DataLoader(
        TrainingPhotographs(records, settings, proposals),
        batch_sampler=plan,
        num_workers=min(settings.loop.workers, len(plan)),
        collate_fn=partial(_collated, least_side=_more_than_a_cell(settings)),
        worker_init_fn=_leave_interrupts_to_the_loop,
        prefetch_factor=4 if settings.loop.workers and plan else None,
    )
    for batch in loader:
        if isinstance(batch, InputError):
            raise batch
        yield batch


def _more_than_a_cell(settings: RunSettings) -> int:
    """The smallest side with two cells of the coarsest map, even where a backbone goes one stage beyond its maps."""
    return 2 * settings.rpn.backbone.level_strides[-1] + 1


def _collated(examples: Sequence[tuple[Example, str] | InputError], least_side: int) -> Batch | InputError:
    known = [example for example in examples if not isinstance(example, InputError)]
    failed = [error for error in examples if isinstance(error, InputError)]
    return failed[0] if failed else collate(known, least_side)


def collate(examples: Sequence[tuple[Example, str]], least_side: int = 1) -> Batch:
    """Pad to the largest height and width, with the grey that crops are padded with.

    Args:
        examples: With their names.
        least_side: Pad to this at least: a batch norm learns nothing from a single cell.
    """
    height = max(least_side, *(example.pixels.shape[0] for example, _ in examples))
    width = max(least_side, *(example.pixels.shape[1] for example, _ in examples))
    pixels = torch.full((len(examples), 3, height, width), PADDING_GREY, dtype=torch.uint8)
    targets, names, class_ids, proposals = [], [], [], []
    for index, (example, name) in enumerate(examples):
        own_height, own_width = example.pixels.shape[:2]
        pixels[index, :, :own_height, :own_width] = torch.from_numpy(example.pixels.copy()).permute(2, 0, 1)
        boxes = torch.from_numpy(example.boxes_xyxy)
        ignore = torch.from_numpy(example.ignore)
        targets.append(Target(boxes[~ignore], boxes[ignore], (own_height, own_width)))
        names.append(name)
        class_ids.append(torch.from_numpy(example.class_ids)[~ignore])
        proposals.append(torch.from_numpy(example.proposals_xyxy))
    return Batch(pixels, targets, names, class_ids, proposals)


def _leave_interrupts_to_the_loop(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
