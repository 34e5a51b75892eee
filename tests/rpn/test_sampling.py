from __future__ import annotations

import pytest
import torch
from torch import Tensor

from objectness.rpn.matching import Matches
from objectness.rpn.sampling import (
    Evidence,
    Sampler,
    sample_hard_loss,
    sample_hard_window,
    sample_iou_balanced,
    sample_random,
    sampler_of,
    window_rank,
)
from objectness.rpn.settings import SampleSettings

SAMPLERS = [sample_random, sample_hard_loss, sample_hard_window, sample_iou_balanced]


def evidence(
    labels: list[int] | Tensor, iou: Tensor | None = None, loss: Tensor | None = None, rank: Tensor | None = None
) -> Evidence:
    labels = torch.as_tensor(labels).to(torch.int8)
    nothing = torch.zeros(len(labels))
    matches = Matches(labels, torch.zeros(len(labels), dtype=torch.int64), nothing if iou is None else iou)
    return Evidence(matches, nothing if loss is None else loss, torch.ones(len(labels)) if rank is None else rank)


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
    labels, loss, rank = torch.tensor([1, 0, 0, -1]).repeat(500), torch.rand(2000), torch.rand(2000)
    cpu = sampler(evidence(labels, loss=loss, rank=rank), SampleSettings(), chance())
    matches = Matches(labels.to(torch.int8).cuda(), torch.zeros(2000).long().cuda(), torch.zeros(2000).cuda())
    gpu = sampler(Evidence(matches, loss.cuda(), rank.cuda()), SampleSettings(), chance())
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


def test_hard_window_draws_what_touches_and_what_varies_and_nothing_else() -> None:
    iou = torch.tensor([0.0, 0.1, 0.0, 0.2, 0.8])
    rank = torch.tensor([0.0, 0.0, 0.9, 0.4, 0.9])
    found = sample_hard_window(evidence([0, 0, 0, -1, 1], iou=iou, rank=rank), SampleSettings(), chance())
    assert found.positives.tolist() == [4]
    assert found.negatives.tolist() == [1, 2]  # the batch stays short: 0 is flat background


def test_hard_window_never_draws_the_flat_part_of_a_map() -> None:
    """The left three quarters are one colour, with large features as a dark background has."""
    features = torch.full((4, 16, 16), 1234.567)
    features[:, :, 12:] += torch.rand(4, 16, 4, generator=chance())
    rank = window_rank(features, anchors_per_cell=3)
    cells = rank.reshape(16, 16, 3)
    assert cells[:, :11].unique().tolist() == [0]
    assert cells[:, 11:].min() >= 11 / 16
    for quantile in (0.0, 0.5):
        settings = SampleSettings(window_quantile=quantile)
        drawn = sample_hard_window(evidence([0] * 768, rank=rank), settings, chance()).negatives
        assert len(drawn) == 16 * 5 * 3
        assert ((drawn // 3) % 16 >= 11).all()


def test_rounding_does_not_make_a_flat_part_vary() -> None:
    features = 10 + 1e-5 * torch.rand(4, 16, 16, generator=chance())
    features[:, :, 12:] += torch.rand(4, 16, 4, generator=chance())
    assert window_rank(features, anchors_per_cell=1).reshape(16, 16)[:, :11].unique().tolist() == [0]


def test_hard_window_with_a_flat_image_has_no_negatives() -> None:
    rank = window_rank(torch.full((2, 5, 5), 0.1), anchors_per_cell=1)
    assert sample_hard_window(evidence([0] * 25, rank=rank), SampleSettings(), chance()).negatives.tolist() == []


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


def test_window_rank_by_hand() -> None:
    """A row of cells 0 0 0 3: the windows hold (0 0), (0 0 0), (0 0 3) and (0 3), deviations 0, 0, 1.41 and 1.5."""
    features = torch.tensor([[[0.0, 0.0, 0.0, 3.0]]])
    assert window_rank(features, anchors_per_cell=1).tolist() == [0, 0, 0.5, 0.75]
    assert window_rank(features, anchors_per_cell=2).tolist() == [0, 0, 0, 0, 0.5, 0.5, 0.75, 0.75]


def test_window_rank_averages_over_channels() -> None:
    """Deviations of one channel are 1.5, 1.41, 0, 0, of the other 0, 0, 2.83, 3 (twice the mirror image)."""
    features = torch.tensor([[[3.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 6.0]]])
    assert window_rank(features, anchors_per_cell=1).tolist() == [0.25, 0, 0.5, 0.75]


def test_window_rank_leaves_padding_out() -> None:
    image = torch.rand(3, 6, 7, generator=chance())
    padded = torch.nn.functional.pad(image, (0, 5, 0, 4), value=9.0)
    found = window_rank(padded, 2, valid_hw=(6, 7)).reshape(10, 12, 2)
    assert torch.equal(found[:6, :7], window_rank(image, 2).reshape(6, 7, 2))
    assert found[6:].unique().tolist() == found[:, 7:].unique().tolist() == [0]


def test_the_sampler_that_the_settings_name() -> None:
    assert sampler_of(SampleSettings()) is sample_random
    assert sampler_of(SampleSettings(sampler="hard-loss")) is sample_hard_loss
    assert sampler_of(SampleSettings(sampler="hard-window")) is sample_hard_window
    assert sampler_of(SampleSettings(sampler="iou-balanced")) is sample_iou_balanced
