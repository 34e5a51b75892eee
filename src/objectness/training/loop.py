"""The training loop, top to bottom."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from objectness.datasets.records import Record
from objectness.errors import InputError
from objectness.rpn.criterion import Criterion, criterion
from objectness.rpn.losses import LossOutput
from objectness.rpn.network import RegionProposalNetwork
from objectness.training.checkpoints import Checkpoints
from objectness.training.data import (
    Batch,
    batch_chance,
    batches_an_epoch,
    epoch_batches,
    images_of,
    planned_epochs,
    planned_steps,
)
from objectness.training.devices import computes_bf16, pick_device
from objectness.training.interrupts import Interrupt
from objectness.training.nan_guard import require_finite, require_sound
from objectness.training.optimizer import build_optimiser, rate_factor, update_ema
from objectness.training.settings import RunSettings
from objectness.training.state import Progress
from objectness.training.validation import validate

_TRIED = 20  # updates after which a loss that was 0 all the time will not become another
_START_ROW: dict[str, Any] = {"epoch": 0, "step": 0} | dict.fromkeys(
    ("lr", "loss", "loss objectness", "loss box", "images/s", "seconds")
)


@dataclass(frozen=True)
class Step:
    """Report after each update: position, losses, pace."""

    step: int
    steps: int
    epoch: int
    epochs: int
    lr: float
    objectness: float
    box: float
    images_per_second: float


class Watcher(Protocol):
    """Receivers of reports."""

    def on_start(self, step: int, steps: int, rows: list[dict[str, Any]]) -> None:
        """Before anything is done: ``step`` of ``steps`` updates and these rows are there from before."""

    def on_batch(self, step: int, network: RegionProposalNetwork, batch: Batch, report: LossOutput) -> None:
        """After the loss of a batch; ``step`` updates have been done."""

    def on_step(self, step: Step) -> None:
        """After an update."""

    def on_epoch(self, row: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        """After an epoch, with its row of results.csv and all rows so far; epoch 0 is what the run starts from."""


@dataclass(frozen=True)
class Outcome:
    """Result of a run: its best validation (None without any), its rows, and whether Ctrl-C cut it short."""

    best_ar100: float | None
    rows: list[dict[str, Any]]
    interrupted: bool
    seconds: float


def train(
    settings: RunSettings,
    network: RegionProposalNetwork,
    training: Sequence[Record],
    validation: Sequence[Record],
    folder: Path,
    details: dict[str, Any],
    watchers: Sequence[Watcher] = (),
    resume: bool = False,
    criterion: Criterion = criterion,
) -> Outcome:
    """Train ``network`` on ``training``, validate on ``validation`` and write checkpoints into ``folder``.

    The run is a function of settings and data: order, augmentation and samples come from (seed, epoch, step,
    photograph), so one that was stopped and resumed ends with the same weights as one that was not. Ctrl-C
    finishes the running update, saves, and returns. Where the settings name a network to start from, that is measured
    first. Weights that no longer make sense are never saved.

    Args:
        settings: The whole run.
        network: Fresh, or any of the same settings where ``resume`` overwrites it.
        training: Repaired records; those without boxes are fine.
        validation: Repaired records; empty means no validation.
        folder: Takes best.safetensors, last.safetensors and the resumable state.
        details: Goes into the checkpoints.
        watchers: Told after each batch, update and epoch.
        resume: Go on from ``folder``'s state.
        criterion: Computes the loss of a batch.

    Raises:
        NonFiniteLossError: naming step, photographs and level.
        InputError: nothing to resume from, nothing to learn from, or no room for a checkpoint.
    """
    loop = settings.loop
    device = pick_device(loop.device)
    in_bf16 = loop.amp and computes_bf16(device)
    layout = torch.channels_last if loop.channels_last else torch.contiguous_format
    network = network.to(device=device, memory_format=layout).train()  # type: ignore[call-overload]
    average = {key: value.detach().clone() for key, value in network.state_dict().items()} if loop.ema else {}
    optimizer = build_optimiser(network, settings.optimizer)
    checkpoints = Checkpoints(folder, network, average, optimizer, details)
    progress = checkpoints.load() if resume else Progress()

    batches = batches_an_epoch(len(training), loop)
    steps, epochs = planned_steps(len(training), loop), planned_epochs(len(training), loop)
    # In the layout in which a checkpoint is read: a sum in another order may turn two equal scores round.
    averaged = copy.deepcopy(network).to(memory_format=torch.contiguous_format)

    def measured() -> dict[str, Any]:
        """Validate, keep the weights where they are the best so far, and give the columns of results.csv."""
        averaged.load_state_dict(average or network.state_dict())
        recall = validate(averaged, validation)
        reached = recall.ar[100]  # None where no photograph has a box to find
        progress.stale += reached is not None
        if reached is not None and reached > progress.best:
            progress.best, progress.stale = reached, 0
            checkpoints.save_best(averaged, progress.epoch, recall.to_json())
        columns = {f"AR@{k}": value for k, value in recall.ar.items()}
        return columns | {f"AR@100 {size}": by_k[100] for size, by_k in recall.ar_by_size.items() if size != "all"}

    def goes_on() -> bool:
        return progress.step < steps and not (loop.patience and progress.stale >= loop.patience)

    with Interrupt() as interrupt:
        for watcher in watchers:
            watcher.on_start(progress.step, steps, progress.rows)
        if settings.initial_weights and validation and loop.validate_every and not progress.step and not progress.rows:
            progress.rows.append(_START_ROW | measured())
            for watcher in watchers:
                watcher.on_epoch(progress.rows[0], progress.rows)
        saved_at = time.monotonic()
        while goes_on() and not interrupt.asked():
            batch_source = epoch_batches(training, settings, progress.epoch, progress.batch)
            started = time.monotonic()
            summed: list[tuple[LossOutput, float]] = []
            for batch in batch_source:
                batch = batch.to(device)
                with torch.autocast(device.type, dtype=torch.bfloat16, enabled=in_bf16):
                    outputs = network(batch.pixels.to(memory_format=layout))
                chance = batch_chance(loop.seed, progress.epoch, progress.batch)
                report = criterion(network, outputs, batch.targets, chance)
                factor = rate_factor(settings.schedule, progress.step, steps)
                lr = settings.optimizer.lr * factor
                require_finite(report.loss, outputs, batch.names, progress.step, lr, checkpoints.kept)
                for watcher in watchers:
                    watcher.on_batch(progress.step, network, batch, report)
                if (
                    not summed
                ):  # an epoch's last update may have fewer batches to sum up, and its last batch fewer photographs
                    share = min(loop.accumulate, batches - progress.batch)
                    among = images_of(len(training), loop, progress.batch, share)
                weight = len(batch.names) / among
                (report.loss.total * weight).backward()
                summed.append((report, weight))
                progress.batch += 1
                _add(progress.tally, images=len(batch.names))
                if len(summed) < share:
                    continue

                for group in optimizer.param_groups:
                    group["lr"] = group["base_lr"] * factor
                if settings.optimizer.clip_norm:
                    torch.nn.utils.clip_grad_norm_(network.parameters(), settings.optimizer.clip_norm)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                require_sound(network, progress.step, lr, checkpoints.kept)
                if loop.ema:
                    update_ema(average, network, loop.ema, progress.step)
                progress.step += 1

                objectness = sum(float(r.loss.objectness.detach()) * weight for r, weight in summed)
                box = sum(float(r.loss.box.detach()) * weight for r, weight in summed)
                summed = []
                now = time.monotonic()
                _add(progress.tally, objectness=objectness, box=box, updates=1, seconds=now - started)
                progress.seconds += now - started
                started = now
                if progress.step == min(steps, _TRIED):
                    _require_something_to_learn(progress)
                pace = progress.tally["images"] / max(1e-9, progress.tally["seconds"])
                told = Step(progress.step, steps, progress.epoch + 1, epochs, lr, objectness, box, pace)
                for watcher in watchers:
                    watcher.on_step(told)
                if interrupt.asked() or progress.step >= steps:
                    break
                if now - saved_at > 60 * loop.save_minutes:
                    checkpoints.save_last(progress)
                    saved_at = now
            if interrupt.asked() and progress.batch < batches and progress.step < steps:
                break

            progress.epoch, progress.batch = progress.epoch + 1, 0
            last_factor = rate_factor(settings.schedule, max(0, progress.step - 1), steps)
            row = _epoch_row(progress, settings.optimizer.lr * last_factor)
            progress.tally = {}
            last = progress.step >= steps
            if validation and (last or (loop.validate_every and progress.epoch % loop.validate_every == 0)):
                row |= measured()
            progress.rows.append(row)
            checkpoints.save_last(progress)
            saved_at = time.monotonic()
            for watcher in watchers:
                watcher.on_epoch(row, progress.rows)
        checkpoints.save_last(progress)
    best = progress.best if progress.best >= 0 else None
    return Outcome(best, progress.rows, interrupt.asked() and goes_on(), progress.seconds)


def _epoch_row(progress: Progress, lr: float) -> dict[str, Any]:
    tally = progress.tally
    updates = max(1.0, tally.get("updates", 0.0))
    return {
        "epoch": progress.epoch,
        "step": progress.step,
        "lr": lr,
        "loss": (tally.get("objectness", 0.0) + tally.get("box", 0.0)) / updates,
        "loss objectness": tally.get("objectness", 0.0) / updates,
        "loss box": tally.get("box", 0.0) / updates,
        "images/s": tally.get("images", 0.0) / max(1e-9, tally.get("seconds", 0.0)),
        "seconds": progress.seconds,
    }


def _require_something_to_learn(progress: Progress) -> None:
    """Raises InputError where the loss of each update so far was exactly 0."""
    now = progress.tally["objectness"] + progress.tally["box"]
    if now == 0 and not any(row["loss"] for row in progress.rows):
        raise InputError(
            f"The loss was exactly 0 in each of the first {progress.step} updates, so nothing can be learned: no "
            "anchor takes part. Anchors must lie inside the photograph as the network sees it where "
            "rpn.match.drop_cross_boundary is true; look at rpn.images.short_side and rpn.anchors.sizes."
        )


def _add(tally: dict[str, float], **values: float) -> None:
    for name, value in values.items():
        tally[name] = tally.get(name, 0.0) + value
