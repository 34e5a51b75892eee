"""Which settings a run has: a recipe's, with the network of what it starts from, and what the user changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from objectness.training.recipes import recipe
from objectness.training.settings import RunSettings
from objectness.training.warm_start import adopt, read_start

IMAGENET, NOTHING = "imagenet", "none"
TUNING, WHOLE = (
    "fine-tune",
    "task-aligned",
)  # the recipes for those who name none: with a network to start from, without


def choose_settings(
    recipe_name: str | None,
    weights: str | None,
    change: Callable[[RunSettings], RunSettings] = lambda settings: settings,
) -> RunSettings:
    """The settings of a run before it begins.

    The recipe "fine-tune" takes over the network and the objective of what it starts from; any other recipe brings its
    own network, and whatever fits is filled in later. Who names neither a recipe nor what to start from, and sets
    which backbone or from where it begins, gets "task-aligned": there is nothing to fine-tune then.

    Args:
        recipe_name: None for the one that suits ``weights``.
        weights: "default", a file or a run folder to start from; "imagenet" for the backbone's weights; "none" for
            nothing; None for what the recipe says.
        change: What the user changes.

    Raises:
        InputError: an unknown recipe, a start that cannot be read, or a change that does not fit.
    """
    without = weights in (IMAGENET, NOTHING)
    name = recipe_name or (WHOLE if without else TUNING)
    settings = recipe(name)
    if without:
        backbone = replace(settings.rpn.backbone, pretrained=weights == IMAGENET, weights=None)
        settings = replace(settings, initial_weights="", rpn=replace(settings.rpn, backbone=backbone))
    elif weights is not None:
        settings = replace(settings, initial_weights=weights)
    if recipe_name is None and weights is None and _sets_origin(change):
        return change(recipe(WHOLE))
    if name == TUNING and (begins_as := change(settings).initial_weights):
        settings = replace(settings, initial_weights=begins_as, rpn=adopt(settings.rpn, read_start(begins_as)))
    return change(settings)


def _sets_origin(change: Callable[[RunSettings], RunSettings]) -> bool:
    """Whether a change says which backbone, or what it begins as: some other beginning does not outlive it."""
    whole = recipe(WHOLE)
    backbone = whole.rpn.backbone
    backbone = replace(backbone, name="another", pretrained=not backbone.pretrained, weights="another")
    other = replace(whole, rpn=replace(whole.rpn, backbone=backbone))
    return any(_origin(change(settings)) != _origin(settings) for settings in (whole, other))


def _origin(settings: RunSettings) -> tuple[str, bool, str | None]:
    """Which backbone, and what it begins as."""
    backbone = settings.rpn.backbone
    return backbone.name, backbone.pretrained, backbone.weights
