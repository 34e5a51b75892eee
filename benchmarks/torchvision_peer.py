"""torchvision's Faster R-CNN cut after its Region Proposal Network, with the weights of one of our networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.image_list import ImageList
from torchvision.transforms.functional import to_tensor

from objectness.images import open_fitted
from objectness.proposals import Proposals
from objectness.rpn.network import RegionProposalNetwork


class TorchvisionProposer:
    """What a user of torchvision writes to get at the proposals and their scores, which it hides.

    Args:
        network: Ours, of the recipe ``fpn-resnet50``: its weights are copied.
        same_input: Resize as we do, without padding, and take our exact anchors in place of torchvision's, which are
            rounded to whole pixels and on the coarsest level laid with an inferred stride (61 instead of 64): only
            then is it the same network on the same input.

    Raises:
        ValueError: a network whose tensors torchvision's has no place for.
    """

    def __init__(self, network: RegionProposalNetwork, *, same_input: bool = False) -> None:
        images, select = network.settings.images, network.settings.select
        # As with downloaded weights: batch norms are frozen.
        self.model = FasterRCNN(
            resnet_fpn_backbone(backbone_name="resnet50", weights=None),
            num_classes=91,
            min_size=images.short_side,
            max_size=images.long_side,
            rpn_pre_nms_top_n_test=select.pre_nms_top_n,
            rpn_post_nms_top_n_test=select.post_nms_top_n,
            rpn_nms_thresh=select.nms_iou,
        ).eval()
        copy_weights(network, self.model)
        self.model.rpn.min_size = select.min_size
        self._images = images if same_input else None
        if same_input:
            self.model.rpn.anchor_generator = _OurAnchors(network)

    @torch.inference_mode()
    def __call__(self, path: Path) -> Proposals:
        """Read, resize, propose; back in the pixels of the photograph."""
        if self._images is not None:
            seen = open_fitted(path, self._images.short_side, self._images.long_side)
            scaled = torch.from_numpy(seen.pixels).permute(2, 0, 1)[None] / 255
            colours = self._images.mean_rgb, self._images.std_rgb
            mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in colours)
            images = ImageList((scaled - mean) / std, [(seen.pixels.shape[0], seen.pixels.shape[1])])
            return self._on_photograph(images, seen.size_hw, path)
        with Image.open(path) as opened:
            pixels = to_tensor(opened.convert("RGB"))
        size_hw = (pixels.shape[1], pixels.shape[2])
        images, _ = self.model.transform([pixels])
        return self._on_photograph(images, size_hw, path)

    def _on_photograph(self, images: ImageList, size_hw: tuple[int, int], path: Path) -> Proposals:
        boxes, scores = self.propose(images)
        ratios = [wanted / seen for wanted, seen in zip(size_hw, images.image_sizes[0], strict=True)]
        scaled = boxes * torch.tensor([ratios[1], ratios[0], ratios[1], ratios[0]])
        return Proposals(_array(scaled), _array(scores), size_hw, str(path))

    @torch.inference_mode()
    def propose(self, images: ImageList) -> tuple[Tensor, Tensor]:
        """Backbone, head, decoding and selection of an ``ImageList`` of one image."""
        features = self.model.backbone(images.tensors)
        rpn = self.model.rpn
        maps = list(features.values())
        objectness, deltas = rpn.head(maps)
        anchors = rpn.anchor_generator(images, maps)
        counts = [level.shape[1] * level.shape[2] * level.shape[3] for level in objectness]
        by_anchor = [level.permute(0, 2, 3, 1).reshape(1, -1, 1) for level in objectness]
        coordinates = [level.permute(0, 2, 3, 1).reshape(1, -1, 4) for level in deltas]
        boxes = rpn.box_coder.decode(torch.cat(coordinates, 1).reshape(-1, 4), anchors).view(1, -1, 4)
        logits = torch.cat(by_anchor, 1).flatten()[:, None]
        found, scores = rpn.filter_proposals(boxes, logits, images.image_sizes, counts)
        return found[0], scores[0]


class _OurAnchors(torch.nn.Module):
    def __init__(self, network: RegionProposalNetwork) -> None:
        super().__init__()
        self._network = [network]  # in a list, so that it is no submodule

    def forward(self, images: object, maps: list[Tensor]) -> list[Tensor]:
        return [torch.cat(self._network[0].anchors([(level.shape[2], level.shape[3]) for level in maps]))]


def copy_weights(network: RegionProposalNetwork, model: torch.nn.Module) -> None:
    """Fill torchvision's backbone, pyramid and head from ours; the same layers come in the same order."""
    ours = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    _fill(model.backbone.body, [v for k, v in ours.items() if k.startswith("backbone.")])  # type: ignore[union-attr]
    _fill(model.backbone.fpn, [v for k, v in ours.items() if k.startswith("pyramid.")])  # type: ignore[union-attr]
    head = model.rpn.head  # type: ignore[union-attr]
    for theirs, name in (
        (head.conv[0][0], "windows.0.convolution"),
        (head.cls_logits, "objectness"),
        (head.bbox_pred, "deltas"),
    ):
        _fill(theirs, [ours[f"head.{name}.weight"], ours[f"head.{name}.bias"]])


def _fill(module: torch.nn.Module, tensors: list[Tensor]) -> None:
    own = module.state_dict()
    shapes = [tuple(tensor.shape) for tensor in own.values()], [tuple(tensor.shape) for tensor in tensors]
    if shapes[0] != shapes[1]:
        raise ValueError(f"torchvision's {type(module).__name__} has other layers than ours.")
    module.load_state_dict(dict(zip(own, tensors, strict=True)))


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.float().numpy()
    return array
