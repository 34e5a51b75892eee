from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from objectness.rpn.extensions.hard_negatives import (
    anchor_variation,
    draw_hard_windows,
    sample_iou_balanced,
    sample_ohem,
)
from objectness.rpn.matching import Matches
from objectness.rpn.outputs import ImagePredictions
from objectness.rpn.sampling import Sample
from objectness.rpn.settings import SampleSettings
from objectness.rpn.targets import Target


def matched(labels: list[int], iou: Tensor | None = None) -> Matches:
    nothing = torch.zeros(len(labels))
    return Matches(torch.tensor(labels, dtype=torch.int8), nothing.to(torch.int64), nothing if iou is None else iou)


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def hard_loss(labels: list[int], logits: Tensor, settings: SampleSettings) -> Sample:
    """The negatives drawn of anchors with these logits: a high one has a high loss as a negative."""
    count, nowhere = len(logits), torch.zeros(len(logits), 4)
    everyone = torch.ones(count, dtype=torch.bool)
    target = Target(nowhere[:0], nowhere[:0], (96, 96))
    image = ImagePredictions(nowhere, torch.ones(count), logits[:, None], nowhere, everyone, count, target)
    return sample_ohem(matched(labels), image, settings, chance())


def hard_windows(
    labels: list[int],
    settings: SampleSettings,
    iou: Tensor | None = None,
    variation: Tensor | None = None,
    seed: int = 0,
) -> list[int]:
    variation = torch.ones(len(labels)) if variation is None else variation
    drawn = draw_hard_windows(matched(labels, iou), variation, settings, chance(seed))
    assert drawn.positives.tolist() == [index for index, label in enumerate(labels) if label == 1]
    return drawn.negatives.tolist()


def test_hard_loss_takes_the_highest_losses() -> None:
    loss = torch.tensor([0.1, 9.0, 0.3, 5.0, 0.2, 7.0, 8.0])
    labels = [0, 1, 0, 0, 0, 0, -1]  # the positive's and the ignored one's do not count
    found = hard_loss(labels, loss, SampleSettings(size=4, random_share=0))
    assert found.positives.tolist() == [1]
    assert found.negatives.tolist() == [2, 3, 5]


def test_hard_loss_keeps_a_random_share() -> None:
    loss = torch.arange(1000.0)
    settings = SampleSettings(size=100, random_share=0.25)
    found = hard_loss([0] * 1000, loss, settings)
    assert found.negatives[-75:].tolist() == list(range(925, 1000))
    assert len(found.negatives) == len(found.negatives.unique()) == 100
    assert found.negatives[0] < 500  # the other 25 come from anywhere


def test_hard_loss_with_all_at_random_is_random() -> None:
    found = hard_loss([0] * 1000, torch.arange(1000.0), SampleSettings(size=50, random_share=1))
    assert len(found.negatives) == 50
    assert found.negatives.float().mean() < 700


# Eight anchors: partial and varying, varying, partial, neither, flat and partial, flat, ignored, positive.
CLASSES = [0, 0, 0, 0, 0, 0, -1, 1]
IOU = torch.tensor([0.2, 0.0, 0.1, 0.0, 0.2, 0.0, 0.4, 0.9])
VARIATION = torch.tensor([0.9, 0.8, 0.3, 0.4, 0.0, 0.0, 0.9, 0.9])


@pytest.mark.parametrize(
    ("rule", "room", "drawn"),
    [
        ("partial-then-varying", 1, [0]),
        ("partial-then-varying", 2, [0, 1]),
        ("partial-then-varying", 3, [0, 1, 2]),
        ("partial-then-varying", 7, [0, 1, 2, 3]),  # short by three: flat windows are never drawn
        ("partial-and-varying", 7, [0]),
        ("partial-or-varying", 7, [0, 1, 2]),
    ],
)
def test_hard_window_draws_by_its_rule(rule: str, room: int, drawn: list[int]) -> None:
    settings = SampleSettings(sampler="hard-window", size=room + 1, window_rule=rule)  # type: ignore[arg-type]
    settings = replace(settings, positive_fraction=1 / (room + 1))
    assert hard_windows(CLASSES, settings, IOU, VARIATION) == drawn


def test_hard_window_draws_by_chance_within_a_class() -> None:
    """60 partial and varying ones, all drawn; of 200 varying ones 40, from everywhere."""
    iou = torch.tensor([0.1] * 60 + [0.0] * 200)
    settings = SampleSettings(size=100)
    counts = torch.zeros(260)
    for seed in range(50):
        counts[hard_windows([0] * 260, settings, iou, seed=seed)] += 1
    assert counts[:60].unique().tolist() == [50]
    assert counts[60:].sum() == 50 * 40
    assert counts[60:].max() < 25  # 10 expected, standard deviation 2.8


@pytest.mark.parametrize("rule", ["partial-then-varying", "partial-and-varying", "partial-or-varying"])
def test_hard_window_with_a_flat_image_has_no_negatives(rule: str) -> None:
    settings = SampleSettings(window_rule=rule)  # type: ignore[arg-type]
    assert hard_windows([0] * 25, settings, torch.full((25,), 0.1), torch.zeros(25)) == []


def test_hard_window_varies_above_its_threshold() -> None:
    variation = torch.tensor([0.2, 0.5, 0.6])
    for threshold, drawn in ((0.1, [0, 1, 2]), (0.5, [2]), (0.9, [])):
        settings = SampleSettings(window_rule="partial-or-varying", window_variation=threshold)
        assert hard_windows([0] * 3, settings, variation=variation) == drawn


def test_iou_balanced_takes_as_many_of_each_overlap() -> None:
    """The bins end at .1, .2 and .3: 900 negatives, 30 and 30; the anchors at .8 and .25 are none."""
    iou = torch.tensor([0.0] * 900 + [0.15] * 30 + [0.29] * 29 + [0.3] + [0.8, 0.25])
    labels = [0] * 960 + [1, -1]
    found = sample_iou_balanced(matched(labels, iou), None, SampleSettings(size=31), chance())
    assert found.positives.tolist() == [960]
    bins = (iou[found.negatives] / 0.1001).long()
    assert bins.bincount(minlength=3).tolist() == [10, 10, 10]


def test_iou_balanced_fills_up_at_random() -> None:
    iou = torch.tensor([0.0] * 900 + [0.15] * 4 + [0.3] * 6)
    found = sample_iou_balanced(matched([0] * 910, iou), None, SampleSettings(size=100), chance())
    assert len(found.negatives) == 100
    assert set(range(900, 910)) <= set(found.negatives.tolist())
    assert found.negatives.tolist() == sorted(set(found.negatives.tolist()))


def test_iou_balanced_with_one_bin_draws_every_negative_alike() -> None:
    iou = torch.tensor([0.0] * 20 + [0.25] * 20)
    drawn = [
        sample_iou_balanced(matched([0] * 40, iou), None, SampleSettings(size=10, bins=1), chance(seed)).negatives
        for seed in range(100)
    ]
    assert 400 < int((torch.cat(drawn) >= 20).sum()) < 600  # 500 expected, standard deviation 14


def test_the_variation_of_no_anchors_is_empty() -> None:
    target = Target(torch.zeros(0, 4), torch.zeros(0, 4), (64, 64))
    nothing = torch.zeros(0, 4)
    features = torch.rand(3, 4, 4, generator=chance())
    image = ImagePredictions(
        nothing, nothing[:, 0], nothing[:, :1], nothing, nothing[:, 0].bool(), 0, target, None, features
    )
    assert anchor_variation(image).tolist() == []
