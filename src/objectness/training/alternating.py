"""The paper's 4-step alternating training (section 3.2): one network at the end, with shared convolutional layers.

1. The RPN is trained from the initial weights. 2. A detector of its own, from the same weights, on the proposals of the
first step: nothing is shared yet. 3. The RPN again, on the layers of that detector, which are fixed; its own are new.
4. The detector's own layers again, on the proposals of the third step.

Each step is a run in a folder of its own, which goes on where it stopped; a step that is finished is not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from objectness.datasets.records import Record
from objectness.detector.checkpoint import load_detector
from objectness.detector.network import FasterRCNN
from objectness.files.atomic_write import replacing_bytes
from objectness.rpn.checkpoint import load_network
from objectness.rpn.network import RegionProposalNetwork
from objectness.training.checkpoints import BEST_FILE, LAST_FILE, STATE_FILE
from objectness.training.data import planned_steps
from objectness.training.detector_task import fast_rcnn_task
from objectness.training.given_proposals import Boxes, proposals_of
from objectness.training.initial_networks import build_detector, build_rpn
from objectness.training.loop import TrainingResult, Watcher, fit
from objectness.training.report import reports
from objectness.training.rpn_task import rpn_task
from objectness.training.settings import RunSettings
from objectness.training.splits import Splits
from objectness.training.task import Network, Task

STEPS = ("1-rpn", "2-fast-rcnn", "3-rpn", "4-fast-rcnn")
_PROPOSALS_FILE = "proposals.safetensors"
_SENTENCES = (
    "the RPN",
    "a detector on its proposals, which shares nothing yet",
    "the RPN on the detector's layers, which are fixed",
    "the detector's own layers",
)


@dataclass(frozen=True)
class Alternation:
    """What all four steps have in common.

    Attributes:
        settings: Of the run.
        splits: Photographs and class names.
        validation: Records that are validated on.
        folder: The run folder.
        details: Written into the checkpoints.
        watchers: Called in each step.
        notify: Called with sentences.
    """

    settings: RunSettings
    splits: Splits
    validation: Sequence[Record]
    folder: Path
    details: dict[str, Any]
    watchers: Sequence[Watcher]
    notify: Callable[[str], None]

    def run(self) -> TrainingResult:
        """All steps that are not finished; raises as ``fit``."""
        found = self._fit(0, self._rpn(), rpn_task())
        if found.interrupted:
            return replace(found, folder=self.folder)
        found = self._fit(1, self._detector(), fast_rcnn_task(*self._proposals(0)))
        if found.interrupted:
            return replace(found, folder=self.folder)
        found = self._fit(2, self._rpn_on_shared_layers(), rpn_task())
        if found.interrupted:
            return replace(found, folder=self.folder)
        training, _ = self._proposals(2)
        found = self._fit(3, self._detector_on_shared_layers(), fast_rcnn_task(training, None))
        for name in (BEST_FILE, LAST_FILE):
            with suppress(FileNotFoundError), replacing_bytes(self.folder / name) as file:
                file.write((self.folder / STEPS[3] / name).read_bytes())
        return replace(found, folder=self.folder)

    def _fit(self, step: int, network: Network, task: Task[Network]) -> TrainingResult:
        settings, folder, training = self.settings, self.folder / STEPS[step], self.splits.training.records
        folder.mkdir(exist_ok=True)
        if step % 2:
            updates = max(1, round(planned_steps(len(training), settings.loop) * settings.alternating.detector_share))
            settings = replace(settings, loop=replace(settings.loop, steps=updates))
        going_on = (folder / STATE_FILE).exists()
        self.notify(f"Step {step + 1} of 4: {_SENTENCES[step]}{', resumed' if going_on else ''}.")
        details = self.details | {"step": step + 1}
        watchers = (reports(folder), *self.watchers)
        return fit(settings, network, task, training, self.validation, folder, details, watchers, going_on)

    def _best(self, step: int) -> Path:
        return self.folder / STEPS[step] / BEST_FILE

    def _seed(self, step: int) -> None:
        """A step begins with the same random weights whether the ones before ran in this process or not."""
        torch.manual_seed(self.settings.loop.seed + step)

    def _rpn(self) -> RegionProposalNetwork:
        self._seed(0)
        network, sentence, _ = build_rpn(self.settings)
        self.notify(sentence)
        return network

    def _detector(self) -> FasterRCNN:
        self._seed(1)
        network, sentence, _ = build_detector(self.settings, self.splits.training.class_names)
        self.notify(sentence)
        network.foreign_proposals = True
        network.rpn.head.requires_grad_(False)
        if network.rpn.refinement is not None:
            network.rpn.refinement.requires_grad_(False)
        return network

    def _rpn_on_shared_layers(self) -> RegionProposalNetwork:
        self._seed(2)
        detector, _ = load_detector(self._best(1))
        network = RegionProposalNetwork(detector.rpn.settings)
        for own, shared in zip(shared_layers(network), shared_layers(detector.rpn), strict=True):
            own.load_state_dict(shared.state_dict())
            own.requires_grad_(False)
        return network

    def _detector_on_shared_layers(self) -> FasterRCNN:
        self._seed(3)
        detector, _ = load_detector(self._best(1))
        rpn, _ = load_network(self._best(2))
        network = FasterRCNN(rpn, detector.settings, detector.class_names)
        network.roi.load_state_dict(detector.roi.state_dict())
        network.rpn.requires_grad_(False)
        return network

    def _proposals(self, step: int) -> tuple[Boxes, Boxes]:
        """Those of the RPN of a step: for training as many as its settings say, for validation as many as in use."""
        network, _ = load_network(self._best(step))
        settings, folder = self.settings, self.folder / STEPS[step]
        self.notify(f"Its proposals of {len(self.splits.training)} photographs are made once, and kept.")
        file = folder / _PROPOSALS_FILE
        training = proposals_of(network, self.splits.training.records, settings.rpn.select_train, file)
        if step == 2:
            return training, {}
        file = folder / f"validation-{_PROPOSALS_FILE}"
        return training, proposals_of(network, self.validation, settings.rpn.select, file)


def shared_layers(network: RegionProposalNetwork) -> list[nn.Module]:
    """The modules that make the feature maps."""
    return [network.backbone, *([] if network.pyramid is None else [network.pyramid]), network.extra]
