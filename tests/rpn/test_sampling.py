from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from objectness.rpn.matching import Matches
from objectness.rpn.sampling import (
    Sampler,
    SamplerInput,
    sample_hard_loss,
    sample_hard_window,
    sample_iou_balanced,
    sample_random,
    sampler_of,
)
from objectness.rpn.settings import SampleSettings

SAMPLERS = [sample_random, sample_hard_loss, sample_hard_window, sample_iou_balanced]


def evidence(
    labels: list[int] | Tensor, iou: Tensor | None = None, loss: Tensor | None = None, variation: Tensor | None = None
) -> SamplerInput:
    labels = torch.as_tensor(labels).to(torch.int8)
    nothing = torch.zeros(len(labels))
    matches = Matches(labels, torch.zeros(len(labels), dtype=torch.int64), nothing if iou is None else iou)
    varied = torch.ones(len(labels)) if variation is None else variation
    return SamplerInput(matches, nothing if loss is None else loss, varied)


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_anchors(sampler: Sampler) -> None:
    found = sampler(evidence([]), SampleSettings(), chance())
    assert found.positives.tolist() == found.negatives.tolist() == []


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_only_ignored_anchors(sampler: Sampler) -> None:
    found = sampler(evidence([-1, -1, -1]), SampleSettings(), chance())
    assert found.positives.tolist() == found.negatives.tolist() == []


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_torchvisions_counts(sampler: Sampler) -> None:
    found = sampler(evidence([0] * 6 + [1] + [-1] * 2), SampleSettings(size=4, positive_fraction=0.25), chance())
    assert found.positives.tolist() == [6]
    assert len(found.negatives) == 3
    assert set(found.negatives.tolist()) <= set(range(6))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_half_and_half_where_there_are_plenty(sampler: Sampler) -> None:
    labels = torch.tensor([1, 0, -1]).repeat(1000)
    found = sampler(evidence(labels), SampleSettings(), chance())
    assert (len(found.positives), len(found.negatives)) == (128, 128)
    assert set(labels[found.positives].tolist()) == {1}
    assert set(labels[found.negatives].tolist()) == {0}
    for part in (found.positives, found.negatives):
        assert part.dtype == torch.int64
        assert part.unique().tolist() == part.tolist()  # ascending, none twice


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_missing_positives_are_padded_with_negatives_to_exactly_256(sampler: Sampler) -> None:
    found = sampler(evidence([1] * 5 + [0] * 5000), SampleSettings(), chance())
    assert found.positives.tolist() == [0, 1, 2, 3, 4]
    assert len(found.negatives) == 251


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_positives_never_exceed_their_share(sampler: Sampler) -> None:
    found = sampler(evidence([1] * 500 + [0] * 3), SampleSettings(), chance())
    assert (len(found.positives), found.negatives.tolist()) == (128, [500, 501, 502])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_draws_the_same_and_another_draws_others(sampler: Sampler) -> None:
    seen = evidence([1] * 400 + [0] * 4000)
    one, again, other = (sampler(seen, SampleSettings(), chance(seed)) for seed in (7, 7, 8))
    assert torch.equal(one.positives, again.positives)
    assert torch.equal(one.negatives, again.negatives)
    assert not torch.equal(one.positives, other.positives)
    assert not torch.equal(one.negatives, other.negatives)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_seed_draws_the_same_on_a_gpu(sampler: Sampler) -> None:
    labels, loss, variation = torch.tensor([1, 0, 0, -1]).repeat(500), torch.rand(2000), torch.rand(2000)
    cpu = sampler(evidence(labels, loss=loss, variation=variation), SampleSettings(), chance())
    matches = Matches(labels.to(torch.int8).cuda(), torch.zeros(2000).long().cuda(), torch.zeros(2000).cuda())
    gpu = sampler(SamplerInput(matches, loss.cuda(), variation.cuda()), SampleSettings(), chance())
    assert gpu.positives.tolist() == cpu.positives.tolist()
    assert gpu.negatives.tolist() == cpu.negatives.tolist()


def test_random_draws_every_negative_alike() -> None:
    seen, counts = evidence([0] * 40), torch.zeros(40)
    settings = SampleSettings(size=10)
    for seed in range(400):
        counts[sample_random(seen, settings, chance(seed)).negatives] += 1
    assert counts.sum() == 4000
    assert counts.min() > 60  # 100 expected, standard deviation 8.7
    assert counts.max() < 140


def test_hard_loss_takes_the_highest_losses() -> None:
    loss = torch.tensor([0.1, 9.0, 0.3, 5.0, 0.2, 7.0, 8.0])
    seen = evidence([0, 1, 0, 0, 0, 0, -1], loss=loss)  # the positive's and the ignored one's do not count
    found = sample_hard_loss(seen, SampleSettings(size=4, random_share=0), chance())
    assert found.positives.tolist() == [1]
    assert found.negatives.tolist() == [2, 3, 5]


