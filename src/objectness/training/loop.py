"""The training loop, top to bottom."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from objectness.datasets.records import Record
from objectness.errors import InputError
from objectness.training.checkpoints import BEST_FILE, Checkpoints, RunState
from objectness.training.data import (
    Batch,
    batch_generator,
    batches_an_epoch,
    epoch_batches,
    images_of,
    planned_epochs,
    planned_steps,
)
from objectness.training.devices import computes_bf16, pick_device
from objectness.training.interrupts import Interrupt
from objectness.training.nan_guard import LARGEST_WEIGHT, non_finite_loss, unsound_weights
from objectness.training.optimizer import build_ema, build_optimizer, rate_factor
from objectness.training.settings import RunSettings
from objectness.training.task import BatchLoss, Network, Task

Rows = list[dict[str, Any]]

_TRIED = 20  # updates; a loss that was 0 in all of them stays 0


@dataclass(frozen=True)
class StepReport:
    """Position, losses and pace after an update."""

    step: int
    steps: int
    epoch: int
    epochs: int
    lr: float
    losses: Mapping[str, float]
    images_per_second: float

    @property
    def loss(self) -> float:
        """The sum of the parts ``losses``."""
        return sum(self.losses.values())


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Watcher:
    """Callbacks of a run; those that are not given do nothing.

    Attributes:
        on_start: (step, steps, rows), before the first update of this process: ``step`` of ``steps`` updates and
            ``rows`` of results.csv are from before.
        on_batch: (step, network, batch, output), after the loss of a batch; ``step`` updates have been done.
        on_step: (report), after an update.
        on_epoch: (row, rows), after an epoch: its row of results.csv and all rows; epoch 0 is before training.
    """

    on_start: Callable[[int, int, Rows], object] = _ignore
    on_batch: Callable[[int, nn.Module, Batch, BatchLoss], object] = _ignore
    on_step: Callable[[StepReport], object] = _ignore
    on_epoch: Callable[[dict[str, Any], Rows], object] = _ignore


@dataclass(frozen=True)
class TrainingResult:
    """End of a run.

    Attributes:
        folder: The run folder.
        best: Best value of ``metric`` on the validation photographs; None without validation.
        rows: The rows of results.csv, one for each epoch.
        interrupted: The run was stopped early (Ctrl-C, a kill, a closed terminal), and can be resumed.
        seconds: Training time.
        metric: What the best weights were chosen by: "AR@100", of a detector "mAP".
    """

    folder: Path
    best: float | None
    rows: Rows
    interrupted: bool
    seconds: float
    metric: str = "AR@100"

    @property
    def best_ar100(self) -> float | None:
        """Best AR@100 of a Region Proposal Network; None of others, and without validation."""
        return self.best if self.metric == "AR@100" else None

    @property
    def best_checkpoint(self) -> Path:
        """The weights of ``best``; without validation, the last ones."""
        return self.folder / BEST_FILE


def fit(
    settings: RunSettings,
    network: Network,
    task: Task[Network],
    training: Sequence[Record],
    validation: Sequence[Record],
    folder: Path,
    details: dict[str, Any],
    watchers: Sequence[Watcher] = (),
    resume: bool = False,
) -> TrainingResult:
    """Train ``network`` on ``training``, validate on ``validation`` and write checkpoints into ``folder``.

    The run is a function of settings and data: order, augmentation and samples come from (seed, epoch, step,
    photograph), so one that was stopped and resumed ends with the same weights as one that was not. Ctrl-C
    finishes the running update, saves, and returns. Where the settings name initial weights, they are validated
    first. Weights that no longer make sense are never saved.

    Args:
        settings: The whole run.
        network: Fresh, or any of the same settings where ``resume`` overwrites it. Its frozen weights stay as they are.
        task: Its loss, its validation and its checkpoints.
        training: Repaired records; those without boxes are fine.
        validation: Repaired records; empty means no validation.
        folder: Receives best.safetensors, last.safetensors and the resumable state.
        details: Written into the checkpoints.
        watchers: Called after each batch, update and epoch.
        resume: Go on from the state in ``folder``.

    Raises:
        NonFiniteLossError: naming step, photographs and level.
        InputError: nothing to resume from, nothing to learn from, or no room for a checkpoint.
    """
    loop = settings.loop
    device = pick_device(loop.device)
    in_bf16 = loop.amp and computes_bf16(device)
    layout = torch.channels_last if loop.channels_last else torch.contiguous_format
    network.to(device=device, memory_format=layout).train()  # type: ignore[call-overload]
    ema = build_ema(network, loop.ema) if loop.ema else None
    averaged = network if ema is None else ema.module
    optimizer = build_optimizer(network, settings.optimizer)
    checkpoints = Checkpoints(folder, network, averaged, optimizer, details, task.save)
    state = checkpoints.load() if resume else RunState()

    batches = batches_an_epoch(len(training), loop)
    steps, epochs = planned_steps(len(training), loop), planned_epochs(len(training), loop)

    def validated() -> dict[str, Any]:
        """Validate, save the weights where they are the best so far, and return the columns of results.csv."""
        # In the layout in which a checkpoint is read: a sum in another order may swap two equal scores.
        measured = copy.deepcopy(averaged).to(memory_format=torch.contiguous_format)
        found = task.validate(measured, validation)
        state.stale += found.reached is not None
        if found.reached is not None and found.reached > state.best:
            state.best, state.stale = found.reached, 0
            checkpoints.save_best(measured, state.epoch, found.document)
        return dict(found.columns)

    interrupt = Interrupt()

    def is_interrupted() -> bool:
        return interrupt.requested

    def is_unfinished() -> bool:
        return state.step < steps and not (loop.patience and state.stale >= loop.patience)

    with interrupt:
        for watcher in watchers:
            watcher.on_start(state.step, steps, state.rows)
        if settings.initial_weights and validation and loop.validate_every and not state.step and not state.rows:
            state.rows.append(_row_before_training(task.parts) | validated())
            for watcher in watchers:
                watcher.on_epoch(state.rows[0], state.rows)
        saved_at = time.monotonic()
        while is_unfinished() and not is_interrupted():
            started = time.monotonic()
            summed: list[tuple[BatchLoss, float]] = []  # of the batches of an update, with their weights
            for batch in epoch_batches(training, settings, state.epoch, state.batch, task.proposals):
                batch = batch.to(device)
                with torch.autocast(device.type, dtype=torch.bfloat16, enabled=in_bf16):
                    outputs = network(batch.pixels.to(memory_format=layout))
                generator = batch_generator(loop.seed, state.epoch, state.batch)
                output = task.loss(network, outputs, batch, generator)
                factor = rate_factor(settings.schedule, state.step, steps)
                lr = settings.optimizer.lr * factor
                if not _are_finite(output.total, *outputs.deltas):  # some objectives ignore non-finite deltas
                    raise non_finite_loss(output.total, outputs, batch.names, state.step, lr, checkpoints.saved())
                for watcher in watchers:
                    watcher.on_batch(state.step, network, batch, output)
                if not summed:  # the last update of an epoch may have fewer batches, its last batch fewer photographs
                    share = min(loop.accumulate, batches - state.batch)
                    images = images_of(len(training), loop, state.batch, share)
                weight = len(batch.names) / images
                (output.total * weight).backward()
                summed.append((output, weight))
                state.batch += 1
                _add(state.tally, images=len(batch.names))
                if len(summed) < share:
                    continue

                for group in optimizer.param_groups:
                    group["lr"] = group["base_lr"] * factor
                if settings.optimizer.clip_norm:
                    nn.utils.clip_grad_norm_(network.parameters(), settings.optimizer.clip_norm)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                if not is_sound(network):
                    raise unsound_weights(network, state.step, lr, checkpoints.saved())
                state.step += 1
                if ema is not None:
                    ema.update(network, state.step)

                losses = {
                    name: sum(float(o.parts[name].detach()) * weight for o, weight in summed) for name in task.parts
                }
                summed = []
                now = time.monotonic()
                _add(state.tally, **losses, updates=1, seconds=now - started)
                state.seconds += now - started
                started = now
                if state.step == min(steps, _TRIED):
                    _require_something_to_learn(state, task.parts)
                pace = state.tally["images"] / max(1e-9, state.tally["seconds"])
                report = StepReport(state.step, steps, state.epoch + 1, epochs, lr, losses, pace)
                for watcher in watchers:
                    watcher.on_step(report)
                if is_interrupted() or state.step >= steps:
                    break
                if now - saved_at > 60 * loop.save_minutes:
                    checkpoints.save_last(state)
                    saved_at = now
            if is_interrupted() and state.batch < batches and state.step < steps:
                break

            state.epoch, state.batch = state.epoch + 1, 0
            lr = settings.optimizer.lr * rate_factor(settings.schedule, state.step - 1, steps)
            row = _epoch_row(state, task.parts, lr)
            state.tally = {}
            last = state.step >= steps
            if validation and (last or (loop.validate_every and state.epoch % loop.validate_every == 0)):
                row |= validated()
            state.rows.append(row)
            checkpoints.save_last(state)
            saved_at = time.monotonic()
            for watcher in watchers:
                watcher.on_epoch(row, state.rows)
        checkpoints.save_last(state)
    best = state.best if state.best >= 0 else None
    return TrainingResult(folder, best, state.rows, is_interrupted() and is_unfinished(), state.seconds, task.metric)


@torch.no_grad()
def _are_finite(*tensors: torch.Tensor) -> bool:
    return bool(torch.stack([torch.isfinite(tensor).all() for tensor in tensors]).all())


@torch.no_grad()
def is_sound(network: nn.Module) -> bool:
    """Whether all weights have a sensible size, and all statistics of norms are finite."""
    statistics = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
    largest = nn.utils.get_total_norm(network.parameters(), torch.inf)  # of NaN: NaN, which is below no limit
    return bool(largest <= LARGEST_WEIGHT) and _are_finite(nn.utils.get_total_norm(statistics, torch.inf))


def _row_before_training(parts: Sequence[str]) -> dict[str, Any]:
    losses = (f"loss {name}" for name in parts)
    return {"epoch": 0, "step": 0} | dict.fromkeys(("lr", "loss", *losses, "images/s", "seconds"))


def _epoch_row(state: RunState, parts: Sequence[str], lr: float) -> dict[str, Any]:
    tally = state.tally
    updates = max(1.0, tally.get("updates", 0.0))
    return {
        "epoch": state.epoch,
        "step": state.step,
        "lr": lr,
        "loss": sum(tally.get(name, 0.0) for name in parts) / updates,
        **{f"loss {name}": tally.get(name, 0.0) / updates for name in parts},
        "images/s": tally.get("images", 0.0) / max(1e-9, tally.get("seconds", 0.0)),
        "seconds": state.seconds,
    }


def _require_something_to_learn(state: RunState, parts: Sequence[str]) -> None:
    """Raises InputError where the loss of each update so far was exactly 0."""
    now = sum(state.tally[name] for name in parts)
    if now == 0 and not any(row["loss"] for row in state.rows):
        raise InputError(
            f"The loss was exactly 0 in each of the first {state.step} updates, so nothing can be learned: no "
            "anchor takes part. Anchors must lie inside the photograph as the network sees it where "
            "rpn.match.drop_cross_boundary is true; look at rpn.images.short_side and rpn.anchors.sizes."
        )


def _add(tally: dict[str, float], **values: float) -> None:
    for name, value in values.items():
        tally[name] = tally.get(name, 0.0) + value
