from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from objectness.errors import InputError
from objectness.rpn.criterion import count_locations, criterion
from objectness.rpn.extensions.settings import LocalizationQualitySettings, RefinementSettings
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.outputs import Outputs
from objectness.rpn.settings import (
    AnchorSettings,
    BackboneSettings,
    HeadSettings,
    LossSettings,
    MatchSettings,
    RPNSettings,
    SampleSettings,
    SelectSettings,
)
from objectness.rpn.targets import Target

Make = Callable[..., RegionProposalNetwork]


def target(boxes: list[list[float]], size_hw: tuple[int, int] = (96, 96), ignore: list[list[float]] = []) -> Target:  # noqa: B006
    given = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return Target(given, torch.tensor(ignore, dtype=torch.float32).reshape(-1, 4), size_hw)


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photo(height: int = 96, width: int = 96, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (1, 3, height, width), generator=chance(seed), dtype=torch.uint8)


def said(network: RegionProposalNetwork, map_hw: tuple[int, int], logit: float = 0.0, images: int = 1) -> Outputs:
    """Outputs of one level that say the same everywhere: the anchors unmoved, one score."""
    count = map_hw[0] * map_hw[1] * network.head.anchors_per_cell
    logits = torch.zeros(images, count, network.head.logits_per_anchor)
    logits[..., -1] = logit
    features = torch.zeros(images, network.head.conv[0].conv.in_channels, *map_hw)
    return Outputs([logits], [torch.zeros(images, count, 4)], [features])


def test_one_logit_pair_and_four_deltas_for_each_anchor(make_network: Make) -> None:
    network = make_network()
    outputs = network(torch.cat([photo(64, 96), photo(64, 96, seed=1)]))
    assert outputs.maps_hw == [(4, 6)]
    assert outputs.logits[0].shape == (2, 4 * 6 * 9, 2)
    assert outputs.deltas[0].shape == (2, 4 * 6 * 9, 4)
    assert len(network.anchors(outputs.maps_hw)[0]) == 4 * 6 * 9
    assert network.strides == (16,)


def test_pixels_are_normalised_by_mean_and_deviation(make_network: Make) -> None:
    network = make_network()
    seen: list[Tensor] = []
    network.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    grey = torch.full((1, 3, 32, 32), 128, dtype=torch.uint8)
    network(grey)
    network(grey.float())
    expected = [(128 / 255 - m) / s for m, s in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)]
    for given in seen:
        torch.testing.assert_close(given[0, :, 5, 5], torch.tensor(expected), rtol=1e-5, atol=1e-5)


def test_images_of_one_size_do_not_influence_one_another(make_network: Make) -> None:
    network = make_network()
    pair = torch.cat([photo(seed=1), photo(seed=2)])
    with torch.no_grad():
        together = network.propose(network(pair), [(96, 96)] * 2)
        alone = [network.propose(network(pair[i : i + 1]), [(96, 96)])[0] for i in range(2)]
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.boxes_xyxy, other.boxes_xyxy, rtol=0, atol=1e-3)
        torch.testing.assert_close(one.scores, other.scores, rtol=0, atol=1e-5)


def test_a_proposer_gives_a_photo_the_same_proposals_whatever_comes_with_it(make_network: Make) -> None:
    """Photos are run one by one and without padding, so that no neighbour can matter."""
    from objectness.inference.proposer import Proposer
    from objectness.inference.torch_engine import TorchEngine, describe_network

    network = make_network()
    proposer = Proposer(TorchEngine(network, describe_network(network, {})), top=50)
    small, large = (p[0].permute(1, 2, 0).numpy() for p in (photo(60, 80), photo(150, 90, seed=1)))
    alone = proposer(small)
    first, last = proposer([small, large])[0], proposer([large, small])[1]
    assert len(alone) == 50
    for other in (first, last):
        np.testing.assert_array_equal(other.boxes_xyxy, alone.boxes_xyxy)
        np.testing.assert_array_equal(other.scores, alone.scores)


def test_proposals_of_a_padded_image_stay_inside_it(make_network: Make) -> None:
    network = make_network()
    padded = torch.full((1, 3, 128, 160), 114, dtype=torch.uint8)
    padded[:, :, :70, :50] = photo(70, 50)
    with torch.no_grad():
        (found,) = network.propose(network(padded), [(70, 50)])
    assert len(found.scores) > 0
    assert found.boxes_xyxy.min() >= 0
    assert found.boxes_xyxy[:, 2].max() <= 50
    assert found.boxes_xyxy[:, 3].max() <= 70
    assert not found.boxes_xyxy.requires_grad


