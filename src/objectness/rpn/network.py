"""The Region Proposal Network: four verbs in four places (paper, section 3.1).

``forward`` computes, ``anchors`` is geometry, ``loss`` makes targets and compares, ``propose`` decodes and
selects. B images, L levels, N anchors of a level, M anchors of all levels, K logits an anchor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

from objectness.errors import InputError
from objectness.rpn.anchors import anchors_per_cell, inside_image, level_anchors
from objectness.rpn.backbones import build_backbone
from objectness.rpn.extensions.oln import oln_loss
from objectness.rpn.extensions.refinement_head import Refinement
from objectness.rpn.extensions.refinement_loss import corrector, second_loss
from objectness.rpn.extensions.task_aligned import task_aligned_loss
from objectness.rpn.faster_rcnn_loss import faster_rcnn_loss
from objectness.rpn.heads import RPNHead
from objectness.rpn.losses import RPNLoss
from objectness.rpn.outputs import Outputs
from objectness.rpn.selection import Selection, candidates, suppress
from objectness.rpn.settings import BackboneSettings, RPNSettings, SelectSettings
from objectness.rpn.targets import ImagePredictions, LossOutput, Target
from objectness.rpn.window_variation import flat_windows, window_variation


class RegionProposalNetwork(nn.Module):
    """Backbone, optional feature pyramid, and one head shared over the levels.

    Args:
        settings: Every number.
        load_weights: Start the backbone as the settings say; False where a checkpoint follows.

    Attributes:
        settings: As given, except that nothing is frozen where nothing was loaded.
        strides: Pixels between cells of each level, finest first, as declared.
        start: One sentence on what the backbone starts from.

    Raises:
        InputError: settings that do not fit together.
    """

    def __init__(self, settings: RPNSettings, *, load_weights: bool = True) -> None:
        super().__init__()
        built = build_backbone(settings.backbone, load_weights=load_weights)
        self.backbone, backbone_settings, self.start = built
        self.settings = settings = replace(settings, backbone=backbone_settings)
        channels = list(self.backbone.channels)
        width = settings.backbone.pyramid_channels
        if width:
            self.pyramid: nn.Module | None = FeaturePyramidNetwork(channels, width)
            self.extra = nn.ModuleList(_extra_level(settings.backbone) for _ in range(settings.backbone.extra_levels))
        elif settings.backbone.extra_levels or len(set(channels)) > 1:
            raise InputError(
                f"One head is shared over the levels, which have {channels} channels here: set "
                "rpn.backbone.pyramid_channels (e.g. 256) to join them by a feature pyramid."
            )
        else:
            self.pyramid = None
            self.extra = nn.ModuleList()
        self.strides = settings.backbone.level_strides
        levels, channels_in = len(self.strides), width or channels[0]
        k, quality = anchors_per_cell(settings.anchors, levels), settings.localization_quality.use != "none"
        self.head = RPNHead(channels_in, k, levels, settings.head, quality)
        refine = settings.refinement
        self.refinement = Refinement(channels_in, self.strides, refine) if refine.grid else None
        self.mean: Tensor
        self.std: Tensor
        for name, numbers in (("mean", settings.images.mean_rgb), ("std", settings.images.std_rgb)):
            self.register_buffer(name, 255 * torch.tensor(numbers).view(1, 3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> RegionProposalNetwork:
        """Training mode for all but what is frozen: a frozen batch norm keeps its statistics."""
        super().train(mode)
        if mode:
            for module in self.backbone.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    tuned = any(parameter.requires_grad for parameter in module.parameters())
                    module.train(tuned and not self.settings.backbone.frozen_norm)
        return self

    def forward(self, pixels: Tensor) -> Outputs:
        """RGB pixels ``(B, 3, H, W)`` in [0, 255] (uint8 or float) to logits and deltas of each level."""
        maps = self.backbone((pixels.float() - self.mean) / self.std)
        if self.pyramid is not None:
            named = self.pyramid({str(level): feature_map for level, feature_map in enumerate(maps)})
            maps = list(named.values())
            for extra in self.extra:
                maps.append(extra(maps[-1]))
        logits, deltas, quality = self.head(maps)
        detail = None if self.refinement is None else self.refinement(maps)
        return Outputs(logits, deltas, maps, quality, detail, pixels)

    def anchors(
        self, maps_hw: Sequence[tuple[int, int]], device: torch.device | str = "cpu"
    ) -> list[Float[Tensor, "_ 4"]]:
        """The anchors of each level for maps of these sizes: only geometry."""
        return level_anchors(self.settings.anchors, maps_hw, self.strides, device)

    def loss(self, outputs: Outputs, targets: Sequence[Target], generator: torch.Generator) -> LossOutput:
        """Compare with the truth by the objective of the settings; ``generator`` (CPU) decides what chance decides."""
        levels = self.anchors(outputs.maps_hw, outputs.logits[0].device)
        anchors = torch.cat(levels)
        logits, deltas = torch.cat(outputs.logits, dim=1), torch.cat(outputs.deltas, dim=1)
        quality = None if outputs.quality is None else torch.cat(outputs.quality, dim=1)[..., 0]
        counts = [len(level) for level in levels]
        answers = [
            ImagePredictions(
                logits[index],
                deltas[index],
                self._taking_part(anchors, target.size_hw),
                self._variation(outputs, index, anchors, target.size_hw),
                self._locations(outputs, target.size_hw),
                target,
                None if quality is None else quality[index],
            )
            for index, target in enumerate(targets)
        ]
        match self.settings.loss.objective:
            case "faster-rcnn":
                report = faster_rcnn_loss(anchors, counts, answers, self.settings, generator)
            case "task-aligned":
                sides = [level.new_full((len(level),), at) for level, at in zip(levels, self.strides, strict=True)]
                report = task_aligned_loss(anchors, torch.cat(sides), answers, self.settings)
            case "oln":
                report = oln_loss(anchors, counts, answers, self.settings, generator)
        if self.refinement is None:
            return report
        asked = replace(self.settings.select, pre_nms_top_n=self.settings.refinement.boxes)
        with torch.no_grad():
            firsts = [
                self.candidates(outputs, levels, index, target.size_hw, asked, refined=False)
                for index, target in enumerate(targets)
            ]
        second = second_loss(self.refinement, outputs, firsts, targets, self.settings)
        return replace(report, loss=RPNLoss(report.loss.objectness + second.objectness, report.loss.box + second.box))

    def propose(
        self, outputs: Outputs, sizes_hw: Sequence[tuple[int, int]], settings: SelectSettings | None = None
    ) -> list[Selection]:
        """The proposals of each image, clipped to its (height, width), best first.

        Pass ``settings.select_train`` for the larger set that a classifier is trained on. Proposals are cut
        from the graph: approximate joint training ignores the gradient of their coordinates (paper, section
        3.2). Images of one size do not influence one another; one that was padded to its neighbours' size is
        seen with its padding, and so not quite as it is seen alone.
        """
        settings = settings or self.settings.select
        levels = self.anchors(outputs.maps_hw, outputs.logits[0].device)
        with torch.no_grad():
            return [
                suppress(self.candidates(outputs, levels, index, size_hw, settings), settings)
                for index, size_hw in enumerate(sizes_hw)
            ]

    def candidates(
        self,
        outputs: Outputs,
        levels: Sequence[Float[Tensor, "_ 4"]],
        index: int,
        size_hw: tuple[int, int],
        settings: SelectSettings,
        *,
        refined: bool = True,
    ) -> Selection:
        """What enters suppression for image ``index``; without ``refined``, as the first stage found it."""
        return candidates(
            [level[index] for level in outputs.logits],
            [level[index] for level in outputs.deltas],
            levels,
            size_hw,
            settings,
            self.settings.head.delta_clamp,
            None if outputs.quality is None else [level[index] for level in outputs.quality],
            self.settings.localization_quality,
            corrector(self.refinement, outputs, index) if refined else None,
            self.settings.refinement.boxes,
        )

    def _taking_part(self, anchors: Float[Tensor, "M 4"], size_hw: tuple[int, int]) -> Bool[Tensor, " M"]:
        """Anchors that training looks at: inside the image, or at least centred in it (not in padding)."""
        if self.settings.match.drop_cross_boundary:
            return inside_image(anchors, size_hw, self.settings.match.allowed_border)
        centres = (anchors[:, :2] + anchors[:, 2:]) / 2
        return (centres < torch.tensor(size_hw[::-1], device=anchors.device)).all(dim=1)

    def _locations(self, outputs: Outputs, size_hw: tuple[int, int]) -> int:
        """N_reg: the anchor locations of an image of this size, over all levels: of the maps computed.

        Where the batch pads the image, of its part that the maps would have alone.
        """
        count = 0
        for map_hw, stride in zip(outputs.maps_hw, self.strides, strict=True):
            cells = 1
            for axis, (most, side) in enumerate(zip(map_hw, size_hw, strict=True)):
                if outputs.pixels is not None and outputs.pixels.shape[2 + axis] == side:
                    cells *= most
                else:
                    alone = side // stride if self.backbone.rounds_down else -(-side // stride)
                    cells *= min(most, max(1, alone))
            count += cells
        return count

    def _variation(
        self, outputs: Outputs, index: int, anchors: Float[Tensor, "M 4"], size_hw: tuple[int, int]
    ) -> Float[Tensor, " M"]:
        """What lies under each anchor, on the finest map: coarser ones see far beyond the anchor."""
        if self.settings.sample.sampler != "hard-window":  # the others never look
            return torch.zeros(len(anchors), device=anchors.device)
        variation = window_variation(anchors, outputs.features[0][index], self.strides[0], size_hw)
        if outputs.pixels is None:
            return variation
        return variation.masked_fill(flat_windows(anchors, outputs.pixels[index], size_hw), 0)


def _extra_level(settings: BackboneSettings) -> nn.Module:
    """From a level of the pyramid to the one above it, of twice the stride."""
    match settings.extra_by:
        case "pool":
            return nn.MaxPool2d(kernel_size=1, stride=2)
        case "convolution":
            return nn.Conv2d(settings.pyramid_channels, settings.pyramid_channels, kernel_size=3, stride=2, padding=1)
