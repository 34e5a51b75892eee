from __future__ import annotations

import pytest
import torch
from torch import Tensor

from objectness.rpn.criterion import sampler_of
from objectness.rpn.extensions.hard_negatives import (
    draw_hard_windows,
    sample_hard_window,
    sample_iou_balanced,
    sample_ohem,
)
from objectness.rpn.matching import Matches
from objectness.rpn.outputs import ImagePredictions
from objectness.rpn.sampling import Sample, Sampler, sample_random
from objectness.rpn.settings import SampleSettings
from objectness.rpn.targets import Target


def matched(labels: list[int] | Tensor, iou: Tensor | None = None) -> Matches:
    labels = torch.as_tensor(labels).to(torch.int8)
    nothing = torch.zeros(len(labels))
    return Matches(labels, torch.zeros(len(labels), dtype=torch.int64), nothing if iou is None else iou)


def image(logits: Tensor) -> ImagePredictions:
    """An image whose anchors have these logits; as negatives, those of high logits have the high losses."""
    count, nowhere = len(logits), torch.zeros(len(logits), 4, device=logits.device)
    everyone = torch.ones(count, dtype=torch.bool, device=logits.device)
    target = Target(nowhere[:0], nowhere[:0], (96, 96))
    return ImagePredictions(nowhere, torch.ones_like(logits), logits[:, None], nowhere, everyone, count, target)


def sample_varied(
    matches: Matches, seen: ImagePredictions, settings: SampleSettings, chance: torch.Generator
) -> Sample:
    """The hard-window sampler where every window varies."""
    return draw_hard_windows(matches, torch.ones_like(matches.iou), settings, chance)


def drawn_by(sampler: Sampler, labels: list[int] | Tensor, settings: SampleSettings, seed: int = 0) -> Sample:
    return sampler(matched(labels), image(torch.zeros(len(labels))), settings, chance(seed))


SAMPLERS = [sample_random, sample_ohem, sample_varied, sample_iou_balanced]


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_anchors(sampler: Sampler) -> None:
    found = drawn_by(sampler, [], SampleSettings())
    assert found.positives.tolist() == found.negatives.tolist() == []


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_only_ignored_anchors(sampler: Sampler) -> None:
    found = drawn_by(sampler, [-1, -1, -1], SampleSettings())
    assert found.positives.tolist() == found.negatives.tolist() == []


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_torchvisions_counts(sampler: Sampler) -> None:
    found = drawn_by(sampler, [0] * 6 + [1] + [-1] * 2, SampleSettings(size=4, positive_fraction=0.25))
    assert found.positives.tolist() == [6]
    assert len(found.negatives) == 3
    assert set(found.negatives.tolist()) <= set(range(6))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_half_and_half_where_there_are_plenty(sampler: Sampler) -> None:
    labels = torch.tensor([1, 0, -1]).repeat(1000)
    found = drawn_by(sampler, labels, SampleSettings())
    assert (len(found.positives), len(found.negatives)) == (128, 128)
    assert set(labels[found.positives].tolist()) == {1}
    assert set(labels[found.negatives].tolist()) == {0}
    for part in (found.positives, found.negatives):
        assert part.dtype == torch.int64
        assert part.unique().tolist() == part.tolist()  # ascending, none twice


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_missing_positives_are_padded_with_negatives_to_exactly_256(sampler: Sampler) -> None:
    found = drawn_by(sampler, [1] * 5 + [0] * 5000, SampleSettings())
    assert found.positives.tolist() == [0, 1, 2, 3, 4]
    assert len(found.negatives) == 251


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_positives_never_exceed_their_share(sampler: Sampler) -> None:
    found = drawn_by(sampler, [1] * 500 + [0] * 3, SampleSettings())
    assert (len(found.positives), found.negatives.tolist()) == (128, [500, 501, 502])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_draws_the_same_and_another_draws_others(sampler: Sampler) -> None:
    one, again, other = (drawn_by(sampler, [1] * 400 + [0] * 4000, SampleSettings(), seed) for seed in (7, 7, 8))
    assert torch.equal(one.positives, again.positives)
    assert torch.equal(one.negatives, again.negatives)
    assert not torch.equal(one.positives, other.positives)
    assert not torch.equal(one.negatives, other.negatives)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_seed_draws_the_same_on_a_gpu(sampler: Sampler) -> None:
    labels, logits = torch.tensor([1, 0, 0, -1]).repeat(500), torch.rand(2000)
    cpu = sampler(matched(labels), image(logits), SampleSettings(), chance())
    on_gpu = Matches(labels.to(torch.int8).cuda(), torch.zeros(2000).long().cuda(), torch.zeros(2000).cuda())
    gpu = sampler(on_gpu, image(logits.cuda()), SampleSettings(), chance())
    assert gpu.positives.tolist() == cpu.positives.tolist()
    assert gpu.negatives.tolist() == cpu.negatives.tolist()


def test_random_draws_every_negative_alike() -> None:
    seen, counts = matched([0] * 40), torch.zeros(40)
    settings = SampleSettings(size=10)
    for seed in range(400):
        counts[sample_random(seen, None, settings, chance(seed)).negatives] += 1
    assert counts.sum() == 4000
    assert counts.min() > 60  # 100 expected, standard deviation 8.7
    assert counts.max() < 140


def test_the_sampler_that_the_settings_name() -> None:
    assert sampler_of(SampleSettings()) is sample_random
    assert sampler_of(SampleSettings(sampler="ohem")) is sample_ohem
    assert sampler_of(SampleSettings(sampler="hard-window")) is sample_hard_window
    assert sampler_of(SampleSettings(sampler="iou-balanced")) is sample_iou_balanced
