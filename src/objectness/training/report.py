"""Reports of a run: results.csv, results.png, TensorBoard events, pictures of sampled anchors."""

from __future__ import annotations

import csv
import io
import os
import time
from pathlib import Path
from typing import Any

import torch
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from torch import nn

from objectness.drawing import contact_sheet, draw_samples
from objectness.errors import InputError
from objectness.files.atomic_write import replacing, replacing_bytes
from objectness.training.data import Batch
from objectness.training.loop import Rows, StepReport, Watcher
from objectness.training.task import BatchLoss

_PICTURED_BATCHES = 3
_PICTURED_PHOTOGRAPHS = 4
_BOARD_SECONDS = 60
_MEASURED = ("AR@", "mAP", "AP")  # beginnings of the columns of a validation
_DRAWN = ("AR@10", "AR@100", "AR@300", "AR@1000", "mAP", "AP50", "AP75")


def reports(folder: Path) -> Watcher:
    """All reports of a run."""
    written, board, pictures = tables(folder), Board(folder), Pictures(folder)

    def on_epoch(row: dict[str, Any], rows: Rows) -> None:
        written.on_epoch(row, rows)
        board.on_epoch(row, rows)

    return Watcher(written.on_start, pictures.on_batch, board.on_step, on_epoch)


def tables(folder: Path) -> Watcher:
    """results.csv and results.png, rewritten from all rows after each epoch.

    Those of a resumed run at its start too: a run that was killed may have saved an epoch that is not in them.
    """

    def write(rows: Rows) -> None:
        if rows:
            write_csv(folder / "results.csv", rows)
            draw_curves(folder / "results.png", rows)

    return Watcher(on_start=lambda step, steps, rows: write(rows), on_epoch=lambda row, rows: write(rows))


class Board:
    """TensorBoard event files in the run folder, a new one each time that the run is resumed.

    They are written without a thread: that of TensorBoard's own writer dies with a traceback where the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "tensorboard" / f"events.out.tfevents.{time.time():.0f}.{os.getpid()}"
        self._waiting = [Event(wall_time=time.time(), file_version="brain.Event:2")]
        self._written_at = time.monotonic()

    def on_step(self, report: StepReport) -> None:
        """Losses, learning rate, pace."""
        losses = {f"loss/{name}": value for name, value in report.losses.items()}
        self._add(report.step, losses | {"lr": report.lr, "images per second": report.images_per_second})
        if time.monotonic() - self._written_at > _BOARD_SECONDS:
            self._write()

    def on_epoch(self, row: dict[str, Any], rows: Rows) -> None:
        """Average recall, of a detector mAP."""
        measured = {name: row[name] for name in row if name.startswith(_MEASURED) and row[name] is not None}
        self._add(row["step"], {f"validation/{name}": value for name, value in measured.items()})
        self._write()

    def _add(self, step: int, values: dict[str, float]) -> None:
        summary = Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
        self._waiting.append(Event(wall_time=time.time(), step=step, summary=summary))

    def _write(self) -> None:
        """Append the waiting events; raises InputError where there is no room."""
        try:
            self._path.parent.mkdir(exist_ok=True)
            with self._path.open("ab") as file:
                records = RecordWriter(file)
                for event in self._waiting:
                    records.write(event.SerializeToString())
        except OSError as error:
            raise InputError(f"{self._path} cannot be written ({error.strerror or error}): make room there.") from None
        self._waiting, self._written_at = [], time.monotonic()


class Pictures:
    """Draws the first batches with boxes and with the anchors or RoIs that were sampled as positive and negative."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._drawn = len(list(folder.glob("train_batch*.jpg")))  # a resumed run keeps its first pictures

    def on_batch(self, step: int, network: nn.Module, batch: Batch, output: BatchLoss) -> None:
        """One contact sheet for each of the first batches."""
        if self._drawn >= _PICTURED_BATCHES:
            return
        pictures = []
        for index in range(min(_PICTURED_PHOTOGRAPHS, len(batch.names))):
            target, sample = batch.targets[index], output.samples[index]
            height, width = target.size_hw
            pixels = batch.pixels[index, :, :height, :width].permute(1, 2, 0).cpu().numpy()
            chosen = torch.cat([sample.positives, sample.negatives])
            labels = torch.cat([torch.ones_like(sample.positives), torch.zeros_like(sample.negatives)])
            pictures.append(
                draw_samples(
                    pixels,
                    output.boxes_xyxy[index][chosen].cpu().numpy(),
                    labels.cpu().numpy(),
                    target.boxes_xyxy.cpu().numpy(),
                )
            )
        encoded = io.BytesIO()
        contact_sheet(pictures, columns=2).save(encoded, "JPEG", quality=88)
        with replacing_bytes(self._folder / f"train_batch{self._drawn}.jpg") as file:
            file.write(encoded.getvalue())
        self._drawn += 1


def write_csv(path: Path, rows: Rows) -> None:
    """Write all rows under the union of their columns; the file appears whole or not at all."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with replacing(path) as opened:
        writer = csv.DictWriter(opened, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def draw_curves(path: Path, rows: Rows) -> None:
    """Draw loss parts and average recall (of a detector mAP) over epochs, side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(11, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    trained = [row for row in rows if row["loss"] is not None]  # epoch 0 is before training
    for name in (name for name in trained[0] if name.startswith("loss")) if trained else ():
        left.plot([row["epoch"] for row in trained], [row[name] for row in trained], marker=".", label=name)
    left.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    measured = [[row for row in rows if row.get(name) is not None] for name in _DRAWN]
    for name, found in zip(_DRAWN, measured, strict=True):
        if found:
            right.plot([row["epoch"] for row in found], [row[name] for row in found], marker=".", label=name)
    names = any(row.get("mAP") is not None for row in rows)
    what = "average precision" if names else "average recall"
    right.set(xlabel="epoch", ylabel=f"{what} (validation)", ylim=(0, 1))
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if axes.get_lines():
            axes.legend()
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png", dpi=100)
    with replacing_bytes(path) as file:
        file.write(encoded.getvalue())
