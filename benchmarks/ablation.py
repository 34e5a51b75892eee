"""One row of the ablation: trained unless it is, measured unless it is, and its figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from quality_rows import is_torchvision, overrides
from safetensors.torch import load_file
from torchvision_rpn import RATIOS, TorchvisionRPN

from objectness.autoanchor.reach import best_anchors, level_shapes
from objectness.autoanchor.report import SeenBoxes, boxes_as_seen
from objectness.autoanchor.suggest import climb
from objectness.datasets import Dataset, load_dataset, repair
from objectness.datasets.class_filter import filter_classes
from objectness.datasets.records import Record
from objectness.errors import InputError
from objectness.evaluation import groups, per_object
from objectness.evaluation.measurement import IOU_THRESHOLDS, measure
from objectness.evaluation.recall import recall_report
from objectness.images import fit_size_hw, open_upright, resize
from objectness.proposals import Proposals
from objectness.rpn.backbones import build_backbone
from objectness.rpn.criterion import criterion
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.renamed_weights import current_names
from objectness.rpn.settings import RPNSettings
from objectness.settings import from_dict, override, to_dict
from objectness.training.checkpoints import STATE_FILE
from objectness.training.loop import StepReport, Watcher, fit
from objectness.training.recipes import recipe
from objectness.training.report import tables
from objectness.training.rpn_task import rpn_task
from objectness.training.settings import RunSettings

KS = (1, 3, 10, 30, 100, 300, 1000)
PARTS = 10
Network = RegionProposalNetwork | TorchvisionRPN


@dataclass(frozen=True)
class Budget:
    """Settings that all rows share.

    Attributes:
        photographs: Image budget of a training.
        crop: Side of the squares that are trained on.
        weights: Of the backbone; None starts from scratch.
        only_classes: Classes whose boxes are trained on; empty means all. The others count as unseen.
        measured: Photographs that recall is measured on; 0 means all.
        changes: Further ``--set`` assignments for all rows.
    """

    photographs: int
    crop: int
    weights: Path | None
    only_classes: tuple[str, ...]
    measured: int
    changes: tuple[str, ...] = ()

    def assignments(self) -> list[str]:
        """``--set`` assignments of this budget. Mosaics end with the ninth of ten parts, as the recipe has it."""
        batch = 8
        part = max(1, round(self.photographs / PARTS / batch)) * batch
        return [
            "rpn.backbone.pretrained=false",
            f"rpn.backbone.weights={self.weights.resolve() if self.weights else 'none'}",
            f"augment.crop={self.crop}",
            "schedule.kind=cosine",
            "schedule.final_factor=0",
            f"schedule.warmup_steps={min(50, part * PARTS // batch // 8)}",
            f"loop.batch_size={batch}",
            f"loop.epoch_images={part}",
            f"loop.epochs={PARTS}",
            "loop.validate_every=0",
            "loop.workers=1",
            "loop.device=cpu",
            *self.changes,
        ]


@dataclass(frozen=True, eq=False)
class DataSplit:
    """The data of an ablation.

    Attributes:
        training: Repaired, with the boxes that are trained on.
        measured: Repaired records that recall is measured on, with all boxes.
        class_names: Of the data set.
        seen: Classes that are trained on; empty means all.
        sizes: Anchor sizes that fit the training boxes best with the standard's three ratios, one a level.
        reach: Sentences on what these anchors reach.
    """

    training: Dataset
    measured: tuple[Record, ...]
    class_names: Sequence[str]
    seen: frozenset[str]
    sizes: tuple[float, ...]
    reach: str


@dataclass(frozen=True)
class Result:
    """Figures of one training; AR by k as text, sizes and seen or unseen classes likewise."""

    row: str
    seed: int
    images: int
    ar: dict[str, float | None]
    ar_by_size: dict[str, dict[str, float | None]]
    ar_by_seen: dict[str, dict[str, float | None]]
    parameters: int
    seconds: float


def read_data(data: Path, split: str, budget: Budget) -> DataSplit:
    """Read the data, and fit the standard's anchors to them."""
    whole, _ = repair(load_dataset(data, "train"), decode=False)
    seen = frozenset(budget.only_classes)
    if seen == {"voc"}:
        seen = groups.VOC_CLASSES.intersection(whole.class_names)
    training = filter_classes(whole, sorted(seen))
    measured = repair(load_dataset(data, split), decode=False)[0].records
    if budget.measured:
        places = np.linspace(0, len(measured) - 1, min(budget.measured, len(measured))).round().astype(int)
        measured = tuple(measured[place] for place in places)
    settings = override(recipe("task-aligned"), budget.assignments()).rpn
    sizes, reach = fitted_sizes(boxes_as_seen(training.records, settings.images), settings)
    return DataSplit(training, tuple(measured), whole.class_names, seen, sizes, reach)


