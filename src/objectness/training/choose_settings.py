"""Settings of a run: those of a recipe, with the network of the initial weights and the changes of the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from objectness.settings import merge, override
from objectness.training.recipes import name_of_today, recipe
from objectness.training.settings import RunSettings
from objectness.training.warm_start import adopt_settings, read_trained

IMAGENET, NONE = "imagenet", "none"
FINE_TUNE, FROM_THE_BACKBONE = "fine-tune", "task-aligned"  # default recipes, with and without a network to start from
_ADOPTING = (FINE_TUNE, "faster-rcnn", "fast-rcnn")  # recipes with the network of their initial weights


def choose_settings(
    recipe_name: str | None = None,
    weights: str | None = None,
    overrides: Sequence[str] = (),
    document: object = None,
) -> RunSettings:
    """The settings of a run before it begins.

    The recipes "fine-tune", "faster-rcnn" and "fast-rcnn" take over network and objective from the initial weights; any
    other recipe brings its own network, and weights are loaded where they fit. Without ``recipe_name`` and
    ``weights``, a change of the backbone or of its weights selects "task-aligned": there is nothing to fine-tune then.

    Args:
        recipe_name: By default the recipe that suits ``weights``.
        weights: Initial weights: "default" (the bundled model), a file or a run folder; "imagenet" for those of the
            backbone; "none". By default the recipe's.
        overrides: Changed settings as ``key=value``.
        document: Changed settings as nested plain data; ``overrides`` come after them.

    Raises:
        InputError: an unknown recipe, initial weights that cannot be read, or a change that does not fit.
    """

    def changed(settings: RunSettings) -> RunSettings:
        return override(merge(settings, {} if document is None else document), overrides)

    only_backbone = weights in (IMAGENET, NONE)
    untouched = weights is not None or not _names_a_backbone(overrides, document)
    name = recipe_name or (FINE_TUNE if untouched and not only_backbone else FROM_THE_BACKBONE)
    settings = recipe(name)
    if only_backbone:
        backbone = replace(settings.rpn.backbone, pretrained=weights == IMAGENET, weights=None)
        settings = replace(settings, initial_weights="", rpn=replace(settings.rpn, backbone=backbone))
    elif weights is not None:
        settings = replace(settings, initial_weights=weights)
    if name_of_today(name) in _ADOPTING and (where := changed(settings).initial_weights):
        settings = replace(settings, initial_weights=where, rpn=adopt_settings(settings.rpn, read_trained(where)))
    return changed(settings)


def _names_a_backbone(overrides: Sequence[str], document: object) -> bool:
    """Whether the user's changes say which backbone the network has, or what its initial weights are."""
    found = document
    for group in ("rpn", "backbone"):
        found = found.get(group) if isinstance(found, Mapping) else None
    keys = {"name", "pretrained", "weights"}
    assigned = {assignment.partition("=")[0].strip() for assignment in overrides}
    return not assigned.isdisjoint(f"rpn.backbone.{key}" for key in keys) or (
        isinstance(found, Mapping) and not keys.isdisjoint(found)
    )
