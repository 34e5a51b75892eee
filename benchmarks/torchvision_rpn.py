"""torchvision's own Region Proposal Network behind the four verbs of ours, so that one loop trains both.

Matching, sampling, losses, decoding and selection are torchvision's own code, called part by part; its pyramid and
head stand on our backbone. B images, N anchors of a level.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork as TheirNetwork
from torchvision.models.detection.rpn import RPNHead as TheirHead
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from objectness.rpn.backbones import Backbone, build_backbone
from objectness.rpn.losses import LossOutput, RPNLoss
from objectness.rpn.outputs import Outputs
from objectness.rpn.selection import Selection
from objectness.rpn.settings import RPNSettings, SelectSettings
from objectness.rpn.targets import Target

RATIOS = (0.5, 1.0, 2.0)


class TorchvisionRPN(nn.Module):
    """Our backbone, torchvision's pyramid with its pooled extra level, and its network with its usual numbers.

    Args:
        settings: Backbone, width of the pyramid, colours and image size are ours; all else in it is not looked at,
            but for the numbers of selection.
        sizes: Of the anchors, one a level, finest first.
        backbone: Built by these settings; None builds it with random weights, for a checkpoint to fill.

    Attributes:
        settings: As given.
        rpn: torchvision's.
    """

    def __init__(self, settings: RPNSettings, sizes: Sequence[float], backbone: Backbone | None = None) -> None:
        super().__init__()
        self.backbone = backbone or build_backbone(settings.backbone, load_weights=False)[0]
        self.settings = settings
        # Its anchor generator infers strides from the sizes of image and map, which is right for multiples only: its
        # users pad to 32, which is not enough for the pooled level.
        self._multiple = 2 * self.backbone.strides[-1]
        width = settings.backbone.pyramid_channels
        self.pyramid = FeaturePyramidNetwork(list(self.backbone.channels), width, extra_blocks=LastLevelMaxPool())
        self.rpn = TheirNetwork(
            AnchorGenerator(tuple((float(size),) for size in sizes), (RATIOS,) * len(sizes)),
            TheirHead(width, len(RATIOS)),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=256,
            positive_fraction=0.5,
            pre_nms_top_n={"training": 2000, "testing": settings.select.pre_nms_top_n},
            post_nms_top_n={"training": 2000, "testing": settings.select.post_nms_top_n},
            nms_thresh=settings.select.nms_iou,
        )
        for name, numbers in (("mean", settings.images.mean_rgb), ("std", settings.images.std_rgb)):
            self.register_buffer(name, 255 * torch.tensor(numbers).view(1, 3, 1, 1), persistent=False)

    def features(self, pixels: Tensor) -> dict[str, Tensor]:
        """The pyramid's maps of RGB pixels ``(B, 3, H, W)``, padded as torchvision does it: after the colours."""
        height, width = pixels.shape[-2:]
        scaled = (pixels.float() - self.mean) / self.std
        padded = F.pad(scaled, (0, -width % self._multiple, 0, -height % self._multiple))
        maps = self.backbone(padded.contiguous(memory_format=torch.channels_last))
        return self.pyramid({str(level): feature_map for level, feature_map in enumerate(maps)})

    def forward(self, pixels: Tensor) -> Outputs:
        """Logits ``(B, N, 1)`` and deltas ``(B, N, 4)`` of each level, in the order of its anchors."""
        maps = list(self.features(pixels).values())
        logits, deltas = self.rpn.head(maps)
        return Outputs([_by_anchor(level, 1) for level in logits], [_by_anchor(level, 4) for level in deltas], maps)

    def loss(self, outputs: Outputs, targets: Sequence[Target], generator: torch.Generator) -> LossOutput:
        """Its two losses, as its ``forward`` computes them in training; ignore regions are unknown to it."""
        anchors = self._anchors(outputs, [target.size_hw for target in targets])
        logits = torch.cat(outputs.logits, dim=1).flatten().float()
        deltas = torch.cat(outputs.deltas, dim=1).reshape(-1, 4).float()
        truth = [{"boxes": target.boxes_xyxy} for target in targets]
        labels, matched = self.rpn.assign_targets_to_anchors(anchors, truth)
        wanted = self.rpn.box_coder.encode(matched, anchors)
        with torch.random.fork_rng(devices=[]):  # its sampler knows the global chance only
            torch.manual_seed(generator.initial_seed())
            objectness, box = self.rpn.compute_loss(logits, deltas, labels, wanted)
        return LossOutput(RPNLoss(objectness, box), anchors, [], [])

    @torch.no_grad()
    def propose(
        self, outputs: Outputs, sizes_hw: Sequence[tuple[int, int]], settings: SelectSettings | None = None
    ) -> list[Selection]:
        """Its selection: clipped, best first. It does not tell the levels: they are all 0."""
        settings = settings or self.settings.select
        self.rpn._pre_nms_top_n["testing"] = settings.pre_nms_top_n
        self.rpn._post_nms_top_n["testing"] = settings.post_nms_top_n
        self.rpn.nms_thresh = settings.nms_iou
        anchors = self._anchors(outputs, sizes_hw)
        counts = [level.shape[1] for level in outputs.logits]
        deltas = torch.cat(outputs.deltas, dim=1).reshape(-1, 4).float()
        boxes = self.rpn.box_coder.decode(deltas, anchors).view(len(sizes_hw), -1, 4)
        logits = torch.cat(outputs.logits, dim=1).float()
        found, scores = self.rpn.filter_proposals(boxes, logits, list(sizes_hw), counts)
        return [
            Selection(some, score, torch.zeros_like(score, dtype=torch.int64))
            for some, score in zip(found, scores, strict=True)
        ]

    def _anchors(self, outputs: Outputs, sizes_hw: Sequence[tuple[int, int]]) -> list[Tensor]:
        """Its anchors of each image; in float32, as it would compute them in the precision of the maps."""
        maps = [level.new_empty(level.shape, dtype=torch.float32) for level in outputs.features]
        padded_hw = [self.backbone.strides[0] * side for side in maps[0].shape[-2:]]
        return self.rpn.anchor_generator(ImageList(maps[0].new_empty(1, 3, *padded_hw), list(sizes_hw)), maps)


def _by_anchor(level: Tensor, values: int) -> Tensor:
    # (B, A*V, H, W) -> (B, A, V, H, W) -> (B, H, W, A, V) -> (B, H*W*A, V)
    batch, _, height, width = level.shape
    return level.view(batch, -1, values, height, width).permute(0, 3, 4, 1, 2).reshape(batch, -1, values)