def test_proposals_for_training_are_more(make_network: Make, tiny_settings: RPNSettings) -> None:
    settings = replace(
        tiny_settings, select=SelectSettings(post_nms_top_n=5), select_train=SelectSettings(post_nms_top_n=20)
    )
    network = make_network(settings)
    outputs = network(photo())
    assert len(network.propose(outputs, [(96, 96)])[0].scores) == 5
    assert len(network.propose(outputs, [(96, 96)], settings.select_train)[0].scores) == 20


def test_infinite_and_missing_numbers_do_not_crash_proposing(make_network: Make) -> None:
    network = make_network()
    outputs = said(network, (6, 6))
    outputs.logits[0][0, ::2] = float("inf")
    outputs.logits[0][0, 1::3] = float("nan")
    outputs.deltas[0][0, 5::7] = float("nan")
    (found,) = network.propose(outputs, [(96, 96)])
    assert torch.isfinite(found.boxes_xyxy).all()
    assert torch.isfinite(found.scores).all()
    nothing = said(network, (6, 6), float("nan"))
    assert len(network.propose(nothing, [(96, 96)])[0].scores) == 0


# --- the loss


def test_the_loss_by_hand(make_network: Make) -> None:
    """Undecided logits and unmoved anchors: the one box is an anchor, so the box part is 0; each anchor costs log 2."""
    network = make_network()
    report = criterion(network, said(network, (6, 6)), [target([[32, 32, 48, 48]])], chance())
    (sample,), (matches,) = report.samples, report.matches
    assert report.anchors_xyxy[0][sample.positives].tolist() == [[32, 32, 48, 48]]
    assert matches.iou.max() == 1
    assert report.loss.box.item() == 0
    drawn = len(sample.positives) + len(sample.negatives)
    assert report.loss.objectness.item() == pytest.approx(drawn * np.log(2) / 256, rel=1e-5)


def test_the_box_part_by_hand(make_network: Make) -> None:
    """The anchor is 16 x 16, the box is 2 px to the right: tx = 1/8, and lambda / N_reg = 10 / 36."""
    network = make_network()
    report = criterion(network, said(network, (6, 6)), [target([[34, 32, 50, 48]])], chance())
    assert report.anchors_xyxy[0][report.samples[0].positives].tolist() == [[32, 32, 48, 48]]
    assert report.loss.box.item() == pytest.approx(10 / 36 * 0.5 * (1 / 8) ** 2, rel=1e-5)


def test_an_image_without_boxes(make_network: Make) -> None:
    network = make_network()
    report = criterion(network, network(photo()), [target([])], chance())
    assert report.loss.box.item() == 0
    assert report.loss.objectness.item() > 0
    assert len(report.samples[0].positives) == 0
    report.loss.total.backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(torch.isfinite(g).all() for g in gradients)
    assert max(float(g.abs().max()) for g in gradients) > 0


def test_a_batch_with_and_without_boxes_is_the_mean_of_both(make_network: Make, tiny_settings: RPNSettings) -> None:
    network = make_network(replace(tiny_settings, sample=SampleSettings(size=10_000)))  # nothing left to chance
    full, empty = target([[10, 10, 50, 60]]), target([])
    batch = torch.cat([photo(seed=1), photo(seed=2)])
    outputs = network(batch)
    both = criterion(network, outputs, [full, empty], chance()).loss
    one = criterion(network, network(batch[:1]), [full], chance()).loss
    other = criterion(network, network(batch[1:]), [empty], chance()).loss
    assert both.objectness.item() == pytest.approx((one.objectness + other.objectness).item() / 2, rel=1e-4)
    assert both.box.item() == pytest.approx(one.box.item() / 2, rel=1e-4)
    assert one.box.item() > 0


def test_an_image_too_small_for_any_anchor(make_network: Make, tiny_settings: RPNSettings) -> None:
    network = make_network(replace(tiny_settings, anchors=AnchorSettings(sizes=(200.0, 300.0, 400.0))))
    report = criterion(network, network(photo()), [target([[10, 10, 50, 60]])], chance())
    assert (report.loss.total.item(), len(report.samples[0].negatives)) == (0, 0)
    report.loss.total.backward()


