"""One update of ``fpn-resnet50`` beside torchvision's ResNet-50-FPN with its own Region Proposal Network.

Ours as the recipe trains it, theirs as its users do: eager, float32. Run by kernels.py.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from tables import Row
from timing import paired
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork as TheirNetwork
from torchvision.models.detection.rpn import RPNHead as TheirHead

from objectness.rpn.criterion import criterion
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.targets import Target
from objectness.training.devices import computes_bf16
from objectness.training.optimizer import build_optimizer
from objectness.training.recipes import recipe


def training_step(rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """One update of ``fpn-resnet50``, 2 images of 800 x 1088 px, from the same kind of random weights."""
    settings = recipe("fpn-resnet50")
    pixels = torch.randint(0, 256, (2, 3, 800, 1088), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    truth = [_boxes(seed) for seed in (1, 2)]
    in_bf16 = settings.loop.amp and computes_bf16(torch.device("cpu"))
    targets = [Target(some, torch.empty(0, 4), (800, 1088)) for some in truth]
    tell(
        f"Training: 2 images of 800 x 1088 px; ours as the recipe has it (bf16 {in_bf16}, channels last "
        f"{settings.loop.channels_last}), theirs eager float32"
    )

    # The backbone is frozen where it would be with loaded weights; branches start at 0 so that no scale explodes.
    network = RegionProposalNetwork(settings.rpn).train()
    network = network.to(memory_format=torch.channels_last)
    optimizer = build_optimizer(network, settings.optimizer)

    def ours() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=in_bf16):
            outputs = network(pixels.to(memory_format=torch.channels_last))
        report = criterion(network, outputs, targets, torch.Generator().manual_seed(0))
        report.loss.total.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, trainable_layers=3)
    for name, buffer in backbone.named_buffers():
        if name.endswith("bn3.weight"):
            buffer.zero_()
    sizes = tuple((int(size),) for size in settings.rpn.anchors.sizes)
    select = settings.rpn.select_train
    before, after = ({"training": count, "testing": count} for count in (select.pre_nms_top_n, select.post_nms_top_n))
    rpn = TheirNetwork(
        AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 5), TheirHead(256, 3), 0.7, 0.3, 256, 0.5, before, after, 0.7
    ).train()
    backbone.train()
    learned = [weight for weight in [*backbone.parameters(), *rpn.parameters()] if weight.requires_grad]
    their_optimiser = torch.optim.SGD(learned, lr=0.02, momentum=0.9, weight_decay=0.0001)

    def theirs() -> None:
        scaled = (pixels.float() - network.mean) / network.std
        images = ImageList(scaled, [(800, 1088)] * 2)
        _, losses = rpn(images, backbone(scaled), [{"boxes": some} for some in truth])
        sum(losses.values()).backward()
        their_optimiser.step()
        their_optimiser.zero_grad(set_to_none=True)

    mine = sum(weight.numel() for group in optimizer.param_groups for weight in group["params"])
    tell(f"Training: {mine:,} weights learned of ours, {sum(weight.numel() for weight in learned):,} of theirs")
    return [Row("Training step, ResNet-50-FPN, batch of 2", paired(ours, theirs, min(rounds, 3)), faster=1.3)]


def _boxes(seed: int) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    corner = torch.rand(10, 2, generator=chance) * torch.tensor([600.0, 400.0])
    return torch.cat([corner, corner + 30 + 300 * torch.rand(10, 2, generator=chance)], dim=1)
