"""``objectness train``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from objectness.cli.old_names import note_old_names
from objectness.cli.output import EXIT_INTERRUPTED, AllowOutsideFlag, JsonFlag, Output, QuietFlag, one_sentence_errors
from objectness.errors import InputError
from objectness.files.untrusted import load_json
from objectness.installation import require_training
from objectness.training.train import RUNS

if TYPE_CHECKING:
    from objectness.training.loop import StepReport, TrainingResult

_MEASURED = ("AR@10", "AR@100", "AR@1000", "mAP", "AP50", "AP75")  # columns of a validation in a line of an epoch


@one_sentence_errors
def command(
    data: Annotated[
        Path | None,
        typer.Argument(help="Your photographs and boxes: a COCO, Pascal VOC or YOLO folder or file."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="fine-tune, task-aligned, two-stage, small (for two CPU cores), paper-vgg16, paper-zf, fpn-resnet50; "
            "of a detector, which names objects: faster-rcnn, faster-rcnn-vgg16, fast-rcnn.",
            show_default="fine-tune; task-aligned where no network is started from",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Initial weights: default (the bundled model), an exported .onnx file, a .safetensors "
            "checkpoint or a run folder; imagenet (only the backbone); or none (from scratch).",
            show_default="the recipe's: default for fine-tune, imagenet for the others",
        ),
    ] = None,
    proposals: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Proposals of any format that the recipe fast-rcnn trains on; twice: for training, for validation.",
        ),
    ] = None,
    settings_file: Annotated[
        Path | None,
        typer.Option(
            "--settings", metavar="FILE", help="JSON file of settings: a run's config.json, or from `anchors --apply`."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated."),
    ] = None,
    only_classes: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Train as if only these classes were labelled (data.only_classes)."),
    ] = None,
    held_out_classes: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Train as if these classes were not labelled (data.held_out_classes)."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything that is drawn by chance (loop.seed).")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run folder; the recipe's by default.")] = None,
    project: Annotated[Path, typer.Option(help="Folder that takes run folders.")] = RUNS,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with this run folder exactly where it stopped.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse data that would need repair.")] = False,
    show: Annotated[bool, typer.Option("--show-settings", help="Print every setting of the recipe and stop.")] = False,
    allow_outside: AllowOutsideFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Train a Region Proposal Network on your own boxes, by default starting from the bundled model; or a Faster R-CNN.

    Writes a run folder with config.json, results.csv, results.png, pictures of sampled anchors, TensorBoard events
    and the checkpoints best.safetensors and last.safetensors. Ctrl-C saves; --resume RUN goes on.
    """
    output = Output(as_json, quiet)
    require_training("Training")
    from objectness.settings import describe, to_dict
    from objectness.training import run
    from objectness.training.choose_settings import choose_settings
    from objectness.training.loop import Watcher
    from objectness.training.recipes import name_of_today
    from objectness.training.run_config import RunConfig, read_config

    short = {"loop.seed": seed, "data.only_classes": only_classes, "data.held_out_classes": held_out_classes}
    overrides = [*(set_ or ()), *(f"{key}={value}" for key, value in short.items() if value is not None)]
    if resume is not None:
        if (
            data is not None
            or overrides
            or show
            or any(v is not None for v in (settings_file, recipe, weights, proposals))
        ):
            raise InputError("--resume goes on with the run's own data and settings: give it nothing else.")
        with _Live(output) as live:
            watcher = Watcher(live.on_start, on_step=live.on_step, on_epoch=live.on_epoch)
            result = run.resume(resume, watchers=[watcher], notify=output.note)
        config = read_config(result.folder)
        data, allow_outside = config.data, config.allow_outside
    else:
        document = {} if settings_file is None else _read_settings(settings_file)
        written_for = _recipe_in(settings_file, document)
        if recipe is not None and written_for is not None and name_of_today(recipe) != name_of_today(written_for):
            raise InputError(
                f"{settings_file} holds settings for the recipe {written_for}: leave out --recipe {recipe}, or use "
                "settings that are for it."
            )
        note_old_names(output, overrides if recipe is None else [*overrides, f"recipe={recipe}"], document)
        settings = choose_settings(recipe or written_for, weights, overrides, document)
        if show:
            for key, value in describe(settings):
                output.tables.print(f"{key} = {value!r}", markup=False)
            output.result(to_dict(settings))
            return
        if data is None:
            raise InputError("Say what to train on: objectness train DATA (a COCO, Pascal VOC or YOLO folder).")
        folder = project / _plain_name(settings.recipe if name is None else name)
        with _Live(output) as live:
            watcher = Watcher(live.on_start, on_step=live.on_step, on_epoch=live.on_epoch)
            result = run.begin(
                RunConfig(data, settings, strict, allow_outside, tuple(proposals or ())),
                folder,
                watchers=[watcher],
                notify=output.note,
            )
    if result.interrupted:
        output.warn(f"Stopped and saved. Go on with: objectness train --resume {result.folder}")
    else:
        output.tables.print(f"{_reached(result)} · {result.best_checkpoint}", markup=False, soft_wrap=True)
        for line in _next_steps(result.folder, data, allow_outside):
            output.note(line)
    output.result(
        {
            "run": str(result.folder),
            "interrupted": result.interrupted,
            f"best {result.metric}": result.best,
            "seconds": result.seconds,
            "epochs": result.rows,
        }
    )
    if result.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)