@pytest.mark.parametrize("drop", [True, False])
def test_padding_is_never_sampled(drop: bool, make_network: Make, tiny_settings: RPNSettings) -> None:
    network = make_network(replace(tiny_settings, match=MatchSettings(drop_cross_boundary=drop)))
    report = criterion(network, network(photo(96, 160)), [target([[4, 4, 30, 30]], (60, 48))], chance())
    drawn = report.anchors_xyxy[0][torch.cat([report.samples[0].positives, report.samples[0].negatives])]
    centres = (drawn[:, :2] + drawn[:, 2:]) / 2
    assert (centres < torch.tensor([48, 60])).all()
    inside = (drawn >= 0).all() and (drawn[:, 2:] <= torch.tensor([48, 60])).all()
    assert bool(inside) is drop  # without the filter, anchors may cross the border


@pytest.mark.parametrize(
    ("name", "size_hw", "alone", "padded"),
    [
        ("vgg16", (600, 1000), 37 * 62, 37 * 62),  # 2,294, "about 2,400": each pool rounds down
        ("zf", (600, 1000), 38 * 63, 38 * 63),
        ("vgg16", (8, 40), 1 * 2, 1 * 2),
    ],
)
def test_the_locations_are_counted_in_the_map(name: str, size_hw: tuple[int, int], alone: int, padded: int) -> None:
    settings = RPNSettings(backbone=BackboneSettings(name=name, pretrained=False), head=HeadSettings(channels=8))
    network = RegionProposalNetwork(settings).to("meta")

    def answer(height: int, width: int) -> Outputs:
        pixels = torch.zeros(1, 3, height, width, device="meta")
        maps = network.backbone(pixels)
        return Outputs([], [], maps, pixels=pixels)

    assert count_locations(network, answer(*size_hw), size_hw) == alone
    assert count_locations(network, answer(size_hw[0] + 40, size_hw[1] + 100), size_hw) == padded


