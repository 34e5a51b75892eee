"""What the loop trains: the seam between the loop, which is one, and the networks, losses and measurements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from objectness.datasets.records import Record
from objectness.rpn.outputs import Outputs
from objectness.rpn.sampling import Sample
from objectness.training.data import Batch


@dataclass(frozen=True, eq=False)
class BatchLoss:
    """The loss of a batch, and the boxes that it was computed on, for drawing.

    Attributes:
        parts: Scalars with gradients by name, as weighted in their sum.
        boxes_xyxy: ``(M, 4)`` anchors or RoIs of each image; M may differ.
        samples: Positives and negatives among them.
    """

    parts: Mapping[str, Tensor]
    boxes_xyxy: list[Tensor]
    samples: list[Sample]

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return torch.stack(list(self.parts.values())).sum()


@dataclass(frozen=True)
class Measured:
    """A validation.

    Attributes:
        reached: Value of the task's metric; None where no photograph has an object to find.
        columns: Of results.csv.
        document: Plain data for the checkpoint.
    """

    reached: float | None
    columns: Mapping[str, float | None]
    document: Mapping[str, Any]


Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Task(Generic[Network]):
    """A kind of network with a ``backbone``, its loss, and how well it does.

    Attributes:
        parts: Names of the parts of its loss, in the order of results.csv.
        metric: Name of what its best weights are chosen by.
        loss: (network, outputs, batch, generator) -> loss of the batch.
        validate: (network, records) -> a validation; the network may be left in evaluation mode.
        save: (path, network, details): writes a checkpoint.
        proposals: Boxes of photographs by image id, in pixels of the photograph, which batches bring along; None
            where the network proposes.
    """

    parts: tuple[str, ...]
    metric: str
    loss: Callable[[Network, Outputs, Batch, torch.Generator], BatchLoss]
    validate: Callable[[Network, Sequence[Record]], Measured]
    save: Callable[[Path, Network, Mapping[str, Any]], None]
    proposals: Mapping[int, NDArray[np.float32]] | None = None