def test_hard_loss_keeps_a_random_share() -> None:
    loss = torch.arange(1000.0)
    settings = SampleSettings(size=100, random_share=0.25)
    found = sample_hard_loss(evidence([0] * 1000, loss=loss), settings, chance())
    assert found.negatives[-75:].tolist() == list(range(925, 1000))
    assert len(found.negatives) == len(found.negatives.unique()) == 100
    assert found.negatives[0] < 500  # the other 25 come from anywhere


def test_hard_loss_with_all_at_random_is_random() -> None:
    found = sample_hard_loss(
        evidence([0] * 1000, loss=torch.arange(1000.0)), SampleSettings(size=50, random_share=1), chance()
    )
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
    found = sample_hard_window(evidence(CLASSES, iou=IOU, variation=VARIATION), settings, chance())
    assert found.positives.tolist() == [7]
    assert found.negatives.tolist() == drawn


def test_hard_window_draws_by_chance_within_a_class() -> None:
    """60 partial and varying ones, all drawn; of 200 varying ones 40, from everywhere."""
    iou = torch.tensor([0.1] * 60 + [0.0] * 200)
    settings = SampleSettings(size=100)
    counts = torch.zeros(260)
    for seed in range(50):
        counts[sample_hard_window(evidence([0] * 260, iou=iou), settings, chance(seed)).negatives] += 1
    assert counts[:60].unique().tolist() == [50]
    assert counts[60:].sum() == 50 * 40
    assert counts[60:].max() < 25  # 10 expected, standard deviation 2.8


@pytest.mark.parametrize("rule", ["partial-then-varying", "partial-and-varying", "partial-or-varying"])
def test_hard_window_with_a_flat_image_has_no_negatives(rule: str) -> None:
    flat = evidence([0] * 25, iou=torch.full((25,), 0.1), variation=torch.zeros(25))
    settings = SampleSettings(window_rule=rule)  # type: ignore[arg-type]
    assert sample_hard_window(flat, settings, chance()).negatives.tolist() == []


def test_hard_window_varies_above_its_threshold() -> None:
    variation = torch.tensor([0.2, 0.5, 0.6])
    for threshold, drawn in ((0.1, [0, 1, 2]), (0.5, [2]), (0.9, [])):
        settings = SampleSettings(window_rule="partial-or-varying", window_variation=threshold)
        assert (
            sample_hard_window(evidence([0] * 3, variation=variation), settings, chance()).negatives.tolist() == drawn
        )


def test_iou_balanced_takes_as_many_of_each_overlap() -> None:
    """The bins end at .1, .2 and .3: 900 negatives, 30 and 30; the anchors at .8 and .25 are none."""
    iou = torch.tensor([0.0] * 900 + [0.15] * 30 + [0.29] * 29 + [0.3] + [0.8, 0.25])
    labels = [0] * 960 + [1, -1]
    found = sample_iou_balanced(evidence(labels, iou=iou), SampleSettings(size=31), chance())
    assert found.positives.tolist() == [960]
    bins = (iou[found.negatives] / 0.1001).long()
    assert bins.bincount(minlength=3).tolist() == [10, 10, 10]


def test_iou_balanced_fills_up_at_random() -> None:
    iou = torch.tensor([0.0] * 900 + [0.15] * 4 + [0.3] * 6)
    found = sample_iou_balanced(evidence([0] * 910, iou=iou), SampleSettings(size=100), chance())
    assert len(found.negatives) == 100
    assert set(range(900, 910)) <= set(found.negatives.tolist())
    assert found.negatives.tolist() == sorted(set(found.negatives.tolist()))


def test_iou_balanced_with_one_bin_draws_every_negative_alike() -> None:
    iou = torch.tensor([0.0] * 20 + [0.25] * 20)
    drawn = [
        sample_iou_balanced(evidence([0] * 40, iou=iou), SampleSettings(size=10, bins=1), chance(seed)).negatives
        for seed in range(100)
    ]
    assert 400 < int((torch.cat(drawn) >= 20).sum()) < 600  # 500 expected, standard deviation 14


def test_the_sampler_that_the_settings_name() -> None:
    assert sampler_of(SampleSettings()) is sample_random
    assert sampler_of(SampleSettings(sampler="hard-loss")) is sample_hard_loss
    assert sampler_of(SampleSettings(sampler="hard-window")) is sample_hard_window
    assert sampler_of(SampleSettings(sampler="iou-balanced")) is sample_iou_balanced