def test_chance_decides_what_is_drawn_and_nothing_else_does(make_network: Make) -> None:
    network = make_network()
    outputs = network(photo(160, 160))
    truth = [target([[10, 10, 50, 60]], (160, 160))]
    one, again, other = (criterion(network, outputs, truth, chance(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.samples[0].negatives, again.samples[0].negatives)
    assert one.loss.total.item() == again.loss.total.item()
    assert not torch.equal(one.samples[0].negatives, other.samples[0].negatives)


def test_ignore_regions_are_not_sampled(make_network: Make) -> None:
    network = make_network()
    report = criterion(network, network(photo()), [target([], ignore=[[0, 0, 48, 96]])], chance())
    drawn = report.anchors_xyxy[0][report.samples[0].negatives]
    width_inside = (drawn[:, 2].clamp(max=48) - drawn[:, 0]).clamp(min=0)
    assert len(drawn) > 0
    assert (width_inside / (drawn[:, 2] - drawn[:, 0]) <= 0.5).all()


@pytest.mark.parametrize("sampler", ["random", "ohem", "hard-window", "iou-balanced"])
def test_every_sampler_trains(sampler: str, make_network: Make, tiny_settings: RPNSettings) -> None:
    settings = replace(tiny_settings, sample=SampleSettings(sampler=sampler))  # type: ignore[arg-type]
    network = make_network(settings)
    report = criterion(network, network(photo()), [target([[10, 10, 50, 60]])], chance())
    assert report.loss.objectness.item() > 0
    report.loss.total.backward()


@pytest.mark.parametrize("use", ["none", "both", "alone"])
@pytest.mark.parametrize("assigner", ["iou", "atss"])
@pytest.mark.parametrize("objective", ["faster-rcnn", "task-aligned", "oln"])
def test_every_objective_trains_on_any_batch(
    objective: str, assigner: str, use: str, make_network: Make, tiny_settings: RPNSettings
) -> None:
    settings = replace(
        tiny_settings,
        loss=LossSettings(objective=objective, box="giou"),  # type: ignore[arg-type]
        match=MatchSettings(0.5, 0.3, drop_cross_boundary=False, assigner=assigner),  # type: ignore[arg-type]
        localization_quality=LocalizationQualitySettings(use=use),  # type: ignore[arg-type]
    )
    network = make_network(settings)
    outputs = network(torch.cat([photo(), photo(seed=1)]))
    assert (outputs.quality is not None) == (use != "none")
    truth = [target([[10, 10, 50, 60], [20, 20, 24, 24]], ignore=[[60, 60, 90, 90]]), target([])]
    report = criterion(network, outputs, truth, chance())
    assert [len(sample.positives) > 0 for sample in report.samples] == [True, False]
    report.loss.total.backward()
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    assert all(bool(torch.isfinite(g).all()) for g in gradients.values())
    for layer in ("objectness", "deltas", *(["quality"] if use != "none" else [])):
        assert gradients[f"head.{layer}.weight"].abs().max() > 0
    assert all(len(found.scores) > 0 for found in network.propose(outputs, [(96, 96), (96, 96)]))


def test_proposals_are_ranked_by_the_fit_where_the_settings_say_so(
    make_network: Make, tiny_settings: RPNSettings
) -> None:
    network = make_network(replace(tiny_settings, localization_quality=LocalizationQualitySettings(use="alone")))
    plain = said(network, (6, 6))
    quality = torch.zeros(1, len(plain.logits[0][0]), 1)
    quality[0, 100] = 3.0
    (found,) = network.propose(replace(plain, quality=[quality]), [(96, 96)])
    anchor = network.anchors([(6, 6)])[0][100]
    assert found.scores[0].item() == pytest.approx(1 / (1 + np.exp(-3)))
    assert found.boxes_xyxy[0].tolist() == anchor.clamp(0, 96).tolist()


def test_hard_window_leaves_flat_background_out(make_network: Make, tiny_settings: RPNSettings) -> None:
    """Columns 5 to 7 of the map vary, the last of which is the border; an anchor of 16 px touches two cells at most."""
    network = make_network(replace(tiny_settings, sample=SampleSettings(sampler="hard-window", size=10_000)))
    outputs = said(network, (8, 8))
    outputs.features[0][:, :, :, 5:] = torch.rand(outputs.features[0][:, :, :, 5:].shape, generator=chance())
    report = criterion(network, outputs, [target([], (128, 128))], chance())
    drawn = report.anchors_xyxy[0][report.samples[0].negatives]
    assert len(drawn) > 0
    assert drawn[:, 2].min() > 4 * 16


def test_no_black_negative_is_drawn_of_a_black_image(make_network: Make, tiny_settings: RPNSettings) -> None:
    """Features vary everywhere, by what lies in their receptive field and by the border; the pixels do not."""
    pixels = torch.zeros(1, 3, 160, 160, dtype=torch.uint8)
    pixels[:, :, 96:128, 16:48] = 180  # the object
    pixels[:, :, 16:56, 88:128] = photo(40, 40)  # a textured patch

    def drawn(**sample: object) -> tuple[float, float]:
        settings = replace(
            tiny_settings,
            anchors=AnchorSettings(sizes=(16.0, 24.0, 32.0)),
            sample=SampleSettings(sampler="hard-window", **sample),  # type: ignore[arg-type]
        )
        network = make_network(settings)
        report = criterion(network, network(pixels), [target([[16, 96, 48, 128]], (160, 160))], chance())
        negatives = report.samples[0].negatives
        corners = report.anchors_xyxy[0][negatives]
        windows = torch.cat([corners[:, :2].ceil(), corners[:, 2:].floor()], dim=1).long().tolist()
        black = [pixels[0, :, y1:y2, x1:x2].max().item() == 0 for x1, y1, x2, y2 in windows]
        return float(np.mean(black)), float((report.matches[0].iou[negatives] == 0).float().mean())

    assert drawn(size=32) == (0, 0)  # enough overlap the object a little
    black, apart = drawn(size=10_000)
    assert black == 0
    assert apart > 0.3
    assert drawn(size=10_000, window_rule="partial-and-varying") == (0, 0)
    assert drawn(size=10_000, window_rule="partial-or-varying")[0] == 0


@pytest.mark.slow
def test_the_loss_falls_when_one_image_is_learnt(make_network: Make, tiny_settings: RPNSettings) -> None:
    settings = replace(
        tiny_settings,
        loss=LossSettings(normalize="samples", box_weight=1.0, smooth_l1_beta=1 / 9),
        head=HeadSettings(channels=32, two_class=False),
    )
    network = make_network(settings).train()
    pixels = torch.zeros(1, 3, 96, 96, dtype=torch.uint8)
    boxes = [[12.0, 20, 44, 50], [56.0, 44, 88, 84]]
    for x1, y1, x2, y2 in boxes:
        pixels[:, :, int(y1) : int(y2), int(x1) : int(x2)] = 230
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for step in range(40):
        optimizer.zero_grad()
        report = criterion(network, network(pixels), [target(boxes)], chance(step))
        report.loss.total.backward()
        optimizer.step()
        losses.append(report.loss.total.item())
    assert np.mean(losses[-5:]) < 0.3 * losses[0]
    with torch.no_grad():
        (found,) = network.propose(network(pixels), [(96, 96)])
    from torchvision.ops import box_iou

    best = box_iou(found.boxes_xyxy[:10], torch.tensor(boxes)).max(dim=0).values
    assert best.min() > 0.6


# --- levels


@pytest.fixture(scope="module")
def pyramid_settings() -> RPNSettings:
    return RPNSettings(
        backbone=BackboneSettings(
            name="test_resnet",
            strides=(8, 16, 32),
            pyramid_channels=16,
            extra_levels=1,
            pretrained=False,
            frozen_stages=0,
        ),
        head=HeadSettings(channels=16, two_class=False),
        anchors=AnchorSettings(sizes=(16.0, 32.0, 64.0, 128.0)),
    )


def test_a_pyramid_has_a_level_for_each_stride_and_each_extra(
    make_network: Make, pyramid_settings: RPNSettings
) -> None:
    network = make_network(pyramid_settings)
    outputs = network(photo(128, 192))
    assert network.strides == (8, 16, 32, 64)
    assert outputs.maps_hw == [(16, 24), (8, 12), (4, 6), (2, 3)]
    assert [level.shape[1:] for level in outputs.logits] == [(h * w * 3, 1) for h, w in outputs.maps_hw]
    levels = network.anchors(outputs.maps_hw)
    assert [round(float((a[:, 2:] - a[:, :2]).prod(dim=1).mean() ** 0.5)) for a in levels] == [16, 32, 64, 128]
    report = criterion(network, outputs, [target([[20, 20, 90, 90]], (128, 192))], chance())
    assert len(report.anchors_xyxy[0]) == sum(len(level) for level in levels)
    report.loss.total.backward()
    found = network.propose(outputs, [(128, 192)])[0]
    assert set(found.levels.tolist()) <= {0, 1, 2, 3}


def test_levels_of_several_widths_need_a_pyramid() -> None:
    settings = RPNSettings(
        backbone=BackboneSettings(name="test_resnet", strides=(8, 16), pretrained=False),
        anchors=AnchorSettings(sizes=(16.0, 32.0)),
    )
    with pytest.raises(InputError, match=r"^One head is shared over the levels.*set rpn.backbone.pyramid_channels"):
        RegionProposalNetwork(settings)


def test_extra_levels_need_a_pyramid() -> None:
    settings = RPNSettings(
        backbone=BackboneSettings(name="test_resnet", strides=(16,), extra_levels=1, pretrained=False)
    )
    with pytest.raises(InputError, match="pyramid_channels"):
        RegionProposalNetwork(settings)


def test_the_released_anchors_train_too(make_network: Make, tiny_settings: RPNSettings) -> None:
    sizes = (16.0, 32.0, 64.0)
    network = make_network(replace(tiny_settings, anchors=AnchorSettings(sizes=sizes, style="py-faster-rcnn")))
    report = criterion(network, network(photo()), [target([[10, 10, 50, 60]])], chance())
    assert report.loss.box.item() > 0
    assert report.anchors_xyxy[0][1].tolist() == [-15, -4, 31, 20]  # 23 x 12 cells twice as large, about (8, 8)


# --- frozen layers


def test_frozen_norms_keep_their_statistics(tiny_settings: RPNSettings) -> None:
    for frozen in (True, False):
        backbone = replace(tiny_settings.backbone, frozen_norm=frozen)
        settings = replace(tiny_settings, backbone=backbone)
        network = RegionProposalNetwork(settings).train()  # as one whose checkpoint follows
        norms = [m for m in network.backbone.modules() if isinstance(m, nn.BatchNorm2d)]
        assert norms
        before = [norm.running_mean.clone() for norm in norms if norm.running_mean is not None]
        network(photo())
        after = [norm.running_mean for norm in norms if norm.running_mean is not None]
        changed = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        assert any(changed) is not frozen
        assert network.head.training


def test_norms_of_a_frozen_stage_keep_their_statistics(
    make_network: Make, tiny_settings: RPNSettings, tmp_path: Path
) -> None:
    path = tmp_path / "start.safetensors"
    save_file(make_network().backbone.body.state_dict(), path)
    backbone = replace(tiny_settings.backbone, weights=str(path), frozen_stages=1)
    network = make_network(replace(tiny_settings, backbone=backbone)).train()
    norms = [m for m in network.backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    network(photo())
    for norm in norms:
        assert norm.num_batches_tracked is not None
        assert norm.num_batches_tracked.item() == int(norm.weight.requires_grad)
    assert {norm.weight.requires_grad for norm in norms} == {False, True}


def test_evaluation_mode_is_for_all(make_network: Make) -> None:
    network = make_network().train().eval()
    assert not any(module.training for module in network.modules())


@pytest.fixture
def two_stages(tiny_settings: RPNSettings) -> RPNSettings:
    return replace(
        tiny_settings,
        head=HeadSettings(channels=16, tower_convolutions=1, norm="batch", two_class=False, initial_score=0.1),
        anchors=AnchorSettings(sizes=(32.0,), ratios_height_over_width=(1.0,)),
        match=MatchSettings(drop_cross_boundary=False),
        loss=LossSettings(objective="task-aligned", box="giou", box_weight=2.0),
        refinement=RefinementSettings(grid=3, channels=8, hidden=16, boxes=10),
    )


def test_both_stages_learn_from_a_batch(make_network: Make, two_stages: RPNSettings) -> None:
    network = make_network(two_stages).train()
    outputs = network(torch.cat([photo(), photo(seed=1)]))
    assert outputs.refinement_maps is not None
    assert [tuple(level.shape) for level in outputs.refinement_maps] == [(2, 6, 6, 8)]
    targets = [target([[10, 10, 50, 60], [40, 30, 90, 80]]), target([], ignore=[[0, 0, 30, 30]])]
    report = criterion(network, outputs, targets, chance())
    alone = replace(outputs, refinement_maps=None)
    network.refinement = None
    first = criterion(network, alone, targets, chance())
    assert float(report.loss.objectness.detach()) > float(first.loss.objectness.detach())
    assert float(report.loss.box.detach()) > float(first.loss.box.detach())
    report.loss.total.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.head.parameters())


def test_the_second_stage_learns_where_the_first_is_perfect(make_network: Make, two_stages: RPNSettings) -> None:
    """A gradient reaches its weights from an image with objects, and through the features the backbone's."""
    network = make_network(two_stages).train()
    outputs = network(photo())
    criterion(network, outputs, [target([[10, 10, 50, 60]])], chance()).loss.total.backward()
    assert network.refinement is not None
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.refinement.predictor.parameters())


def test_proposals_of_two_stages_are_corrected(make_network: Make, two_stages: RPNSettings) -> None:
    network = make_network(two_stages)
    assert network.refinement is not None
    with torch.no_grad():
        before = network.propose(network(photo()), [(96, 96)])[0]
        network.refinement.predictor.bias[0] = 3.0  # the same for every box that is looked at
        after = network.propose(network(photo()), [(96, 96)])[0]
    looked_at = (torch.logit(after.scores) > torch.logit(before.scores[0]) + 2).sum()
    assert 0 < looked_at <= two_stages.refinement.boxes
    nobody = network(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))
    assert len(network.propose(nobody, [(16, 16)])[0].scores) <= 1


def test_what_pytorch_cannot_do_takes_no_other_photograph_with_it(
    make_network: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from objectness.inference.proposer import Proposer
    from objectness.inference.torch_engine import TorchEngine, describe_network

    network = make_network()
    engine = TorchEngine(network, describe_network(network, {}))
    forward = network.forward

    def sometimes(pixels: Tensor) -> object:
        if not pixels.any():
            raise RuntimeError("not enough memory: you tried to allocate 9 bytes\nand more")
        return forward(pixels)

    monkeypatch.setattr(network, "forward", sometimes)
    photos = [np.full((40, 60, 3), shade, np.uint8) for shade in (90, 0, 90)]
    outcomes = list(Proposer(engine).stream(photos))
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert "the network cannot look at it in" in str(outcomes[1].error)
    assert str(outcomes[1].error).endswith("(not enough memory: you tried to allocate 9 bytes).")