def fitted_sizes(boxes: SeenBoxes, settings: RPNSettings) -> tuple[tuple[float, ...], str]:
    """One size a level for torchvision's three ratios: those with the best possible AR on these boxes."""
    strides = settings.backbone.level_strides

    def overlaps(sizes: Sequence[float]) -> np.ndarray:
        levels = level_shapes([[size] for size in sizes], RATIOS, strides)
        return best_anchors(boxes.boxes_xyxy, boxes.sizes_hw, levels, 0.0, False).iou

    def reached(sizes: Sequence[float]) -> float:
        return float(np.mean([(overlaps(sizes) >= threshold).mean() for threshold in IOU_THRESHOLDS]))

    starts = [np.array(strides, dtype=float) * factor for factor in (2, 3, 4)]
    sizes = tuple(round(float(size)) for size in climb(max(starts, key=reached), reached))
    iou = overlaps(sizes)
    return sizes, (
        f"one size a level ({', '.join(map(str, sizes))} px), ratios {', '.join(map(str, RATIOS))}: mean over IoU "
        f".5 to .95 of the training boxes that some anchor fits {reached(sizes):.3f}, mean IoU of the best anchor "
        f"{iou.mean():.3f}, {(iou >= 0.7).mean():.1%} of the boxes from IoU .7, {(iou < 0.3).mean():.1%} below .3"
    )


def settings_of(row: str, seed: int, budget: Budget, data: DataSplit) -> RunSettings:
    """The whole run of a row."""
    settings = override(
        recipe("task-aligned"), [*budget.assignments(), *overrides(row, data.sizes), f"loop.seed={seed}"]
    )
    settings = replace(settings, recipe=row, data=replace(settings.data, only_classes=tuple(sorted(data.seen))))
    select = replace(settings.rpn.select, nms_iou=0.7, post_nms_top_n=max(KS))
    return replace(settings, rpn=replace(settings.rpn, select=select))


def build(row: str, settings: RunSettings, data: DataSplit, *, load_weights: bool = True) -> tuple[Network, str]:
    """The row's network, and one sentence on what it starts from; the same seed gives the same weights."""
    torch.manual_seed(settings.loop.seed)
    backbone, backbone_settings, sentence = build_backbone(settings.rpn.backbone, load_weights=load_weights)
    rpn = replace(settings.rpn, backbone=backbone_settings)
    if is_torchvision(row):
        return TorchvisionRPN(rpn, data.sizes, backbone), sentence
    return RegionProposalNetwork(rpn, backbone), sentence


def folder_of(row: str, seed: int, out: Path) -> Path:
    """Folder of one training of a row."""
    return out / f"{row.replace(', ', '_').replace(' ', '-')}-seed{seed}"


def train_and_measure(
    row: str, seed: int, budget: Budget, data: DataSplit, out: Path, tell: Callable[[str], None]
) -> Result:
    """Train and measure a row. Finished parts are not repeated, a stopped training is resumed.

    Raises:
        InputError: ``out`` holds this row with other settings.
    """
    settings, folder = settings_of(row, seed, budget, data), folder_of(row, seed, out)
    folder.mkdir(parents=True, exist_ok=True)
    _require_same_settings(folder / "config.json", settings, data.sizes)
    measured_on, ended = folder / f"measured-{len(data.measured)}.json", folder / "seconds.json"
    if measured_on.exists():
        return Result(**json.loads(measured_on.read_text()))
    if not ended.exists():
        network, sentence = build(row, settings, data)
        tell(f"{row}, seed {seed}: {sentence}")
        trained = fit(
            settings,
            network,  # type: ignore[arg-type]
            rpn_task(TorchvisionRPN.loss if is_torchvision(row) else criterion),  # type: ignore[arg-type]
            data.training.records,
            (),
            folder,
            {"name": row},
            (tables(folder), Watcher(on_step=partial(_tell_pace, tell))),
            resume=(folder / STATE_FILE).exists(),
        )
        if trained.interrupted:
            raise KeyboardInterrupt
        ended.write_text(json.dumps(trained.seconds))
    result = _measure(row, seed, settings, folder, data)
    measured_on.write_text(json.dumps(asdict(result), indent=1) + "\n")
    tell(f"{row}, seed {seed}: AR@100 {result.ar['100']:.4f}, AR@1000 {result.ar['1000']:.4f}")
    return result


