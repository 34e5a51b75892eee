"""Layers on the features of a box (Fast R-CNN, section 2.1). R boxes, C classes and the background."""

from __future__ import annotations

from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor

from objectness.detector.settings import BoxHeadSettings

_CLASS_STD, _BOX_STD = 0.01, 0.001  # of initial weights (Fast R-CNN, section 2.3)


class AgnosticPredictor(nn.Module):
    """Class logits, and one box for all classes, repeated for each as the selection of detections expects it."""

    def __init__(self, in_features: int, outputs: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(in_features, outputs)
        self.bbox_pred = nn.Linear(in_features, 4)

    def forward(self, features: Float[Tensor, "R F"]) -> tuple[Float[Tensor, "R K"], Float[Tensor, "R K4"]]:
        """Logits and deltas of the K = C + 1 outputs."""
        logits = self.cls_score(features)
        return logits, self.bbox_pred(features).repeat(1, logits.shape[1])


Predictor: TypeAlias = FastRCNNPredictor | AgnosticPredictor


def build_layers(in_features: int, settings: BoxHeadSettings) -> nn.Sequential:
    """Fully connected layers, each with ReLU and dropout: fc6 and fc7."""
    layers: list[nn.Module] = [nn.Flatten()]
    for width in settings.layers:
        layers += [nn.Linear(in_features, width), nn.ReLU(inplace=True)]
        if settings.dropout:
            layers.append(nn.Dropout(settings.dropout))
        in_features = width
    return nn.Sequential(*layers)


def build_predictor(classes: int, settings: BoxHeadSettings) -> Predictor:
    """The two sibling layers for ``classes`` classes; the background is their output 0."""
    match settings.box_regression:
        case "per-class":
            predictor: Predictor = FastRCNNPredictor(settings.layers[-1], classes + 1)
        case "agnostic":
            predictor = AgnosticPredictor(settings.layers[-1], classes + 1)
    for layer, std in ((predictor.cls_score, _CLASS_STD), (predictor.bbox_pred, _BOX_STD)):
        nn.init.normal_(layer.weight, std=std)
        nn.init.zeros_(layer.bias)
    return predictor
