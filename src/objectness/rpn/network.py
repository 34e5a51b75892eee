"""The Region Proposal Network (paper, section 3.1): ``forward`` computes, ``anchors`` is geometry, ``propose`` selects.

Its loss is in ``criterion``. B images, L levels, N anchors of a level, K logits an anchor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

from objectness.errors import InputError
from objectness.rpn.anchors import anchors_per_cell, level_anchors
from objectness.rpn.backbones import Backbone, build_backbone
from objectness.rpn.extensions.localization_quality import ranking_scores
from objectness.rpn.extensions.refinement_head import RefinementHead, refine_best
from objectness.rpn.heads import RPNHead
from objectness.rpn.outputs import Outputs
from objectness.rpn.selection import Selection, candidates, suppress
from objectness.rpn.settings import BackboneSettings, RPNSettings, SelectSettings


class RegionProposalNetwork(nn.Module):
    """Backbone, optional feature pyramid, and one head shared over the levels.

    Args:
        settings: Every number.
        backbone: Built by these settings; None builds it with random weights, for a checkpoint to fill. See
            ``build_network`` for one that starts from trained weights.

    Attributes:
        settings: As given.
        strides: Pixels between cells of each level, finest first, as declared.

    Raises:
        InputError: settings that do not fit together.
    """

    def __init__(self, settings: RPNSettings, backbone: Backbone | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.backbone = backbone or build_backbone(settings.backbone, load_weights=False)[0]
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
        refinement = settings.refinement
        self.refinement = RefinementHead(channels_in, self.strides, refinement) if refinement.grid else None
        self.mean: Tensor
        self.std: Tensor
        for name, numbers in (("mean", settings.images.mean_rgb), ("std", settings.images.std_rgb)):
            self.register_buffer(name, 255 * torch.tensor(numbers).view(1, 3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> RegionProposalNetwork:
        """Training mode, except for frozen batch norms, which keep their statistics."""
        super().train(mode)
        if mode:
            for module in self.backbone.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    tuned = any(parameter.requires_grad for parameter in module.parameters())
                    module.train(tuned and not self.settings.backbone.frozen_norm)
        return self

    def forward(self, pixels: Tensor) -> Outputs:
        """Logits and deltas of each level, of RGB pixels ``(B, 3, H, W)`` in [0, 255] (uint8 or float)."""
        maps = self.backbone((pixels.float() - self.mean) / self.std)
        if self.pyramid is not None:
            named = self.pyramid({str(level): feature_map for level, feature_map in enumerate(maps)})
            maps = list(named.values())
            for extra in self.extra:
                maps.append(extra(maps[-1]))
        logits, deltas, quality = self.head(maps)
        refinement_maps = None if self.refinement is None else self.refinement(maps)
        return Outputs(logits, deltas, maps, quality, refinement_maps, pixels)

    def anchors(
        self, maps_hw: Sequence[tuple[int, int]], device: torch.device | str = "cpu"
    ) -> list[Float[Tensor, "_ 4"]]:
        """The anchors of each level for maps of these sizes: only geometry."""
        return level_anchors(self.settings.anchors, maps_hw, self.strides, device)

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
        refine: bool = True,
    ) -> Selection:
        """Candidates of image ``index`` before suppression; without ``refine``, those of the first stage.

        Args:
            outputs: Of the batch.
            levels: Anchors of each level.
            index: Of the image in the batch.
            size_hw: (height, width) of the image.
            settings: Counts and the smallest side.
            refine: Apply the refinement head, where there is one.
        """
        quality = [None] * len(levels) if outputs.quality is None else [level[index] for level in outputs.quality]
        scores = [
            ranking_scores(level[index], fit, self.settings.localization_quality)
            for level, fit in zip(outputs.logits, quality, strict=True)
        ]
        deltas, clamp = [level[index] for level in outputs.deltas], self.settings.head.delta_clamp
        refiner = None
        if refine and self.refinement is not None and outputs.refinement_maps is not None:
            correct = partial(self.refinement.correct, [level[index] for level in outputs.refinement_maps])
            refiner = partial(refine_best, correct, self.settings.refinement.boxes, size_hw, settings, clamp)
        return candidates(scores, deltas, levels, size_hw, settings, clamp, refiner)


def build_network(settings: RPNSettings) -> tuple[RegionProposalNetwork, str]:
    """A network whose backbone starts as the settings say, and one sentence on what it starts from.

    Nothing is frozen where nothing was loaded: the settings of the network say so.

    Raises:
        InputError: settings that do not fit together, or weights that cannot be loaded.
    """
    backbone, backbone_settings, sentence = build_backbone(settings.backbone)
    return RegionProposalNetwork(replace(settings, backbone=backbone_settings), backbone), sentence


def _extra_level(settings: BackboneSettings) -> nn.Module:
    """The layer from one level of the pyramid to the next coarser one, of twice the stride."""
    match settings.extra_by:
        case "pool":
            return nn.MaxPool2d(kernel_size=1, stride=2)
        case "convolution":
            return nn.Conv2d(settings.pyramid_channels, settings.pyramid_channels, kernel_size=3, stride=2, padding=1)