def finished(row: str, seed: int, data: DataSplit, out: Path) -> Result | None:
    """The stored result of ``train_and_measure``, None where there is none."""
    path = folder_of(row, seed, out) / f"measured-{len(data.measured)}.json"
    return Result(**json.loads(path.read_text())) if path.exists() else None


def trained(row: str, seed: int, budget: Budget, data: DataSplit, out: Path) -> Network:
    """A row's network with the weights that it was measured with, ready to propose."""
    network, _ = build(row, settings_of(row, seed, budget, data), data, load_weights=False)
    network.load_state_dict(current_names(load_file(folder_of(row, seed, out) / "best.safetensors")))
    return network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]


@torch.no_grad()
def _propose_all(network: Network, records: Sequence[Record], top: int) -> dict[int, Proposals]:
    """Image id -> the best ``top`` proposals, by the verbs that both networks have: whole photographs, unpadded."""
    select = replace(network.settings.select, post_nms_top_n=top)
    images = network.settings.images
    found: dict[int, Proposals] = {}
    for record in records:
        photo = open_upright(record.path)
        size_hw = (photo.shape[0], photo.shape[1])
        seen_hw = fit_size_hw(size_hw, images.short_side, images.long_side)
        pixels = torch.from_numpy(resize(photo, seen_hw)).permute(2, 0, 1)[None]
        outputs = network(pixels.to(memory_format=torch.channels_last))
        selection = network.propose(outputs, [seen_hw], select)[0]
        scale = np.array([size_hw[1] / seen_hw[1], size_hw[0] / seen_hw[0]] * 2, dtype=np.float32)
        found[record.image_id] = Proposals(selection.boxes_xyxy.numpy() * scale, selection.scores.numpy(), size_hw)
    return found


def _measure(row: str, seed: int, settings: RunSettings, folder: Path, data: DataSplit) -> Result:
    network, _ = build(row, settings, data, load_weights=False)
    network.load_state_dict(current_names(load_file(folder / "best.safetensors")))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    found = _propose_all(network.eval(), data.measured, max(KS))
    measured = measure(found, data.measured, KS)
    report = recall_report(measured).to_json()
    parts = groups.by_seen(measured.class_ids, data.class_names, data.seen) if data.seen else {}
    shares = per_object.ar(measured.ranks, measured.ks)
    by_seen = {
        name: dict(zip(map(str, measured.ks), per_object.mean(shares, mask), strict=True))
        for name, mask in parts.items()
    }
    return Result(
        row,
        seed,
        measured.images,
        report["ar"],
        report["ar_by_size"],
        by_seen,
        sum(weight.numel() for weight in network.parameters()),
        json.loads((folder / "seconds.json").read_text()),
    )


def _require_same_settings(path: Path, settings: RunSettings, sizes: Sequence[float]) -> None:
    if not path.exists():
        path.write_text(json.dumps({"settings": to_dict(settings), "sizes": list(sizes)}, indent=1) + "\n")
    stored = json.loads(path.read_text())
    # Read as settings, so that one which is newer than the training counts as its default.
    if from_dict(RunSettings, stored["settings"]) != settings or tuple(stored["sizes"]) != tuple(sizes):
        raise InputError(f"{path.parent} was trained with other settings: give another --out, or remove that folder.")


def _tell_pace(tell: Callable[[str], None], report: StepReport) -> None:
    """Report losses and pace after each tenth of the run."""
    if report.step % max(1, report.steps // PARTS) == 0:
        losses = ", ".join(f"{name} {value:.3f}" for name, value in report.losses.items())
        tell(f"  {report.step}/{report.steps}: {losses}, {report.images_per_second:.1f} photographs/s")