def _plain_name(name: str) -> str:
    """The name of a run folder.

    Raises:
        InputError: it is a path.
    """
    if Path(name).name != name or name in ("", "..") or "\\" in name:
        raise InputError(f"The run cannot be called {name!r}: give a name without slashes; a folder holds all runs.")
    return name


def _reached(result: TrainingResult) -> str:
    """The best recall or mAP, its epoch, and that before training."""
    metric = result.metric
    if result.best is None:
        return "Not validated"
    reached = {row["epoch"]: row[metric] for row in result.rows if row.get(metric) is not None}
    best = max(reached, key=lambda epoch: (reached[epoch], -epoch))
    if best == 0:
        return f"No epoch was better than what the run started from: {metric} {reached[0]:.4f} (validation)"
    before = f", before training {reached[0]:.4f}" if 0 in reached else ""
    return f"Best {metric} {result.best:.4f} (validation, epoch {best}{before})"


def _next_steps(folder: Path, data: Path, allow_outside: bool) -> list[str]:
    """Commands for a trained network, ready to be copied."""
    from objectness.datasets import available_splits

    known = available_splits(data, allow_outside=allow_outside)
    split = next((f" --split {name}" for name in ("test", "val") if name in known), "")
    among = "" if split else "  # the photographs that were trained on among them"
    run, where = shlex.quote(str(folder)), shlex.quote(str(data))
    return [
        "Next:",
        f"  objectness evaluate {run} {where}{split}{' --allow-outside' if allow_outside else ''}{among}",
        f"  objectness export {run}",
        f"  objectness propose PHOTOS --model {run}",
    ]


def _read_settings(path: Path) -> object:
    """The settings in a JSON file: the document itself, or its "settings" as in a run's config.json."""
    document = load_json(path)
    return document.get("settings", document) if isinstance(document, dict) else document


def _recipe_in(path: Path | None, document: object) -> str | None:
    """The recipe that a file of settings names."""
    named = document.get("recipe") if isinstance(document, dict) else None
    if named is not None and not isinstance(named, str):
        raise InputError(f"{path}: its recipe must be a name, e.g. fine-tune; it is {named!r}.")
    return named


class _Live:
    """Live line on standard error with losses, pace and time left; one line stays for each epoch."""

    def __init__(self, output: Output) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._console = output.progress
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[pace]:.1f} images/s"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=output.quiet or not self._console.is_terminal,
        )
        self._task: Any = None

    def __enter__(self) -> _Live:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def on_start(self, step: int, steps: int, rows: list[dict[str, Any]]) -> None:
        """Show the bar: the first update may take a while."""
        self._bar.start()
        if self._task is not None:  # of the step before
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task("first update ...", total=steps, completed=step, loss="...", pace=0.0)

    def on_step(self, report: StepReport) -> None:
        """Move the bar."""
        fields = {
            "description": f"epoch {report.epoch}/{report.epochs}",
            "loss": f"{report.loss:.3f} = {' + '.join(f'{value:.3f}' for value in report.losses.values())}",
            "pace": report.images_per_second,
        }
        self._bar.update(self._task, completed=report.step, **fields)  # type: ignore[arg-type]

    def on_epoch(self, row: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        """Print a line that stays."""
        trained = "before training"
        if row["loss"] is not None:
            parts = ", ".join(f"{k.removeprefix('loss ')} {v:.4f}" for k, v in row.items() if k.startswith("loss "))
            pace = f"{row['images/s']:.1f} images/s"
            trained = f"epoch {row['epoch']} step {row['step']} loss {row['loss']:.4f} ({parts}) {pace}"
        measured = " ".join(f"{k} {v:.4f}" for k, v in row.items() if k in _MEASURED and v is not None)
        self._console.print(f"{trained} {measured}", markup=False, soft_wrap=True)
